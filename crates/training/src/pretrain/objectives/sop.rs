//! Sentence-order prediction (Lan et al. 2020, §3.1).

use bertkit_data::pretraining::sequences::Packing;
use bertkit_model::{FamilyDescriptor, PretrainingModel};

use super::pairs::{self, PairLoss};
use crate::pretrain::descriptor::{Descriptor, FamilyMismatch, LossSettings, Pairs};
use crate::pretrain::loss::Loss;

/// Whether two consecutive segments are in order or swapped.
pub(super) struct SentenceOrder;

impl Descriptor for SentenceOrder {
    fn key(&self) -> &'static str {
        "sentence_order"
    }

    fn weight_doc(&self) -> &'static str {
        "Weight of sentence-order prediction (Lan et al. 2020, §3.1)."
    }

    fn short(&self) -> &'static str {
        "sop"
    }

    fn title(&self) -> &'static str {
        "sentence order"
    }

    fn help(&self) -> &'static str {
        "are in order (mlm+sop)"
    }

    fn loss_name(&self) -> &'static str {
        "sentence_order_loss"
    }

    fn packing(&self) -> Option<Packing> {
        Some(Packing::SentenceOrder)
    }

    fn pairs(&self) -> Pairs {
        Pairs::Labelled
    }

    fn check_family(&self, family: &FamilyDescriptor) -> Result<(), FamilyMismatch> {
        pairs::check_family(family)
    }

    fn on_pretraining(&self, _: &LossSettings) -> Option<Box<dyn Loss<PretrainingModel>>> {
        Some(Box::new(PairLoss {
            accuracy: "sentence_order_accuracy",
        }))
    }
}
