//! A corpus to the sequences of an epoch: packed text, or pairs of segments.
//!
//! An [`EpochPlan`] says what each sequence is made of, in a few bytes; [`EpochPlan::sequence`] puts one together from
//! the corpus. Any sequence can be made at any time, so that a run that goes on in the middle of an epoch needs to know
//! no more than the epoch and how many sequences it has seen.
//!
//! The distributions are those of the published code. The sequences are not: they come of other random numbers.
//!
//! ```
//! use bertkit_data::corpus::Corpus;
//! use bertkit_data::sequences::{EpochPlan, Packing, SequenceSettings};
//!
//! # fn main() -> Result<(), bertkit_data::sequences::SequenceError> {
//! // Two documents, of two sentences and of one; the ids 1 and 2 are [CLS] and [SEP].
//! let sentence = |ids: &[u32]| ids.iter().map(|&id| (id, true)).collect::<Vec<_>>();
//! let corpus = Corpus::from_tokens(
//!     &[vec![sentence(&[5, 6, 7]), sentence(&[8])], vec![sentence(&[9, 10])]],
//!     true,
//! );
//! let settings = SequenceSettings {
//!     packing: Packing::Within,
//!     max_length: 6,
//!     short_probability: 0.0,
//!     cls: 1,
//!     sep: 2,
//!     type_ids: true,
//!     double_sep: false,
//!     static_passes: None,
//! };
//! let plan = EpochPlan::new(&corpus, &[0, 1], &settings, 13, 0)?;
//! let mut sequences: Vec<Vec<u32>> =
//!     (0..plan.len()).map(|i| plan.sequence(&corpus, i).ids).collect();
//! sequences.sort();
//! assert_eq!(sequences, [vec![1, 5, 6, 7, 8, 2], vec![1, 9, 10, 2]]);
//! # Ok(())
//! # }
//! ```

mod lines;
mod packed;
mod pairs;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use self::lines::Lines;
use self::packed::Chunk;
use self::pairs::Pair;
use crate::corpus::Corpus;
use crate::random::{KeyedPurpose, Random};
use crate::tokenizer::TextTokenizer;

/// What a sequence is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packing {
    /// Whole sentences, across the ends of documents, with a separator token where one document ends and the next begins
    /// (full-sentences of Liu et al. 2019, §4.2).
    ///
    /// A sentence that does not fit begins the next sequence; one that no sequence can hold is cut. Every token is in one
    /// sequence. The last sequence of an epoch is as short as what is left.
    Across,
    /// Whole sentences of one document (doc-sentences of Liu et al. 2019, §4.2), else as [`Packing::Across`]: the last
    /// sequence of every document is as short as what is left.
    Within,
    /// Tokens, across the ends of sentences and documents, with a separator token behind every document: break mode
    /// `none` of fairseq, as GottBERT was trained (Scheible et al. 2020).
    ///
    /// As there, a sequence is `<s>` and `max_length − 1` tokens of that stream, so it ends with a separator only where a
    /// document does. Every token is in one sequence; the last one is as short as what is left.
    Blocks,
    /// Two segments of whole sentences, of which the second follows the first or comes from another document
    /// (Devlin et al. 2019, §3.1 and the published code).
    ///
    /// The label is 0 if the second follows and 1 if it does not. Tokens are lost where a pair is trimmed, and
    /// met twice where they follow at random.
    NextSentence,
    /// Two consecutive segments of whole sentences, in their order or swapped (Lan et al. 2020, §3.1, and the published
    /// code).
    ///
    /// The label is 0 for their order and 1 if they are swapped. As in the published code, a single sentence without
    /// neighbours is paired with sentences of another document, and labelled 1.
    SentenceOrder,
    /// One or two segments of one document, without a label (Clark et al. 2020 and the published code).
    ///
    /// Tokens that do not fit are lost. As in the published code, a short sentence can go to the first
    /// segment though an earlier one went to the second.
    Electra,
}

