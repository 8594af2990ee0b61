#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::pretraining::corpus::Corpus;
use crate::tokenizer::{TokenizerFamily, TrainOptions, train_tokenizer};

const CLS: u32 = 1;
const SEP: u32 = 2;

fn settings(packing: Packing, max_length: usize) -> SequenceSettings {
    SequenceSettings {
        packing,
        max_length,
        short_probability: packing.short_probability(),
        cls: CLS,
        sep: SEP,
        type_ids: true,
        double_sep: false,
        static_passes: None,
    }
}

/// Documents of sentences with the given numbers of tokens. Ids count up from 10 over the whole corpus, so each id
/// identifies its position.
struct Numbered {
    corpus: Corpus,
    /// Document and sentence of each token; sentences count over the whole corpus.
    origins: Vec<(usize, usize)>,
}

impl Numbered {
    fn new(lengths: &[Vec<usize>]) -> Self {
        let mut origins = Vec::new();
        let mut sentences = 0;
        let documents: Vec<Vec<Vec<(u32, bool)>>> = lengths
            .iter()
            .enumerate()
            .map(|(document, lengths)| {
                let sentence = |&tokens: &usize| {
                    let first = 10 + origins.len() as u32;
                    origins.extend(std::iter::repeat_n((document, sentences), tokens));
                    sentences += 1;
                    (0..tokens as u32)
                        .map(|token| (first + token, token % 3 == 0))
                        .collect()
                };
                lengths.iter().map(sentence).collect()
            })
            .collect();
        Self {
            corpus: Corpus::from_tokens(&documents, true),
            origins,
        }
    }

    fn documents(&self) -> Vec<u32> {
        (0..self.corpus.documents() as u32).collect()
    }

    fn plan(&self, settings: &SequenceSettings, seed: u64, epoch: u64) -> EpochPlan {
        EpochPlan::new(&self.corpus, &self.documents(), settings, seed, epoch).unwrap()
    }

    /// All sequences of a plan in the order in which they were built, after checking the invariants of each.
    fn sequences(&self, plan: &EpochPlan) -> Vec<Sequence> {
        let mut built = BTreeMap::new();
        for index in 0..plan.len() {
            let sequence = plan.sequence(&self.corpus, index);
            let length = sequence.ids.len();
            assert_eq!(length, plan.length(index));
            assert!(length <= plan.layout.max_length);
            assert_eq!(length, sequence.type_ids.len());
            assert_eq!(length, sequence.word_starts.len());
            assert_eq!(length, sequence.special.len());
            assert_eq!(sequence.ids[0], CLS);
            assert!(sequence.special.iter().any(|special| !special));
            for (position, &id) in sequence.ids.iter().enumerate() {
                assert_eq!(sequence.special[position], id < 10);
                assert_eq!(id == CLS, position == 0);
                if id >= 10 {
                    let starts = self.place(id).is_multiple_of(3);
                    assert_eq!(sequence.word_starts[position], starts);
                }
            }
            assert!(built.insert(plan.number(index), sequence).is_none());
        }
        assert!(built.keys().copied().eq(0..plan.len() as u64));
        built.into_values().collect()
    }

    fn origin(&self, id: u32) -> (usize, usize) {
        self.origins[id as usize - 10]
    }

    /// The position of a token in its sentence.
    fn place(&self, id: u32) -> usize {
        let origin = self.origin(id);
        let before = self.origins[..id as usize - 10].iter().rev();
        before.take_while(|&&other| other == origin).count()
    }

    /// Whether a token is not the last of its sentence.
    fn goes_on(&self, id: u32) -> bool {
        self.origins.get(id as usize - 9) == Some(&self.origin(id))
    }
}

/// The runs of tokens between special tokens.
fn texts(sequence: &Sequence) -> Vec<&[u32]> {
    let texts = sequence.ids.split(|&id| id < 10);
    texts.filter(|text| !text.is_empty()).collect()
}

