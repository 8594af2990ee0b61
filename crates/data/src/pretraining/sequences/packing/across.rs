//! Whole sentences, across document boundaries.

use super::running_text::Sentences;
use crate::pretraining::sequences::builder::{Builder, Epoch, Plan};
use crate::pretraining::sequences::error::SequenceError;
use crate::pretraining::sequences::layout::Layout;
use crate::random::Random;

/// [`Packing::Across`](super::Packing::Across).
pub(super) struct Across;

impl Builder for Across {
    fn name(&self) -> &'static str {
        "across"
    }

    fn short_probability(&self) -> f64 {
        0.0
    }

    fn shortest(&self, _layout: &Layout) -> usize {
        3
    }

    fn plan(&self, epoch: &Epoch<'_>, random: &mut Random) -> Result<Box<dyn Plan>, SequenceError> {
        Ok(Box::new(Sentences::plan(epoch, random, false)))
    }
}
