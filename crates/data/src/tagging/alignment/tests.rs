#![allow(clippy::unwrap_used)]

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::sources::tagged::{TaggedOptions, read_tagged_from};
use crate::tagging::Scheme;
use crate::tagging::TaggedCorpus;
use crate::tokenizer::{Kmers, TokenizerFamily, TokenizerType, TrainOptions, train_tokenizer};

const VOCAB: &str =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nnew\nyork\n##er\n##s\nin\nthe\n.\n,\n'\n##y\n##e\n";

fn load(files: &[(&str, &str)], family: TokenizerFamily) -> TextTokenizer {
    let dir: TempDir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    TextTokenizer::from_dir(dir.path(), family).unwrap()
}

fn bert() -> TextTokenizer {
    load(&[("vocab.txt", VOCAB)], TokenizerFamily::Bert)
}

fn roberta() -> TextTokenizer {
    let vocab = r#"{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5, "b": 6, "Ġ": 7, "ab": 8, "Ġab": 9, ".": 10, ")": 11, ").": 12}"#;
    let merges = "#version: 0.2\na b\nĠ ab\n) .\n";
    load(
        &[("vocab.json", vocab), ("merges.txt", merges)],
        TokenizerFamily::Roberta,
    )
}

fn corpus(text: &str) -> TaggedCorpus {
    let bytes = text.as_bytes().to_vec();
    read_tagged_from(bytes, "x", &TaggedOptions::default()).unwrap()
}

fn options(max_length: usize, overlap: usize) -> TagWindowOptions {
    TagWindowOptions {
        max_length,
        overlap,
        labelled: LabelledTokens::First,
    }
}

/// The target of every head, that is, the predictions of a perfect model.
fn perfect(windows: &TagWindows) -> Vec<Vec<usize>> {
    let of = |window: &TagWindow| {
        let heads = window.heads.iter();
        heads
            .map(|head| window.targets[head.position].unwrap())
            .collect()
    };
    windows.windows.iter().map(of).collect()
}

#[test]
fn first_tokens_have_targets_or_all() {
    let corpus = corpus("In O\nNew B-LOC\nYorkers I-LOC\n. O\n");
    let tags = corpus.tag_set(Scheme::Bio).unwrap();
    let windows = tag_windows(&corpus.sentences, Some(&tags), &bert(), &options(16, 2)).unwrap();
    let [window] = windows.windows.as_slice() else {
        panic!("{windows:?}")
    };
    assert_eq!(window.encoding.ids, [2, 9, 5, 6, 7, 8, 11, 3]);
    assert_eq!(window.encoding.type_ids, [0; 8]);
    let (some, none) = (Some, None);
    assert_eq!(
        window.words,
        [
            none,
            some(0),
            some(1),
            some(2),
            some(2),
            some(2),
            some(3),
            none
        ]
    );
    assert_eq!(
        window.targets,
        [none, some(0), some(1), some(2), none, none, some(0), none]
    );
    let heads: Vec<(usize, usize)> = window.heads.iter().map(|h| (h.position, h.word)).collect();
    assert_eq!(heads, [(1, 0), (2, 1), (3, 2), (6, 3)]);
    assert!(window.heads.iter().all(|head| head.owned));

    let all = TagWindowOptions {
        labelled: LabelledTokens::All,
        ..options(16, 2)
    };
    let corpus = self::corpus("Yorkers B-LOC\n");
    let windows = tag_windows(&corpus.sentences, Some(&tags), &bert(), &all).unwrap();
    assert_eq!(
        windows.windows[0].targets,
        [none, some(1), some(2), some(2), none]
    );
}

#[test]
fn byte_level_tokens_that_begin_with_a_space_belong_to_the_word_behind_it() {
    let corpus = corpus("ab B-X\nab O\nb I-X\n");
    let tags = corpus.tag_set(Scheme::Bio).unwrap();
    let windows = tag_windows(&corpus.sentences, Some(&tags), &roberta(), &options(16, 2)).unwrap();
    let window = &windows.windows[0];
    // The last word consists of a separate space and a letter: the space is its first token.
    assert_eq!(window.encoding.ids, [0, 8, 9, 7, 6, 2]);
    assert_eq!(
        window.words,
        [None, Some(0), Some(1), Some(2), Some(2), None]
    );
    assert_eq!(window.heads[2].position, 3);
    assert_eq!(
        window.targets,
        [None, Some(1), Some(0), Some(1), None, None]
    );
}

#[test]
fn words_that_share_a_token_share_its_tag() {
    let corpus = corpus("{\"text\": \"ab). b\", \"entities\": [[2, 4, \"X\"]]}");
    let tags = corpus.tag_set(Scheme::Bio).unwrap();
    let windows = tag_windows(&corpus.sentences, Some(&tags), &roberta(), &options(16, 2)).unwrap();
    assert_eq!(windows.words_without_token, 1);
    let heads = &windows.windows[0].heads;
    assert_eq!(
        heads.iter().map(|head| head.word).collect::<Vec<_>>(),
        [0, 1, 3]
    );
    let merged = windows.merge(&tags, &perfect(&windows));
    assert_eq!(merged, [[0, 1, 2, 0]]);
    assert_eq!(
        windows.by_word(&[vec!['a', 'b', 'c']]),
        [[Some('a'), Some('b'), Some('b'), Some('c')]]
    );
}