/// 30 documents of 1 to 12 sentences of 1 to 23 tokens, as in scripts/golden/pretraining_data.py.
fn made_up() -> Numbered {
    let sentence = |d: usize, s: usize| 1 + (d * 5 + s * 11) % 23;
    let lengths: Vec<Vec<usize>> = (0..30)
        .map(|d| (0..1 + d * 7 % 12).map(|s| sentence(d, s)).collect())
        .collect();
    let numbered = Numbered::new(&lengths);
    assert_eq!(numbered.corpus.tokens(), 2263);
    numbered
}

/// Compares means over many epochs with those of scripts/golden/pretraining_data.py, which has 4000 epochs.
///
/// Each line: pairs, tokens of A, tokens of B, pairs labelled 1, pairs without B, distinct tokens, pairs with a sentence
/// cut at the end of a segment; mean and standard deviation per epoch.
#[test]
fn pairs_are_distributed_as_those_of_an_independent_program() {
    type Line = [(f64, f64); 7];
    const BERT: Line = [
        (72.831, 5.66),
        (1456.906, 94.85),
        (1824.488, 177.36),
        (44.838, 7.43),
        (0.0, 0.0),
        (2168.976, 21.37),
        (25.726, 3.82),
    ];
    const ALBERT: Line = [
        (52.610, 3.48),
        (1110.366, 75.88),
        (1279.417, 90.80),
        (31.378, 4.61),
        (0.0, 0.0),
        (2128.992, 13.77),
        (19.252, 2.20),
    ];
    const ELECTRA: Line = [
        (49.666, 0.81),
        (1329.752, 59.19),
        (734.263, 58.36),
        (0.0, 0.0),
        (21.765, 2.24),
        (2064.014, 8.63),
        (20.362, 0.78),
    ];
    const EPOCHS: u64 = 400;
    let numbered = made_up();
    for (packing, expected) in [
        (Packing::NextSentence, BERT),
        (Packing::SentenceOrder, ALBERT),
        (Packing::Electra, ELECTRA),
    ] {
        let mut sums = [0.0; 7];
        for epoch in 0..EPOCHS {
            let plan = numbered.plan(&settings(packing, 64), 13, epoch);
            let mut tokens = BTreeSet::new();
            for index in 0..plan.len() {
                let sequence = plan.sequence(&numbered.corpus, index);
                let (mut a, mut b) = (Vec::new(), Vec::new());
                for (&id, &type_id) in sequence.ids.iter().zip(&sequence.type_ids) {
                    if id >= 10 {
                        if type_id == 0 { &mut a } else { &mut b }.push(id);
                    }
                }
                let cut = [a.last(), b.last()]
                    .into_iter()
                    .flatten()
                    .any(|&id| numbered.goes_on(id));
                sums[1] += a.len() as f64;
                sums[2] += b.len() as f64;
                sums[3] += f64::from(sequence.label.unwrap_or(0));
                sums[4] += f64::from(u8::from(b.is_empty()));
                sums[6] += f64::from(u8::from(cut));
                tokens.extend(a);
                tokens.extend(b);
            }
            sums[0] += plan.len() as f64;
            sums[5] += tokens.len() as f64;
        }
        for (column, (&sum, (mean, deviation))) in sums.iter().zip(expected).enumerate() {
            let found = sum / EPOCHS as f64;
            let error = deviation * (1.0 / EPOCHS as f64 + 1.0 / 4000.0).sqrt();
            assert!(
                (found - mean).abs() <= 4.5 * error + 0.001,
                "{packing:?}, column {column}: {found}, expected {mean} ± {error}"
            );
        }
    }
}

