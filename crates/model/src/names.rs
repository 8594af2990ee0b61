//! Hugging Face's names for our parameters.

use crate::config::Family;

/// What stands on the encoder, and with it the class name in transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// The encoder alone.
    Encoder,
    /// Masked language modelling.
    MaskedLm,
    /// BERT's pretraining: masked words and next sentence.
    Pretraining,
    /// ELECTRA's discriminator.
    Discriminator,
    /// One answer a sequence.
    Sequence,
    /// One score a choice.
    Choice,
    /// One tag a token.
    Token,
    /// Start and end of an answer.
    Span,
    /// ELECTRA's two models on the same embeddings, as checkpoints of a run hold them.
    GeneratorAndDiscriminator,
}

impl Architecture {
    /// The class in transformers, for `architectures` in `config.json`.
    pub fn class_name(self, family: Family) -> String {
        let prefix = match family {
            Family::Bert => "Bert",
            Family::Roberta => "Roberta",
            Family::Electra => "Electra",
            Family::Distilbert => "DistilBert",
        };
        let suffix = match self {
            Self::Encoder => "Model",
            Self::MaskedLm => "ForMaskedLM",
            Self::Pretraining | Self::Discriminator | Self::GeneratorAndDiscriminator => {
                "ForPreTraining"
            }
            Self::Sequence => "ForSequenceClassification",
            Self::Choice => "ForMultipleChoice",
            Self::Token => "ForTokenClassification",
            Self::Span => "ForQuestionAnswering",
        };
        format!("{prefix}{suffix}")
    }

    /// Whether that class has a pooler in this family.
    pub fn has_pooler(self, family: Family) -> bool {
        match family {
            Family::Bert => matches!(
                self,
                Self::Encoder | Self::Pretraining | Self::Sequence | Self::Choice
            ),
            Family::Roberta => matches!(self, Self::Encoder | Self::Choice),
            Family::Electra | Family::Distilbert => false,
        }
    }
}

/// Translates the paths of our modules (`encoder.layers.0.qkv.weight`) to names in a checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct Naming {
    /// Decides prefix and spelling.
    pub family: Family,
    /// Decides the head's names.
    pub architecture: Architecture,
}

impl Naming {
    /// The names of the tensors that, stacked by rows, make the parameter at `path`.
    ///
    /// One name for most; three for the stacked query, key and value. Names of the encoder's
    /// tensors carry no family prefix here: [`Self::full_name`] adds it.
    pub fn parts(&self, path: &str) -> Vec<String> {
        if self.architecture == Architecture::GeneratorAndDiscriminator {
            return self.parts_of_pair(path);
        }
        if let Some(rest) = path.strip_prefix("head.") {
            return vec![self.head_name(rest)];
        }
        let path = path.strip_prefix("encoder.").unwrap_or(path);
        if let Some(rest) = path.strip_prefix("layers.")
            && let Some((number, rest)) = rest.split_once('.')
            && let Some((module, leaf)) = rest.rsplit_once('.')
        {
            let modules: &[&str] = match (self.family, module) {
                (Family::Distilbert, "qkv") => {
                    &["attention.q_lin", "attention.k_lin", "attention.v_lin"]
                }
                (Family::Distilbert, "attention_output") => &["attention.out_lin"],
                (Family::Distilbert, "attention_norm") => &["sa_layer_norm"],
                (Family::Distilbert, "intermediate") => &["ffn.lin1"],
                (Family::Distilbert, "output") => &["ffn.lin2"],
                (Family::Distilbert, _) => &["output_layer_norm"],
                (_, "qkv") => &[
                    "attention.self.query",
                    "attention.self.key",
                    "attention.self.value",
                ],
                (_, "attention_output") => &["attention.output.dense"],
                (_, "attention_norm") => &["attention.output.LayerNorm"],
                (_, "intermediate") => &["intermediate.dense"],
                (_, "output") => &["output.dense"],
                _ => &["output.LayerNorm"],
            };
            let stack = if self.family == Family::Distilbert {
                "transformer"
            } else {
                "encoder"
            };
            return modules
                .iter()
                .map(|m| format!("{stack}.layer.{number}.{m}.{leaf}"))
                .collect();
        }
        let name = match path {
            "embeddings.word" => "embeddings.word_embeddings.weight",
            "embeddings.position" => "embeddings.position_embeddings.weight",
            "embeddings.token_type" => "embeddings.token_type_embeddings.weight",
            "embeddings.norm.weight" => "embeddings.LayerNorm.weight",
            "embeddings.norm.bias" => "embeddings.LayerNorm.bias",
            "embeddings.projection.weight" => "embeddings_project.weight",
            "embeddings.projection.bias" => "embeddings_project.bias",
            "pooler.weight" => "pooler.dense.weight",
            "pooler.bias" => "pooler.dense.bias",
            other => other,
        };
        vec![name.to_owned()]
    }

