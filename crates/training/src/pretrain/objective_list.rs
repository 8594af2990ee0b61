//! The objectives of a run, each with the weight of its loss: the table `objective`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bertkit_data::pretraining::masking::Masking;
use bertkit_data::pretraining::sequences::Packing;
use bertkit_model::{Family, FamilyDescriptor};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::descriptor::{Descriptor, FamilyMismatch, Pairs};
use super::objectives::Objective;

/// The loss of a run: the sum of the mean losses of its objectives, each times its weight.
///
/// In a configuration it is a table of weights, or a short form for the weights of a published system,
/// such as `mlm+nsp`.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveList {
    /// Weights other than 0, in the order of [`Objective::ALL`].
    weights: Vec<(Objective, f64)>,
}

impl Default for ObjectiveList {
    /// Masked words.
    fn default() -> Self {
        Self::new([(Objective::MaskedLm, 1.0)])
    }
}

impl ObjectiveList {
    /// A list of objectives and weights.
    pub fn new(weights: impl IntoIterator<Item = (Objective, f64)>) -> Self {
        let mut list = Self {
            weights: Vec::new(),
        };
        for (objective, weight) in weights {
            list.set(objective, weight);
        }
        list
    }

    /// The short forms of the published systems: `mlm`, `mlm+nsp` and so on.
    pub(crate) fn forms() -> Vec<String> {
        let masked_lm = Objective::MaskedLm.descriptor().short();
        let form = |objective: &dyn Descriptor| match objective.includes_masked_lm() {
            true => objective.short().to_owned(),
            false => format!("{masked_lm}+{}", objective.short()),
        };
        descriptors().map(form).collect()
    }

    /// The meaning of the short forms, in a sentence.
    pub(crate) fn help() -> String {
        let masked_lm = Objective::MaskedLm.descriptor();
        let others = descriptors().filter(|objective| objective.key() != masked_lm.key());
        let (alone, beside): (Vec<_>, Vec<_>) =
            others.partition(|objective| objective.includes_masked_lm());
        let beside: Vec<&str> = beside.iter().map(|objective| objective.help()).collect();
        let alone: String = alone
            .iter()
            .map(|objective| format!(", or {}", objective.help()))
            .collect();
        format!(
            "What is learnt: {}, beside them {}{alone}",
            masked_lm.help(),
            beside.join(" or ")
        )
    }

    fn set(&mut self, objective: Objective, weight: f64) {
        self.weights.retain(|&(known, _)| known != objective);
        if weight != 0.0 {
            self.weights.push((objective, weight));
            self.weights.sort_by_key(|&(objective, _)| objective);
        }
    }

    /// The weight of an objective; 0 if it is not in the list.
    pub fn weight(&self, objective: Objective) -> f64 {
        let found = self.weights.iter().find(|&&(known, _)| known == objective);
        found.map_or(0.0, |&(_, weight)| weight)
    }

    /// The objectives with a positive weight.
    pub(crate) fn active(&self) -> impl Iterator<Item = (&'static dyn Descriptor, f64)> {
        let active = self.weights.iter().filter(|(_, weight)| *weight > 0.0);
        active.map(|&(objective, weight)| (objective.descriptor(), weight))
    }

    /// Whether an objective has a positive weight.
    pub(crate) fn contains(&self, objective: Objective) -> bool {
        self.weight(objective) > 0.0
    }

    /// The packing that the objectives need, or were published with.
    pub(crate) fn packing(&self) -> Packing {
        let packing = self.active().find_map(|(objective, _)| objective.packing());
        packing.unwrap_or(Packing::Across)
    }

    /// Whether no other packing will do: an objective reads the labels of pairs.
    pub(crate) fn needs_packing(&self) -> bool {
        self.active()
            .any(|(objective, _)| objective.pairs() == Pairs::Labelled)
    }

    /// The masking of the published code.
    pub(crate) fn masking(&self) -> Masking {
        let masking = self.active().find_map(|(objective, _)| objective.masking());
        masking.unwrap_or_else(Masking::bert)
    }

    /// The family of a fresh model whose sizes are given for `family`.
    pub(crate) fn fresh_family(&self, family: Family) -> Family {
        self.active().fold(family, |family, (objective, _)| {
            objective.fresh_family(family)
        })
    }

    /// Checks that a family has the heads of all objectives.
    ///
    /// # Errors
    /// The first objective that the family cannot be trained with.
    pub(crate) fn check_family(&self, family: &FamilyDescriptor) -> Result<(), FamilyMismatch> {
        self.active()
            .try_for_each(|(objective, _)| objective.check_family(family))
    }

