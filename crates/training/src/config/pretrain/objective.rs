//! The pretraining objective: the weight of each loss.

use std::str::FromStr;

use bertkit_data::pretraining::sequences::Packing;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::config::range::{Range, at_least};
use crate::config::setting::{Setting, SettingValue, join};

/// The weight of each mean loss. `mlm`, `mlm+nsp`, `mlm+sop` and `rtd` are short for the weights of the published systems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ObjectiveForm")]
pub struct Objective {
    /// Masked language modelling (Devlin et al. 2019, §3.1); with `rtd`, of the generator.
    pub mlm: f64,
    /// Next-sentence prediction (the same).
    pub next_sentence: f64,
    /// Sentence-order prediction (Lan et al. 2020, §3.1).
    pub sentence_order: f64,
    /// Replaced-token detection (Clark et al. 2020, §3.1).
    pub rtd: f64,
}

impl Objective {
    /// Masked language modelling alone.
    pub const MLM: Self = Self {
        mlm: 1.0,
        next_sentence: 0.0,
        sentence_order: 0.0,
        rtd: 0.0,
    };
    const NONE: Self = Self {
        mlm: 0.0,
        ..Self::MLM
    };
    /// ELECTRA's weight of the discriminator's loss.
    const RTD: f64 = 50.0;

    /// The packing that it needs, or works best with.
    pub(super) fn packing(&self) -> Packing {
        if self.next_sentence > 0.0 {
            Packing::NextSentence
        } else if self.sentence_order > 0.0 {
            Packing::SentenceOrder
        } else if self.rtd > 0.0 {
            Packing::Electra
        } else {
            Packing::Across
        }
    }
}

impl Default for Objective {
    fn default() -> Self {
        Self::MLM
    }
}

impl FromStr for Objective {
    type Err = String;

    /// `mlm`, `nsp`, `sop` and `rtd`, joined by `+`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut objective = Self::NONE;
        for part in text.split('+') {
            match part.trim() {
                "mlm" => objective.mlm = 1.0,
                "nsp" => objective.next_sentence = 1.0,
                "sop" => objective.sentence_order = 1.0,
                "rtd" => (objective.mlm, objective.rtd) = (1.0, Self::RTD),
                other => {
                    return Err(format!(
                        "`{other}` is no objective, expected `mlm`, `mlm+nsp`, `mlm+sop`, `rtd`, or a table of weights"
                    ));
                }
            }
        }
        Ok(objective)
    }
}

/// The forms of an objective in TOML.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected `mlm`, `mlm+nsp`, `mlm+sop`, `rtd`, or a table with the weights mlm, next_sentence, sentence_order and rtd"
)]
enum ObjectiveForm {
    Name(String),
    Weights(ObjectiveWeights),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ObjectiveWeights {
    mlm: f64,
    next_sentence: f64,
    sentence_order: f64,
    rtd: f64,
}

impl Default for ObjectiveWeights {
    fn default() -> Self {
        Self {
            mlm: 0.0,
            next_sentence: 0.0,
            sentence_order: 0.0,
            rtd: 0.0,
        }
    }
}

impl TryFrom<ObjectiveForm> for Objective {
    type Error = String;

    fn try_from(form: ObjectiveForm) -> Result<Self, String> {
        match form {
            ObjectiveForm::Name(name) => name.parse(),
            ObjectiveForm::Weights(w) => Ok(Self {
                mlm: w.mlm,
                next_sentence: w.next_sentence,
                sentence_order: w.sentence_order,
                rtd: w.rtd,
            }),
        }
    }
}

impl Objective {
    /// Its weights by name, each with what it is the weight of.
    fn weights(&self) -> [(&'static str, f64, &'static str); 4] {
        [
            (
                "mlm",
                self.mlm,
                "Weight of masked language modelling (Devlin et al. 2019, §3.1); with `rtd`, of the generator.",
            ),
            (
                "next_sentence",
                self.next_sentence,
                "Weight of next-sentence prediction (Devlin et al. 2019, §3.1).",
            ),
            (
                "sentence_order",
                self.sentence_order,
                "Weight of sentence-order prediction (Lan et al. 2020, §3.1).",
            ),
            (
                "rtd",
                self.rtd,
                "Weight of replaced-token detection (Clark et al. 2020, §3.1).",
            ),
        ]
    }

    /// The table of weights that a name stands for.
    pub(super) fn spelled_out(name: &Value) -> Option<Table> {
        let named: Self = name.as_str()?.parse().ok()?;
        Table::try_from(named).ok()
    }

    /// A flag's text: a name of one or several objectives.
    pub(super) fn name(text: &str) -> Result<Value, String> {
        text.parse::<Self>().map(|_| Value::String(text.into()))
    }
}

impl SettingValue for Objective {
    fn parts() -> Vec<Setting> {
        let weight = |(name, weight, doc): (&str, f64, &str)| {
            Setting::new::<f64>(name, doc)
                .range(at_least(0.0))
                .default(weight)
        };
        Self::default().weights().map(weight).into()
    }

    fn check(&self, key: &str, _range: Option<Range>, problems: &mut Vec<String>) {
        for (name, weight, _) in self.weights() {
            weight.check(&join(key, name), Some(at_least(0.0)), problems);
        }
    }
}