#[test]
fn a_second_segment_is_what_its_label_says() {
    let numbered = made_up();
    let document = |text: &[u32]| numbered.origin(text[0]).0;
    for epoch in 0..50 {
        let plan = numbered.plan(&settings(Packing::NextSentence, 64), 1, epoch);
        for sequence in numbered.sequences(&plan) {
            let [a, b] = texts(&sequence)[..] else {
                panic!("not a pair: {sequence:?}");
            };
            match sequence.label {
                Some(0) => {
                    assert_eq!(document(a), document(b));
                    let sentences = [a[a.len() - 1], b[0]].map(|id| numbered.origin(id).1);
                    assert!(sentences[0] < sentences[1]);
                }
                Some(1) => assert_ne!(document(a), document(b)),
                other => panic!("{other:?}"),
            }
        }
        let plan = numbered.plan(&settings(Packing::SentenceOrder, 64), 1, epoch);
        for sequence in numbered.sequences(&plan) {
            let [a, b] = texts(&sequence)[..] else {
                panic!("not a pair: {sequence:?}");
            };
            if document(a) == document(b) {
                let in_order = a[0] < b[0];
                assert_eq!(sequence.label, Some(u32::from(!in_order)));
            } else {
                assert_eq!(sequence.label, Some(1));
                let alone: BTreeSet<_> = a.iter().map(|&id| numbered.origin(id).1).collect();
                assert_eq!(
                    alone.len(),
                    1,
                    "only a single sentence has a random partner"
                );
            }
        }
    }
}

#[test]
fn special_tokens_and_types_stand_where_the_family_wants_them() {
    // Two sentences of one document that fill the sequence exactly.
    let numbered = Numbered::new(&[vec![3, 2]]);
    let mut bert = settings(Packing::SentenceOrder, 8);
    bert.short_probability = 0.0;
    let plan = numbered.plan(&bert, 0, 0);
    let sequence = &numbered.sequences(&plan)[0];
    let (ids, types) = match sequence.label {
        Some(0) => (
            vec![CLS, 10, 11, 12, SEP, 13, 14, SEP],
            vec![0, 0, 0, 0, 0, 1, 1, 1],
        ),
        _ => (
            vec![CLS, 13, 14, SEP, 10, 11, 12, SEP],
            vec![0, 0, 0, 0, 1, 1, 1, 1],
        ),
    };
    assert_eq!((&sequence.ids, &sequence.type_ids), (&ids, &types));

    let roberta = SequenceSettings {
        type_ids: false,
        double_sep: true,
        max_length: 9,
        ..bert
    };
    let plan = numbered.plan(&roberta, 0, 0);
    let sequence = &numbered.sequences(&plan)[0];
    assert_eq!(sequence.type_ids, [0; 9]);
    let gap = sequence.ids.iter().position(|&id| id == SEP).unwrap();
    assert_eq!(sequence.ids[gap..gap + 2], [SEP, SEP]);
    assert_eq!(sequence.ids[8], SEP);
}

#[test]
fn settings_follow_the_tokenizer() {
    let tokenizer = train_tokenizer(
        ["a few words to learn from"].into_iter(),
        &TrainOptions::default(),
    )
    .unwrap();
    let bert = SequenceSettings::new(Packing::NextSentence, 128, &tokenizer);
    assert_eq!(
        (bert.cls, bert.sep),
        (tokenizer.cls_id(), tokenizer.sep_id())
    );
    assert!(bert.type_ids && !bert.double_sep);
    assert_eq!(bert.short_probability, 0.1);
    let roberta = tokenizer.with_family(TokenizerFamily::Roberta);
    let roberta = SequenceSettings::new(Packing::Across, 512, &roberta);
    assert!(!roberta.type_ids && roberta.double_sep);
    assert_eq!(roberta.short_probability, 0.0);
}