impl Packing {
    /// The probability of a short sequence in the published code.
    fn short_probability(self) -> f64 {
        match self {
            Self::Across | Self::Within | Self::Blocks => 0.0,
            Self::NextSentence | Self::SentenceOrder => 0.1,
            Self::Electra => 0.05,
        }
    }
}

/// How sequences are built.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceSettings {
    /// What they are made of.
    pub packing: Packing,
    /// Tokens of the longest sequence, special tokens included.
    pub max_length: usize,
    /// How often a sequence aims at a shorter length, in [0, 1]: any from 2 tokens to as many as fit, special tokens not
    /// counted.
    ///
    /// As in the published code, for pairs this is drawn once a document, and with [`Packing::Electra`] the
    /// length is from 5 to `max_length`.
    pub short_probability: f64,
    /// Id of the token at the start: `[CLS]` or `<s>`.
    pub cls: u32,
    /// Id of the token at the end of a segment, and between documents: `[SEP]` or `</s>`.
    pub sep: u32,
    /// Whether tokens of the second segment have the type 1; else all have 0.
    pub type_ids: bool,
    /// Whether two separators, not one, stand between the segments of a pair.
    pub double_sep: bool,
    /// The static mode of BERT's published code: sequences (and masks, by [`EpochPlan::pass`]) repeat after so many
    /// epochs, in another order. None: every epoch has its own.
    pub static_passes: Option<u64>,
}

impl SequenceSettings {
    /// The special tokens of a tokenizer and of its family, and short sequences as often as in the published code.
    pub fn new(packing: Packing, max_length: usize, tokenizer: &TextTokenizer) -> Self {
        let conventions = tokenizer.family().conventions();
        Self {
            packing,
            max_length,
            short_probability: packing.short_probability(),
            cls: tokenizer.cls_id(),
            sep: tokenizer.sep_id(),
            type_ids: conventions.token_types,
            double_sep: conventions.double_separator,
            static_passes: None,
        }
    }

    /// Checks ranges; all problems at once.
    ///
    /// # Errors
    /// What is out of range.
    pub fn check(&self) -> Result<(), Vec<SequenceError>> {
        let mut problems = Vec::new();
        let shortest = match self.packing {
            Packing::Across | Packing::Within | Packing::Blocks => 3,
            Packing::NextSentence | Packing::SentenceOrder => self.pair_specials() + 2,
            Packing::Electra => 5,
        };
        if !(shortest..=LONGEST).contains(&self.max_length) {
            problems.push(SequenceError::MaxLength {
                found: self.max_length,
                shortest,
            });
        }
        if !(0.0..=1.0).contains(&self.short_probability) {
            problems.push(SequenceError::ShortProbability {
                found: self.short_probability,
            });
        }
        if self.static_passes == Some(0) {
            problems.push(SequenceError::NoPasses);
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// Number of special tokens of a pair.
    fn pair_specials(&self) -> usize {
        3 + usize::from(self.double_sep)
    }

    /// Number of tokens to aim at, of at most `budget`.
    fn target(&self, budget: u64, random: &mut Random) -> u64 {
        if self.short_probability > 0.0 && random.chance(self.short_probability) {
            let shortest = budget.min(2);
            shortest + random.below(budget - shortest + 1)
        } else {
            budget
        }
    }
}

/// No sequence is longer, so that lengths fit their fields.
const LONGEST: usize = 1 << 30;

/// Why there are no sequences.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// No room for tokens beside the special ones, or too much.
    #[error("the maximum length is {found} tokens, expected {shortest} to {LONGEST}")]
    MaxLength {
        /// What was given.
        found: usize,
        /// The least that these sequences can be.
        shortest: usize,
    },
    /// Not a probability.
    #[error("the probability of a short sequence is {found}, expected 0 to 1")]
    ShortProbability {
        /// What was given.
        found: f64,
    },
    /// Static sequences that repeat after no epoch at all.
    #[error("static sequences repeat after 0 epochs, expected at least 1")]
    NoPasses,
    /// Nothing to make sequences of.
    #[error("there are no documents to make sequences of")]
    NoDocuments,
    /// A pair needs something else to be paired with.
    #[error("there is a single {what}, and pairs of segments need another to draw from")]
    Single {
        /// `document` or `sentence`.
        what: &'static str,
    },
}

impl SequenceError {
    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MaxLength { .. } => {
                "it counts special tokens; 128 is usual, and 512 the most that most encoders take".into()
            }
            Self::ShortProbability { .. } => "BERT's is 0.1".into(),
            Self::NoPasses => "10 is what BERT was trained with; leave it out for new masks in every epoch".into(),
            Self::NoDocuments => "add text, or hold out less of it".into(),
            Self::Single { .. } => {
                "put blank lines between documents (or one document on each line), or choose sequences without pairs, like `across`"
                    .into()
            }
        })
    }
}

