//! Next-sentence pairs (Devlin et al. 2019, §3.1).

use super::pairs::{self, PairRule, Pairs};
use crate::pretraining::corpus::Corpus;
use crate::pretraining::sequences::builder::{Builder, Epoch, Plan};
use crate::pretraining::sequences::error::SequenceError;
use crate::pretraining::sequences::layout::Layout;
use crate::random::Random;

/// [`Packing::NextSentence`](super::Packing::NextSentence).
pub(super) struct NextSentence;

impl Builder for NextSentence {
    fn name(&self) -> &'static str {
        "next-sentence"
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

impl PairRule for NextSentence {
    fn check(&self, _corpus: &Corpus, documents: &[u32]) -> Result<(), SequenceError> {
        match documents {
            [_] => Err(SequenceError::Single { what: "document" }),
            _ => Ok(()),
        }
    }

    fn replaces_second(&self, random: &mut Random) -> bool {
        random.chance(0.5)
    }

    fn swaps(&self, _random: &mut Random) -> bool {
        false
    }
}
