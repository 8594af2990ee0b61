//! The encoder families: one file each, and a registry.
//!
//! A [`FamilyDescriptor`] describes a family: its keys in `config.json`, the [`EncoderSpec`] that they
//! give, the names of its tensors, its heads, and the conventions of its tokenizers. [`Family`] is the
//! registry: one exhaustive match returns the descriptor. Code outside this folder names no family; it
//! queries the descriptor.
//!
//! To add a family, write its file and register it in [`Family`].

#![deny(clippy::wildcard_enum_match_arm)]

mod albert;
mod bert;
mod descriptor;
mod distilbert;
mod electra;
mod names;
mod roberta;

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
pub(crate) use descriptor::{DenseSpec, HeadSpec};
pub use descriptor::{EncoderConfig, FamilyDescriptor, ModelType, ProblemType, TokenizerStyle};
pub(crate) use names::MlmNames;

/// The encoder families that bertkit reads, trains and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Devlin et al. 2019.
    #[default]
    Bert,
    /// Liu et al. 2019; positions count from the padding id + 1.
    Roberta,
    /// Clark et al. 2020; embeddings may be narrower than the blocks.
    Electra,
    /// Sanh et al. 2019; no token types and no pooler.
    Distilbert,
    /// Lan et al. 2020; blocks share their parameters.
    Albert,
}

impl Family {
    /// Every family, in the order in which messages list them.
    pub const ALL: [Self; 5] = [
        Self::Bert,
        Self::Roberta,
        Self::Electra,
        Self::Distilbert,
        Self::Albert,
    ];

    /// The description of the family.
    pub const fn descriptor(self) -> &'static FamilyDescriptor {
        match self {
            Self::Bert => &bert::BERT,
            Self::Roberta => &roberta::ROBERTA,
            Self::Electra => &electra::ELECTRA,
            Self::Distilbert => &distilbert::DISTILBERT,
            Self::Albert => &albert::ALBERT,
        }
    }

    /// The name in settings and messages: the first `model_type` of the family.
    pub const fn name(self) -> &'static str {
        self.descriptor().model_types[0].name
    }

    /// The family with that `model_type`, and the details that `model_type` implies; `None` if it is unknown.
    pub fn from_model_type(name: &str) -> Option<(Self, &'static ModelType)> {
        Self::ALL.into_iter().find_map(|family| {
            let mut types = family.descriptor().model_types.iter();
            Some((family, types.find(|kind| kind.name == name)?))
        })
    }

    /// The family that is pretrained by replaced-token detection.
    pub fn with_replaced_tokens() -> Self {
        let mut families = Self::ALL.into_iter();
        let found = families.find(|f| f.descriptor().has_head(Architecture::Discriminator));
        found.unwrap_or_default()
    }

    /// The families that have a head, for messages: `bert`, or `bert or albert`.
    pub fn with_head(architecture: Architecture) -> String {
        let families = Self::ALL.into_iter();
        let families = families.filter(|family| family.descriptor().has_head(architecture));
        listed(families.map(Self::name).collect(), "or")
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Every `model_type` that can be read, for messages: `bert, roberta and electra`.
pub(crate) fn model_types(conjunction: &str) -> String {
    let families = Family::ALL.into_iter();
    let types = families.flat_map(|family| family.descriptor().model_types);
    listed(types.map(|kind| kind.name).collect(), conjunction)
}

fn listed(mut names: Vec<&str>, conjunction: &str) -> String {
    match names.pop() {
        Some(last) if names.is_empty() => last.into(),
        Some(last) => format!("{} {conjunction} {last}", names.join(", ")),
        None => String::new(),
    }
}