/// A sequence as a model reads it, before masking. All but `label` are as long as each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sequence {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// 1 for the second segment and its last special token if asked for, else 0.
    pub type_ids: Vec<u32>,
    /// Whether a token begins a word. A word that was cut off at its front has no beginning.
    pub word_starts: Vec<bool>,
    /// Whether a token was put in, and is not text.
    pub special: Vec<bool>,
    /// What [`Packing::NextSentence`] and [`Packing::SentenceOrder`] ask for.
    pub label: Option<u32>,
}

impl Sequence {
    fn with_capacity(length: usize) -> Self {
        Self {
            ids: Vec::with_capacity(length),
            type_ids: Vec::with_capacity(length),
            word_starts: Vec::with_capacity(length),
            special: Vec::with_capacity(length),
            label: None,
        }
    }

    fn push_special(&mut self, id: u32, type_id: u32) {
        self.ids.push(id);
        self.type_ids.push(type_id);
        self.word_starts.push(true);
        self.special.push(true);
    }

    fn push_text(&mut self, corpus: &Corpus, places: Range<u64>, type_id: u32) {
        corpus.append(places, &mut self.ids, &mut self.word_starts);
        self.type_ids.resize(self.ids.len(), type_id);
        self.special.resize(self.ids.len(), false);
    }

    /// What stands between the first segment and the second; gives the type of the second.
    fn push_between(&mut self, settings: &SequenceSettings) -> u32 {
        self.push_special(settings.sep, 0);
        if settings.double_sep {
            self.push_special(settings.sep, 0);
        }
        u32::from(settings.type_ids)
    }
}

/// The sequences of an epoch, in random order: a function of the corpus, the documents, the settings, the seed and the
/// epoch alone.
///
/// Takes 20 bytes a sequence, or 28 for pairs and [`Packing::Electra`], and with [`Packing::Across`] and
/// [`Packing::Blocks`] 4 bytes a document.
#[derive(Debug)]
pub struct EpochPlan {
    settings: SequenceSettings,
    seed: u64,
    pass: u64,
    parts: Parts,
    /// Numbers of the sequences, in the order of the epoch.
    order: Vec<u32>,
}

/// What the sequences are made of, as they were built.
#[derive(Debug)]
enum Parts {
    Packed {
        documents: Vec<u32>,
        chunks: Vec<Chunk>,
    },
    Pairs(Vec<Pair>),
    Lines(Vec<Lines>),
}