#[test]
fn across_fills_sequences_and_separates_documents() {
    let numbered = Numbered::new(&[vec![4, 3], vec![2]]);
    let sequences = |seed| -> Vec<Vec<u32>> {
        let plan = numbered.plan(&settings(Packing::Across, 10), seed, 0);
        let all = numbered.sequences(&plan).into_iter();
        all.map(|sequence| sequence.ids).collect()
    };
    let found: BTreeSet<_> = (0..20).map(sequences).collect();
    // Both orders of the documents; 8 tokens fit.
    let expected = [
        vec![
            vec![CLS, 10, 11, 12, 13, 14, 15, 16, SEP],
            vec![CLS, 17, 18, SEP],
        ],
        vec![
            vec![CLS, 17, 18, SEP, 10, 11, 12, 13, SEP],
            vec![CLS, 14, 15, 16, SEP],
        ],
    ];
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn blocks_are_cut_anywhere_and_end_with_a_separator_where_a_document_does() {
    let numbered = Numbered::new(&[vec![4, 3], vec![2]]);
    let sequences = |seed| -> Vec<Vec<u32>> {
        let plan = numbered.plan(&settings(Packing::Blocks, 6), seed, 0);
        let all = numbered.sequences(&plan).into_iter();
        all.map(|sequence| sequence.ids).collect()
    };
    let found: BTreeSet<_> = (0..20).map(sequences).collect();
    let expected = [
        vec![
            vec![CLS, 10, 11, 12, 13, 14],
            vec![CLS, 15, 16, SEP, 17, 18],
            // The separator after the last document would be a sequence without text.
        ],
        vec![
            vec![CLS, 17, 18, SEP, 10, 11],
            vec![CLS, 12, 13, 14, 15, 16],
        ],
    ];
    assert_eq!(found, BTreeSet::from(expected));
    // A separator that does not fit begins the next sequence.
    let numbered = Numbered::new(&[vec![4], vec![4]]);
    let plan = numbered.plan(&settings(Packing::Blocks, 5), 0, 0);
    let second = &numbered.sequences(&plan)[1];
    assert_eq!(second.ids[..2], [CLS, SEP]);
    assert_eq!(second.ids.len(), 5);
}

#[test]
fn seed_and_epoch_decide_everything() {
    let numbered = made_up();
    let ids = |settings: &SequenceSettings, seed, epoch| -> Vec<Sequence> {
        let plan = numbered.plan(settings, seed, epoch);
        (0..plan.len())
            .map(|index| plan.sequence(&numbered.corpus, index))
            .collect()
    };
    for packing in [
        Packing::Across,
        Packing::Within,
        Packing::Blocks,
        Packing::NextSentence,
        Packing::SentenceOrder,
        Packing::Electra,
    ] {
        let settings = settings(packing, 40);
        assert_eq!(ids(&settings, 1, 5), ids(&settings, 1, 5));
        assert_ne!(ids(&settings, 1, 5), ids(&settings, 2, 5));
        assert_ne!(ids(&settings, 1, 5), ids(&settings, 1, 6));
    }
}

#[test]
fn static_sequences_come_again_in_another_order() {
    let numbered = made_up();
    let settings = SequenceSettings {
        static_passes: Some(3),
        ..settings(Packing::NextSentence, 40)
    };
    let [first, other, again] = [1, 2, 4].map(|epoch| numbered.plan(&settings, 1, epoch));
    assert_eq!((first.pass(), other.pass(), again.pass()), (1, 2, 1));
    assert_ne!(first.order, again.order);
    assert_eq!(numbered.sequences(&first), numbered.sequences(&again));
    assert_ne!(numbered.sequences(&first), numbered.sequences(&other));
    // Same as the first epochs without static passes.
    let dynamic = SequenceSettings {
        static_passes: None,
        ..settings
    };
    let dynamic = numbered.plan(&dynamic, 1, 1);
    assert_eq!(numbered.sequences(&first), numbered.sequences(&dynamic));
}

#[test]
fn only_the_documents_asked_for_are_used() {
    let numbered = made_up();
    let held_out = [3, 8, 20, 29];
    for packing in [
        Packing::Across,
        Packing::Blocks,
        Packing::NextSentence,
        Packing::Electra,
    ] {
        let settings = settings(packing, 40);
        let plan = EpochPlan::new(&numbered.corpus, &held_out, &settings, 1, 0).unwrap();
        let mut used = BTreeSet::new();
        for sequence in numbered.sequences(&plan) {
            let text = sequence.ids.into_iter().filter(|&id| id >= 10);
            used.extend(text.map(|id| numbered.origin(id).0 as u32));
        }
        assert_eq!(used, BTreeSet::from(held_out), "{packing:?}");
    }
}

#[test]
fn short_sequences_are_as_frequent_as_asked_for() {
    let numbered = Numbered::new(&vec![vec![1; 50]; 400]);
    let mut settings = settings(Packing::Across, 52);
    settings.short_probability = 0.3;
    let plan = numbered.plan(&settings, 1, 0);
    // Separators and single tokens fill a sequence except for at most one position.
    let short = (0..plan.len())
        .filter(|&index| plan.length(index) < 51)
        .count() as f64;
    // 47 of the 49 short lengths can be recognised as short.
    let expected = 0.3 * 47.0 / 49.0;
    assert!(
        (short / plan.len() as f64 - expected).abs() < 0.05,
        "{short} of {}",
        plan.len()
    );
}

#[test]
fn what_cannot_be_built_is_refused_with_a_hint() {
    let one = Numbered::new(&[vec![5, 5, 5]]);
    let plan = |numbered: &Numbered, settings: &SequenceSettings, documents: &[u32]| {
        EpochPlan::new(&numbered.corpus, documents, settings, 0, 0).unwrap_err()
    };
    let error = plan(&one, &settings(Packing::NextSentence, 32), &[0]);
    assert_eq!(
        error.to_string(),
        "there is a single document, and pairs of segments need another to draw from"
    );
    assert!(error.hint().unwrap().contains("blank lines"));
    // One document is enough for sentence-order pairs, but one sentence is not.
    one.plan(&settings(Packing::SentenceOrder, 32), 0, 0);
    let sentence = Numbered::new(&[vec![5]]);
    let error = plan(&sentence, &settings(Packing::SentenceOrder, 32), &[0]);
    assert_eq!(error, SequenceError::Single { what: "sentence" });
    assert_eq!(
        plan(&one, &settings(Packing::Across, 32), &[]),
        SequenceError::NoDocuments
    );

    for (packing, shortest) in [
        (Packing::Across, 3),
        (Packing::Within, 3),
        (Packing::Blocks, 3),
        (Packing::NextSentence, 5),
        (Packing::SentenceOrder, 5),
        (Packing::Electra, 5),
    ] {
        let two = Numbered::new(&[vec![5, 5, 5], vec![1]]);
        let found = shortest - 1;
        assert_eq!(
            plan(&two, &settings(packing, found), &[0, 1]),
            SequenceError::MaxLength { found, shortest }
        );
        let plan = two.plan(&settings(packing, shortest), 0, 0);
        two.sequences(&plan);
    }
    let wrong = SequenceSettings {
        max_length: 5,
        short_probability: f64::NAN,
        double_sep: true,
        static_passes: Some(0),
        ..settings(Packing::NextSentence, 0)
    };
    let problems = wrong.check().unwrap_err();
    assert_eq!(problems.len(), 3);
    assert!(problems.iter().all(|problem| problem.hint().is_some()));
}

fn corpora() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let sentence = prop_oneof![4 => 1usize..12, 1 => 12usize..80];
    prop::collection::vec(prop::collection::vec(sentence, 1..7), 2..9)
}

