#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

type Documents = Vec<Vec<Vec<(u32, bool)>>>;

fn documents(ids: std::ops::Range<u32>) -> impl Strategy<Value = Documents> {
    let sentence = prop::collection::vec((ids, any::<bool>()), 0..40);
    prop::collection::vec(prop::collection::vec(sentence, 0..6), 0..20)
}

/// The contents of a corpus, read through its public functions.
fn content(corpus: &Corpus) -> Documents {
    let sentence = |sentence| {
        let (mut ids, mut starts) = (Vec::new(), Vec::new());
        corpus.append(corpus.sentence(sentence), &mut ids, &mut starts);
        ids.into_iter().zip(starts).collect()
    };
    (0..corpus.documents())
        .map(|document| corpus.document(document).map(sentence).collect())
        .collect()
}

/// Removes sentences and documents without tokens.
fn kept(documents: &Documents) -> Documents {
    let mut kept = documents.clone();
    kept.iter_mut()
        .for_each(|document| document.retain(|sentence| !sentence.is_empty()));
    kept.retain(|document| !document.is_empty());
    kept
}

proptest! {
    #[test]
    fn tokens_come_back_as_they_went_in(
        small in documents(0..65_536), large in documents(0..200_000)
    ) {
        for documents in [small, large] {
            let corpus = Corpus::from_tokens(&documents, true);
            let expected = kept(&documents);
            prop_assert_eq!(&content(&corpus), &expected);
            let all: Vec<_> = expected.concat().concat();
            prop_assert_eq!(corpus.tokens(), all.len() as u64);
            prop_assert_eq!(corpus.sentences(), expected.concat().len());
            let (mut ids, mut starts) = (Vec::new(), Vec::new());
            corpus.append(0..corpus.tokens(), &mut ids, &mut starts);
            prop_assert_eq!(ids.into_iter().zip(starts).collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn a_split_holds_every_document_once(
        documents in documents(0..9), share in 0.0..1.0f64, seed in 0..9u64
    ) {
        let corpus = Corpus::from_tokens(&documents, true);
        let (training, held_out) = corpus.split(share, seed);
        let mut all = [&training[..], &held_out].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..corpus.documents() as u32).collect::<Vec<_>>());
        prop_assert!(training.is_sorted() && held_out.is_sorted());
        if corpus.documents() >= 2 && share > 0.0 {
            prop_assert!(!training.is_empty() && !held_out.is_empty());
            let tokens = |side: &[u32]| -> u64 {
                side.iter().map(|&document| corpus.document_tokens(document as usize)).sum()
            };
            // The last document drawn may exceed the held-out share, and at least one document is always kept for
            // training.
            let longest = (0..corpus.documents()).map(|d| corpus.document_tokens(d)).max().unwrap();
            let distance = tokens(&held_out) as f64 - share * corpus.tokens() as f64;
            prop_assert!(distance.abs() <= longest as f64, "{distance} > {longest}");
        }
        prop_assert_eq!(corpus.split(share, seed), (training, held_out));
    }
}

#[test]
fn without_words_every_token_is_one() {
    let corpus = Corpus::from_tokens(&[vec![vec![(1, false), (2, false)]]], false);
    assert!(!corpus.has_words());
    assert_eq!(content(&corpus), [vec![vec![(1, true), (2, true)]]]);
    assert_eq!(corpus.manifest().words, 0);
}

#[test]
fn nothing_is_held_out_unless_asked_for() {
    let sentence = vec![(1, true)];
    let corpus = Corpus::from_tokens(&[vec![sentence.clone()], vec![sentence]], true);
    assert_eq!(corpus.split(0.0, 1), (vec![0, 1], vec![]));
}