impl EpochPlan {
    /// Plans an epoch over these documents of the corpus: those to train on, or those held out.
    ///
    /// # Errors
    /// [`SequenceError`] if there are no documents, if settings are out of range (the first problem; see
    /// [`SequenceSettings::check`] for all), or if there is but one document to draw a random next sentence from.
    ///
    /// # Panics
    /// A document is not in the corpus, or there are 2³² sequences.
    pub fn new(
        corpus: &Corpus,
        documents: &[u32],
        settings: &SequenceSettings,
        seed: u64,
        epoch: u64,
    ) -> Result<Self, SequenceError> {
        if let Err(mut problems) = settings.check() {
            return Err(problems.swap_remove(0));
        }
        if documents.is_empty() {
            return Err(SequenceError::NoDocuments);
        }
        let pass = settings
            .static_passes
            .map_or(epoch, |passes| epoch % passes);
        let mut random = Random::keyed(seed, KeyedPurpose::Sequences, pass, 0);
        let mut documents = documents.to_vec();
        random.shuffle(&mut documents);
        let parts = match settings.packing {
            Packing::Across | Packing::Within => Parts::Packed {
                chunks: packed::sentences(corpus, &documents, settings, &mut random),
                documents,
            },
            Packing::Blocks => Parts::Packed {
                chunks: packed::blocks(corpus, &documents, settings, &mut random),
                documents,
            },
            Packing::NextSentence | Packing::SentenceOrder => {
                Parts::Pairs(pairs::plan(corpus, &documents, settings, &mut random)?)
            }
            Packing::Electra => Parts::Lines(lines::plan(
                corpus,
                &documents,
                settings,
                &mut random,
                |first| segments_of(seed, pass, first),
            )),
        };
        let count = match &parts {
            Parts::Packed { chunks, .. } => chunks.len(),
            Parts::Pairs(pairs) => pairs.len(),
            Parts::Lines(lines) => lines.len(),
        };
        let count = u32::try_from(count).expect("an epoch has fewer than 2^32 sequences");
        let mut order: Vec<u32> = (0..count).collect();
        Random::keyed(seed, KeyedPurpose::SequenceOrder, epoch, 0).shuffle(&mut order);
        Ok(Self {
            settings: settings.clone(),
            seed,
            pass,
            parts,
            order,
        })
    }

    /// Number of sequences; at least one.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Number of tokens of a sequence, special tokens included.
    ///
    /// # Panics
    /// There is no sequence `index`.
    pub fn length(&self, index: usize) -> usize {
        let number = self.order[index] as usize;
        match &self.parts {
            Parts::Packed { chunks, .. } => {
                let end = usize::from(self.settings.packing != Packing::Blocks);
                chunks[number].tokens as usize + 1 + end
            }
            Parts::Pairs(pairs) => pairs[number].tokens() + self.settings.pair_specials(),
            Parts::Lines(lines) => lines[number].tokens as usize,
        }
    }

    /// The round that sequences and masks repeat in: the epoch, or with
    /// [`static_passes`](SequenceSettings::static_passes) what is left of it.
    ///
    /// With [`EpochPlan::number`], what [`Masking::mask`](crate::corruption::Masking::mask) asks for.
    pub fn pass(&self) -> u64 {
        self.pass
    }

    /// The number of a sequence in its pass, whatever the order of the epoch.
    ///
    /// # Panics
    /// There is no sequence `index`.
    pub fn number(&self, index: usize) -> u64 {
        u64::from(self.order[index])
    }

    /// Puts a sequence together, in a time that grows with its length.
    ///
    /// `corpus` is the one that the plan was made for.
    ///
    /// # Panics
    /// There is no sequence `index`, or this is another corpus.
    pub fn sequence(&self, corpus: &Corpus, index: usize) -> Sequence {
        let number = self.order[index] as usize;
        let mut sequence = Sequence::with_capacity(self.length(index));
        sequence.push_special(self.settings.cls, 0);
        match &self.parts {
            Parts::Packed { documents, chunks } => {
                chunks[number].fill(&mut sequence, corpus, documents, &self.settings);
            }
            Parts::Pairs(pairs) => pairs[number].fill(&mut sequence, corpus, &self.settings),
            Parts::Lines(lines) => {
                let lines = &lines[number];
                let random = segments_of(self.seed, self.pass, lines.first);
                lines.fill(&mut sequence, corpus, &self.settings, random);
            }
        }
        sequence
    }
}

/// What decides the segments of the sequence that begins with sentence `first`.
fn segments_of(seed: u64, pass: u64, first: u64) -> Random {
    Random::keyed(seed, KeyedPurpose::Segments, pass, first)
}

/// The places of a document's tokens.
fn document_places(corpus: &Corpus, document: u32) -> Range<u64> {
    let sentences = corpus.document(document as usize);
    corpus.sentence(sentences.start).start..corpus.sentence(sentences.end - 1).end
}

fn length(places: &Range<u64>) -> u64 {
    places.end - places.start
}