proptest! {
    #[test]
    fn packed_sequences_hold_every_token_once(
        lengths in corpora(),
        max_length in 3usize..50,
        packing in prop::sample::select(vec![Packing::Across, Packing::Within, Packing::Blocks]),
        short_probability in prop::sample::select(vec![0.0, 0.5]),
        seed in any::<u64>(),
    ) {
        let numbered = Numbered::new(&lengths);
        let settings = SequenceSettings { short_probability, ..settings(packing, max_length) };
        let sequences = numbered.sequences(&numbered.plan(&settings, seed, 0));

        // The concatenated sequences are the documents in some order.
        let ids: Vec<u32> = sequences.iter().flat_map(|sequence| sequence.ids.clone()).collect();
        let text: Vec<u32> = ids.iter().copied().filter(|&id| id >= 10).collect();
        let mut sorted = text.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.into_iter().eq(10..10 + numbered.origins.len() as u32));
        for pair in text.windows(2) {
            let [before, after] = [pair[0], pair[1]].map(|id| numbered.origin(id).0);
            prop_assert!(before != after || pair[0] + 1 == pair[1]);
        }

        for sequence in &sequences {
            // Separators occur only between documents.
            for text in texts(sequence) {
                let documents: BTreeSet<_> =
                    text.iter().map(|&id| numbered.origin(id).0).collect();
                prop_assert_eq!(documents.len(), 1);
            }
            let documents: BTreeSet<_> =
                texts(sequence).iter().map(|text| numbered.origin(text[0]).0).collect();
            prop_assert_eq!(documents.len(), texts(sequence).len());
            prop_assert!(!sequence.ids.windows(2).any(|pair| pair == [SEP, SEP]));
            prop_assert!(sequence.type_ids.iter().all(|&type_id| type_id == 0));
            prop_assert_eq!(sequence.label, None);
            if packing != Packing::Blocks {
                prop_assert_eq!(sequence.ids.last(), Some(&SEP));
            }
            if packing == Packing::Within {
                prop_assert_eq!(documents.len(), 1);
            }
        }
        if short_probability > 0.0 {
            return Ok(());
        }
        for pair in sequences.windows(2) {
            let [sequence, next] = pair else { unreachable!() };
            let room = max_length - sequence.ids.len();
            if packing == Packing::Blocks {
                prop_assert_eq!(room, 0);
                continue;
            }
            let last = *sequence.ids.iter().rev().find(|&&id| id >= 10).unwrap();
            let first = next.ids[1];
            let crosses = numbered.origin(last).0 != numbered.origin(first).0;
            if packing == Packing::Within && crosses {
                continue;
            }
            // A sentence is cut only if no sequence can hold it; otherwise the next sentence did not fit.
            let (_, sentence) = numbered.origin(first);
            let whole = numbered.origins.iter().filter(|origin| origin.1 == sentence).count();
            if numbered.goes_on(last) {
                prop_assert!(whole > max_length - 2);
                prop_assert_eq!(room, 0);
            } else {
                prop_assert!(whole + usize::from(crosses) > room);
            }
        }
    }

    #[test]
    fn pairs_are_two_stretches_of_documents(
        lengths in corpora(),
        max_length in 6usize..50,
        double_sep in any::<bool>(),
        packing in prop::sample::select(vec![Packing::NextSentence, Packing::SentenceOrder]),
        seed in any::<u64>(),
    ) {
        let numbered = Numbered::new(&lengths);
        let settings = SequenceSettings { double_sep, ..settings(packing, max_length) };
        for sequence in numbered.sequences(&numbered.plan(&settings, seed, 3)) {
            prop_assert!(sequence.label.is_some_and(|label| label < 2));
            let texts = texts(&sequence);
            prop_assert_eq!(texts.len(), 2);
            for text in &texts {
                prop_assert!(text.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                let documents: BTreeSet<_> =
                    text.iter().map(|&id| numbered.origin(id).0).collect();
                prop_assert_eq!(documents.len(), 1);
            }
            let between = if double_sep { 2 } else { 1 };
            let second = 1 + texts[0].len() + between;
            prop_assert_eq!(sequence.ids.len(), second + texts[1].len() + 1);
            for (position, &type_id) in sequence.type_ids.iter().enumerate() {
                prop_assert_eq!(type_id, u32::from(position >= second));
            }
        }
    }

    #[test]
    fn electra_uses_a_token_once_at_most_and_stays_in_a_document(
        lengths in corpora(),
        max_length in 6usize..50,
        short_probability in prop::sample::select(vec![0.0, 0.5]),
        seed in any::<u64>(),
    ) {
        let numbered = Numbered::new(&lengths);
        let settings =
            SequenceSettings { short_probability, ..settings(Packing::Electra, max_length) };
        let mut used = BTreeSet::new();
        let mut documents_used = BTreeSet::new();
        for sequence in numbered.sequences(&numbered.plan(&settings, seed, 3)) {
            let mut documents = BTreeSet::new();
            for &id in sequence.ids.iter().filter(|&&id| id >= 10) {
                documents.insert(numbered.origin(id).0);
                prop_assert!(used.insert(id));
            }
            prop_assert_eq!(documents.len(), 1);
            documents_used.extend(documents);
            prop_assert_eq!(sequence.label, None);
        }
        prop_assert_eq!(documents_used.len(), lengths.len());
    }
}
