//! The descriptor of a pretraining objective: everything that the rest of the program needs to know about it.

use bertkit_data::pretraining::masking::Masking;
use bertkit_data::pretraining::sequences::Packing;
use bertkit_model::{Electra, Family, FamilyDescriptor, MlmModel, PretrainingModel};

use super::loss::Loss;

/// How an objective uses pairs of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairs {
    /// It works on any sequences.
    Ignored,
    /// It needs the labels of its own packing.
    Labelled,
    /// Its model has no head for pairs. The field is its name in a sentence.
    Unsupported(&'static str),
}

/// Why an objective cannot train a model of some family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FamilyMismatch {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What a loss is built from, besides the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LossSettings {
    /// Divides the generator's logits before sampling.
    pub temperature: f64,
    /// Whether the original token is never sampled.
    pub disallow_correct: bool,
}

/// One pretraining objective.
pub(crate) trait Descriptor: Sync {
    /// The key of its weight in the table `objective`.
    fn key(&self) -> &'static str;

    /// The documentation of its weight.
    fn weight_doc(&self) -> &'static str;

    /// Its short name, as in `objective = "mlm+nsp"`.
    fn short(&self) -> &'static str;

    /// The weight of its mean loss in the published code, which its short name implies.
    fn published_weight(&self) -> f64 {
        1.0
    }

    /// Whether its short name includes masked language modelling.
    fn includes_masked_lm(&self) -> bool {
        false
    }

    /// What it predicts, in the summary of a run.
    fn title(&self) -> &'static str;

    /// What it learns, with its short form, as a part of the sentence in the help of the flag.
    fn help(&self) -> &'static str;

    /// The name of its loss in `metrics.jsonl`.
    fn loss_name(&self) -> &'static str;

    /// The packing that it needs or was published with; `None` if any will do.
    fn packing(&self) -> Option<Packing> {
        None
    }

    /// How it uses pairs of segments.
    fn pairs(&self) -> Pairs {
        Pairs::Ignored
    }

    /// The masking of the published code; `None` for BERT's.
    fn masking(&self) -> Option<Masking> {
        None
    }

    /// The family of a fresh model whose sizes are given for `family`.
    fn fresh_family(&self, family: Family) -> Family {
        family
    }

    /// Checks that a family has the heads it needs.
    ///
    /// # Errors
    /// The family has none.
    fn check_family(&self, _family: &FamilyDescriptor) -> Result<(), FamilyMismatch> {
        Ok(())
    }

    /// Its loss on an encoder with a masked-LM head.
    fn on_masked_lm(&self, _settings: &LossSettings) -> Option<Box<dyn Loss<MlmModel>>> {
        None
    }

    /// Its loss on an encoder with BERT's pretraining heads.
    fn on_pretraining(&self, _settings: &LossSettings) -> Option<Box<dyn Loss<PretrainingModel>>> {
        None
    }

    /// Its loss on a discriminator with a generator.
    fn on_electra(&self, _settings: &LossSettings) -> Option<Box<dyn Loss<Electra>>> {
        None
    }
}
