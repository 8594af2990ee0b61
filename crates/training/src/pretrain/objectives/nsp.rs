//! Next-sentence prediction (Devlin et al. 2019, §3.1).

use bertkit_data::pretraining::sequences::Packing;
use bertkit_model::{FamilyDescriptor, PretrainingModel};

use super::pairs::{self, PairLoss};
use crate::pretrain::descriptor::{Descriptor, FamilyMismatch, LossSettings, Pairs};
use crate::pretrain::loss::Loss;

/// Whether the second segment follows the first or comes from another document.
pub(super) struct NextSentence;

impl Descriptor for NextSentence {
    fn key(&self) -> &'static str {
        "next_sentence"
    }

    fn weight_doc(&self) -> &'static str {
        "Weight of next-sentence prediction (Devlin et al. 2019, §3.1)."
    }

    fn short(&self) -> &'static str {
        "nsp"
    }

    fn title(&self) -> &'static str {
        "next sentence"
    }

    fn help(&self) -> &'static str {
        "which segments follow each other (mlm+nsp)"
    }

    fn loss_name(&self) -> &'static str {
        "next_sentence_loss"
    }

    fn packing(&self) -> Option<Packing> {
        Some(Packing::NextSentence)
    }

    fn pairs(&self) -> Pairs {
        Pairs::Labelled
    }

    fn check_family(&self, family: &FamilyDescriptor) -> Result<(), FamilyMismatch> {
        pairs::check_family(family)
    }

    fn on_pretraining(&self, _: &LossSettings) -> Option<Box<dyn Loss<PretrainingModel>>> {
        Some(Box::new(PairLoss {
            accuracy: "next_sentence_accuracy",
        }))
    }
}