    /// The discriminator has the names that its own folder gives it; the generator's begin with
    /// `generator.`.
    fn parts_of_pair(&self, path: &str) -> Vec<String> {
        let of = |architecture| Self {
            architecture,
            ..*self
        };
        if let Some(rest) = path.strip_prefix("discriminator.") {
            return of(Architecture::Discriminator).parts(rest);
        }
        let rest = path.strip_prefix("generator.").unwrap_or(path);
        let naming = of(Architecture::MaskedLm);
        let parts = match rest.strip_prefix("projection.") {
            Some(leaf) => naming.parts(&format!("embeddings.projection.{leaf}")),
            None => naming.parts(rest),
        };
        parts
            .iter()
            .map(|part| format!("generator.{part}"))
            .collect()
    }

    fn head_name(&self, path: &str) -> String {
        let (module, leaf) = path.rsplit_once('.').unwrap_or(("", path));
        let module = match (self.architecture, self.family, module) {
            (Architecture::Pretraining, _, "next_sentence") => "cls.seq_relationship",
            (Architecture::Pretraining | Architecture::MaskedLm, family, module) => {
                return mlm_name(
                    family,
                    module
                        .strip_prefix("mlm")
                        .unwrap_or(module)
                        .trim_start_matches('.'),
                    leaf,
                );
            }
            (Architecture::Discriminator, _, "dense") => "discriminator_predictions.dense",
            (Architecture::Discriminator, _, _) => "discriminator_predictions.dense_prediction",
            (Architecture::Sequence, _, "sections.hidden") => "section_attention.hidden",
            (Architecture::Sequence, _, "sections.score") => "section_attention.score",
            (Architecture::Sequence, Family::Bert, _) => "classifier",
            (Architecture::Sequence, Family::Distilbert, "dense") => "pre_classifier",
            (Architecture::Sequence, Family::Distilbert, _) => "classifier",
            (Architecture::Sequence, _, "dense") => "classifier.dense",
            (Architecture::Sequence, _, _) => "classifier.out_proj",
            (Architecture::Choice, Family::Electra, "dense") => "sequence_summary.summary",
            (Architecture::Choice, Family::Distilbert, "dense") => "pre_classifier",
            (Architecture::Choice, _, _) => "classifier",
            (Architecture::Token, _, "crf") => "crf",
            (Architecture::Token, _, _) => "classifier",
            (Architecture::Span, _, module) if module.starts_with("joint.") => module,
            (Architecture::Span, _, _) => "qa_outputs",
            (Architecture::Encoder | Architecture::GeneratorAndDiscriminator, _, module) => module,
        };
        format!("{module}.{leaf}")
    }

    /// The name as transformers writes it for this class: the encoder's tensors with the family's
    /// prefix, unless the class is the encoder alone.
    pub fn full_name(&self, part: &str) -> String {
        let of_encoder = [
            "embeddings.",
            "encoder.",
            "transformer.",
            "pooler.",
            "embeddings_project.",
        ]
        .iter()
        .any(|prefix| part.starts_with(prefix));
        if of_encoder && self.architecture != Architecture::Encoder {
            format!("{}.{part}", self.family.name())
        } else {
            part.to_owned()
        }
    }

    /// Other names under which checkpoints carry the same tensor.
    pub(crate) fn aliases(&self, part: &str) -> &'static [&'static str] {
        match part {
            // Written by transformers before 5 and after: the decoder's bias is the head's.
            "cls.predictions.bias" => &["cls.predictions.decoder.bias"],
            "cls.predictions.decoder.bias" => &["cls.predictions.bias"],
            "lm_head.bias" => &["lm_head.decoder.bias"],
            _ => &[],
        }
    }

    /// Whether a tensor in a checkpoint holds nothing of its own: a copy of a tied one, or a buffer.
    pub(crate) fn is_redundant(name: &str) -> bool {
        matches!(
            name,
            "embeddings.position_ids"
                | "embeddings.token_type_ids"
                | "cls.predictions.decoder.weight"
                | "cls.predictions.decoder.bias"
                | "cls.predictions.bias"
                | "lm_head.decoder.weight"
                | "lm_head.decoder.bias"
                | "vocab_projector.weight"
                | "generator_lm_head.weight"
        )
    }
}