#[test]
fn words_that_the_tokenizer_drops_still_have_a_tag() {
    let text = "\u{200b} O\nnew B-X\n\u{200b} I-X\nyork I-X\n\u{200b} I-X\nin O\n\u{200b} B-X\n";
    let corpus = corpus(text);
    let tags = corpus.tag_set(Scheme::Bio).unwrap();
    let windows = tag_windows(&corpus.sentences, Some(&tags), &bert(), &options(16, 2)).unwrap();
    assert_eq!(windows.words_without_token, 4);
    let merged = windows.merge(&tags, &perfect(&windows));
    assert_eq!(merged, [[0, 1, 2, 2, 0, 0, 0]]);
    let corpus = self::corpus("\u{200b} O\n");
    let windows = tag_windows(&corpus.sentences, Some(&tags), &bert(), &options(16, 2)).unwrap();
    assert!(windows.windows.is_empty());
    assert_eq!(windows.merge(&tags, &[]), [[0]]);
}

#[test]
fn an_entity_whose_first_word_is_dropped_begins_at_the_next() {
    let corpus = corpus("\u{200b} B-X\nnew I-X\n");
    let tags = corpus.tag_set(Scheme::Bio).unwrap();
    let windows = tag_windows(&corpus.sentences, Some(&tags), &bert(), &options(16, 2)).unwrap();
    assert_eq!(windows.windows[0].targets, [None, Some(1), None]);
}

#[test]
fn types_that_the_tags_lack_have_no_targets() {
    let corpus = corpus("new B-X\nyork B-Y\n");
    let tags = TagSet::new(["X"], Scheme::Bio).unwrap();
    let windows = tag_windows(&corpus.sentences, Some(&tags), &bert(), &options(16, 2)).unwrap();
    assert_eq!(windows.windows[0].targets, [None, Some(1), None, None]);
}

#[test]
fn settings_without_room_are_refused() {
    let sentences = [TaggedSentence::from_text("new york")];
    let windows = |length, overlap| {
        tag_windows(&sentences, None, &bert(), &options(length, overlap)).unwrap_err()
    };
    assert!(matches!(windows(2, 0), TokenizerError::MaxLength { .. }));
    assert_eq!(
        windows(4, 2).to_string(),
        "windows of 2 tokens cannot share 2"
    );
}

#[test]
fn overlapping_kmers_belong_to_the_word_of_their_first_letter() {
    let kmers: Kmers = ":3".parse().unwrap();
    let options = TrainOptions {
        kind: TokenizerType::Kmer(kmers),
        ..TrainOptions::default()
    };
    let tokenizer = train_tokenizer(["ACGT"].into_iter(), &options).unwrap();
    let cut = [TaggedSentence::from_words(["ACG", "CGT"])];
    let windows = tag_windows(&cut, None, &tokenizer, &self::options(16, 2)).unwrap();
    assert_eq!(windows.windows[0].heads.len(), 2);
    let sequence = [TaggedSentence::from_text("ACGTA")];
    let windows = tag_windows(&sequence, None, &tokenizer, &self::options(16, 2)).unwrap();
    assert_eq!(
        windows.windows[0].words,
        [None, Some(0), Some(0), Some(0), None]
    );
}

proptest! {
    #[test]
    fn every_word_is_owned_by_one_window_and_a_perfect_model_is_merged_perfectly(
        words in prop::collection::vec((0usize..5, 1usize..6), 1..60), length in 3usize..14, overlap in 0usize..6,
    ) {
        // Words of 1 to 5 tokens; some are longer than a window.
        let mut text = String::new();
        for (kind, pieces) in &words {
            let word = format!("york{}", "er".repeat(pieces - 1));
            text.push_str(&format!("{word} {}\n", ["O", "B-X", "I-X", "B-Y", "I-Y"][*kind]));
        }
        let corpus = corpus(&text);
        let tags = TagSet::new(["X", "Y"], Scheme::Bio).unwrap();
        let options = options(length, overlap.min(length - 3));
        let windows = tag_windows(&corpus.sentences, Some(&tags), &bert(), &options).unwrap();
        let mut owned = vec![0; words.len()];
        for window in &windows.windows {
            prop_assert!(window.encoding.len() <= length);
            for head in window.heads.iter().filter(|head| head.owned) {
                owned[head.word] += 1;
            }
        }
        prop_assert_eq!(owned, vec![1; words.len()]);
        let merged = windows.merge(&tags, &perfect(&windows));
        prop_assert_eq!(&tags.entities(&merged[0]), corpus.sentences[0].entities.as_ref().unwrap());
    }
}