    /// Missing objectives, and objectives that exclude each other.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.active().next().is_none() {
            problems.push("every weight of `objective` is 0: there is nothing to learn".into());
        }
        if !self.contains(Objective::MaskedLm) {
            problems.push(
                "`objective.mlm` is 0: the other objectives are learnt beside masked words".into(),
            );
        }
        let labelled = |objective: &&dyn Descriptor| objective.pairs() == Pairs::Labelled;
        let keys = |objectives: Vec<&'static dyn Descriptor>, prefix: &str| {
            let keys = objectives.iter().map(|o| format!("`{prefix}{}`", o.key()));
            keys.collect::<Vec<_>>().join(" and ")
        };
        let pairs: Vec<_> = self.active().map(|(o, _)| o).filter(labelled).collect();
        if pairs.len() > 1 {
            problems.push(format!(
                "{} need different pairs: choose one",
                keys(pairs.clone(), "objective.")
            ));
        }
        for (objective, _) in self.active() {
            if let Pairs::Unsupported(name) = objective.pairs()
                && !pairs.is_empty()
            {
                problems.push(format!(
                    "{name} has no head for pairs: leave {} at 0",
                    keys(descriptors().filter(labelled).collect(), "")
                ));
            }
        }
        problems
    }
}

/// The descriptors of all objectives.
fn descriptors() -> impl Iterator<Item = &'static dyn Descriptor> {
    Objective::ALL
        .iter()
        .map(|objective| objective.descriptor())
}

/// The short forms in backticks, for messages.
fn quoted_forms() -> String {
    let forms = ObjectiveList::forms();
    let quoted: Vec<String> = forms.iter().map(|form| format!("`{form}`")).collect();
    quoted.join(", ")
}

/// The accepted values in a configuration, for error messages.
fn expected() -> String {
    let keys: Vec<&str> = descriptors().map(Descriptor::key).collect();
    let (last, others) = keys.split_last().expect("there are objectives");
    format!(
        "expected {}, or a table with the weights {} and {last}",
        quoted_forms(),
        others.join(", ")
    )
}

impl FromStr for ObjectiveList {
    type Err = String;

    /// Short names joined by `+`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut list = Self::new([]);
        for part in text.split('+').map(str::trim) {
            let found = Objective::ALL
                .iter()
                .find(|objective| objective.descriptor().short() == part);
            let Some(&objective) = found else {
                return Err(format!(
                    "`{part}` is no objective, expected {}, or a table of weights",
                    quoted_forms()
                ));
            };
            let descriptor = objective.descriptor();
            if descriptor.includes_masked_lm() {
                list.set(Objective::MaskedLm, 1.0);
            }
            list.set(objective, descriptor.published_weight());
        }
        Ok(list)
    }
}

impl Serialize for ObjectiveList {
    /// The weight of every objective, 0 included.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let weights = Objective::ALL
            .iter()
            .map(|&objective| (objective.descriptor().key(), self.weight(objective)));
        serializer.collect_map(weights)
    }
}

/// How objectives are written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Short(String),
    Weights(BTreeMap<String, f64>),
    Other(IgnoredAny),
}

impl<'de> Deserialize<'de> for ObjectiveList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Short(text) => text.parse().map_err(D::Error::custom),
            Form::Weights(weights) => {
                let known = |(key, weight): (String, f64)| {
                    let found = Objective::ALL
                        .iter()
                        .find(|objective| objective.descriptor().key() == key);
                    found.map(|&objective| (objective, weight))
                };
                let weights: Option<Vec<_>> = weights.into_iter().map(known).collect();
                let weights = weights.ok_or_else(|| D::Error::custom(expected()))?;
                Ok(Self::new(weights))
            }
            Form::Other(IgnoredAny) => Err(D::Error::custom(expected())),
        }
    }
}

impl fmt::Display for ObjectiveList {
    /// The weighted sum, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .active()
            .map(|(objective, weight)| format!("{weight} × {}", objective.title()))
            .collect();
        f.write_str(&parts.join(" + "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn short_forms_stand_for_the_published_weights() {
        let weights = |text: &str| text.parse::<ObjectiveList>().unwrap().weights;
        use Objective::{MaskedLm, NextSentence, ReplacedTokens};
        assert_eq!(weights("mlm"), [(MaskedLm, 1.0)]);
        assert_eq!(weights("mlm+nsp"), [(MaskedLm, 1.0), (NextSentence, 1.0)]);
        assert_eq!(weights("rtd"), [(MaskedLm, 1.0), (ReplacedTokens, 50.0)]);
        assert_eq!(weights(" nsp + mlm "), weights("mlm+nsp"));
    }

    #[test]
    fn names_and_keys_are_unique() {
        for names in [
            descriptors().map(Descriptor::key).collect::<Vec<_>>(),
            descriptors().map(Descriptor::short).collect(),
            descriptors().map(Descriptor::loss_name).collect(),
        ] {
            let mut unique = names.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), names.len(), "{names:?}");
        }
    }

    #[test]
    fn every_weight_is_written_and_read_back() {
        let list = ObjectiveList::new([(Objective::MaskedLm, 1.0), (Objective::NextSentence, 0.5)]);
        let text = toml::to_string(&list).unwrap();
        assert_eq!(text.lines().count(), Objective::ALL.len());
        assert_eq!(toml::from_str::<ObjectiveList>(&text).unwrap(), list);
    }
}
