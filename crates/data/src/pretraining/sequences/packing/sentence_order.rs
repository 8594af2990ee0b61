//! Sentence-order pairs (Lan et al. 2020, §3.1).

use super::pairs::{self, PairRule, Pairs};
use crate::pretraining::corpus::Corpus;
use crate::pretraining::sequences::builder::{Builder, Epoch, Plan};
use crate::pretraining::sequences::error::SequenceError;
use crate::pretraining::sequences::layout::Layout;
use crate::random::Random;

/// [`Packing::SentenceOrder`](super::Packing::SentenceOrder).
pub(super) struct SentenceOrder;

impl Builder for SentenceOrder {
    fn name(&self) -> &'static str {
        "sentence-order"
    }

    fn short_probability(&self) -> f64 {
        pairs::SHORT_PROBABILITY
    }

    fn shortest(&self, layout: &Layout) -> usize {
        pairs::shortest(layout)
    }

    fn plan(&self, epoch: &Epoch<'_>, random: &mut Random) -> Result<Box<dyn Plan>, SequenceError> {
        Ok(Box::new(Pairs::plan(epoch, random, self)?))
    }
}

impl PairRule for SentenceOrder {
    fn check(&self, corpus: &Corpus, documents: &[u32]) -> Result<(), SequenceError> {
        match documents {
            [only] if corpus.document(*only as usize).len() == 1 => {
                Err(SequenceError::Single { what: "sentence" })
            }
            _ => Ok(()),
        }
    }

    fn replaces_second(&self, _random: &mut Random) -> bool {
        false
    }

    fn swaps(&self, random: &mut Random) -> bool {
        random.chance(0.5)
    }
}