fn mlm_name(family: Family, module: &str, leaf: &str) -> String {
    let base = match family {
        Family::Bert => match (module, leaf) {
            ("", "bias") => return "cls.predictions.bias".into(),
            ("", _) => return "cls.predictions.decoder.weight".into(),
            ("dense", _) => "cls.predictions.transform.dense",
            _ => "cls.predictions.transform.LayerNorm",
        },
        Family::Roberta => match (module, leaf) {
            ("", "bias") => return "lm_head.bias".into(),
            ("", _) => return "lm_head.decoder.weight".into(),
            ("dense", _) => "lm_head.dense",
            _ => "lm_head.layer_norm",
        },
        Family::Electra => match (module, leaf) {
            ("", "bias") => return "generator_lm_head.bias".into(),
            ("", _) => return "generator_lm_head.weight".into(),
            ("dense", _) => "generator_predictions.dense",
            _ => "generator_predictions.LayerNorm",
        },
        Family::Distilbert => match (module, leaf) {
            ("", "bias") => return "vocab_projector.bias".into(),
            ("", _) => return "vocab_projector.weight".into(),
            ("dense", _) => "vocab_transform",
            _ => "vocab_layer_norm",
        },
    };
    format!("{base}.{leaf}")
}

/// A checkpoint's name without what differs between the versions of transformers and between
/// classes: the family's prefix, a wrapper's `module.`, and the old `gamma` and `beta`.
pub(crate) fn canonical(name: &str, family: Family) -> String {
    let name = name.strip_prefix("module.").unwrap_or(name);
    let name = name
        .strip_prefix(family.name())
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(name);
    if let Some(stem) = name.strip_suffix(".gamma") {
        format!("{stem}.weight")
    } else if let Some(stem) = name.strip_suffix(".beta") {
        format!("{stem}.bias")
    } else {
        name.to_owned()
    }
}

/// The family whose prefix most names carry, for configurations that do not say.
pub(crate) fn guess_family<'a>(names: impl Iterator<Item = &'a str>) -> Option<Family> {
    let mut counts = [0_usize; Family::ALL.len()];
    for name in names {
        let name = name.strip_prefix("module.").unwrap_or(name);
        for (i, family) in Family::ALL.iter().enumerate() {
            if name
                .strip_prefix(family.name())
                .is_some_and(|rest| rest.starts_with('.'))
            {
                counts[i] += 1;
            }
        }
    }
    let best = (0..counts.len()).max_by_key(|&i| counts[i])?;
    (counts[best] > 0).then(|| Family::ALL[best])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacked_projections_name_their_three_parts() {
        let naming = Naming {
            family: Family::Bert,
            architecture: Architecture::Sequence,
        };
        let parts = naming.parts("encoder.layers.11.qkv.bias");
        assert_eq!(parts[1], "encoder.layer.11.attention.self.key.bias");
        assert_eq!(
            naming.full_name(&parts[2]),
            "bert.encoder.layer.11.attention.self.value.bias"
        );
    }

    #[test]
    fn a_pair_keeps_the_names_of_its_two_models_apart() {
        let naming = Naming {
            family: Family::Electra,
            architecture: Architecture::GeneratorAndDiscriminator,
        };
        let name = |path: &str| naming.full_name(&naming.parts(path)[0]);
        for (path, expected) in [
            (
                "discriminator.encoder.embeddings.word",
                "electra.embeddings.word_embeddings.weight",
            ),
            (
                "discriminator.head.dense.weight",
                "discriminator_predictions.dense.weight",
            ),
            (
                "generator.layers.1.qkv.bias",
                "generator.encoder.layer.1.attention.self.query.bias",
            ),
            (
                "generator.projection.weight",
                "generator.embeddings_project.weight",
            ),
            (
                "generator.head.norm.bias",
                "generator.generator_predictions.LayerNorm.bias",
            ),
        ] {
            assert_eq!(name(path), expected);
        }
    }

    #[test]
    fn old_and_wrapped_names_are_recognised() {
        assert_eq!(
            canonical("module.bert.embeddings.LayerNorm.gamma", Family::Bert),
            "embeddings.LayerNorm.weight"
        );
        assert_eq!(
            canonical("pooler.dense.bias", Family::Bert),
            "pooler.dense.bias"
        );
        assert_eq!(
            guess_family(["cls.x", "roberta.a", "roberta.b"].into_iter()),
            Some(Family::Roberta)
        );
        assert_eq!(guess_family(["cls.x"].into_iter()), None);
    }
}
