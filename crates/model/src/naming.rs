//! Hugging Face's names for the parameters of our modules.

use crate::architecture::Architecture;
use crate::families::{EncoderConfig, Family, FamilyDescriptor, MlmNames};

/// Translates parameter paths of our modules (`encoder.layers.0.qkv.weight`) to names in a checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct Naming {
    family: &'static FamilyDescriptor,
    architecture: Architecture,
    /// Parameter sets that are numbered together: see [`crate::EncoderSpec::group_size`].
    group_size: usize,
}

impl Naming {
    /// The naming for a configuration and a head.
    pub fn new(config: &EncoderConfig, architecture: Architecture) -> Self {
        Self {
            family: config.family,
            architecture,
            group_size: config.spec().group_size,
        }
    }

    /// The names of the tensors that, stacked by rows, make up the parameter at `path`.
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
        let names = &self.family.names.encoder;
        if let Some(rest) = path.strip_prefix("layers.")
            && let Some((set, rest)) = rest.split_once('.')
            && let Ok(set) = set.parse()
            && let Some((module, leaf)) = rest.rsplit_once('.')
        {
            let block = (names.block)(set, self.group_size);
            let names = &names.blocks;
            let modules: &[&str] = match module {
                "qkv" => &names.qkv,
                "attention_output" => &[names.attention_output],
                "attention_norm" => &[names.attention_norm],
                "intermediate" => &[names.intermediate],
                "output" => &[names.output],
                _ => &[names.output_norm],
            };
            return modules
                .iter()
                .map(|module| format!("{block}.{module}.{leaf}"))
                .collect();
        }
        let name = match path.rsplit_once('.') {
            Some(("embeddings.projection", leaf)) => format!("{}.{leaf}", names.projection),
            Some(("embeddings.norm", leaf)) => format!("embeddings.LayerNorm.{leaf}"),
            Some(("embeddings", "word")) => "embeddings.word_embeddings.weight".into(),
            Some(("embeddings", "position")) => "embeddings.position_embeddings.weight".into(),
            Some(("embeddings", "token_type")) => "embeddings.token_type_embeddings.weight".into(),
            Some(("pooler", leaf)) => format!("{}.{leaf}", names.pooler),
            _ => path.to_owned(),
        };
        vec![name]
    }

    /// The discriminator has the names of its own model folder; the generator's begin with
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
        let names = &self.family.names.head;
        let module = match (self.architecture, module) {
            (Architecture::Pretraining, "next_sentence") => names.pair,
            (Architecture::Pretraining, module) => {
                let module = module.strip_prefix("mlm").unwrap_or(module);
                return mlm_name(&names.mlm, module.trim_start_matches('.'), leaf);
            }
            (Architecture::MaskedLm, module) => return mlm_name(&names.mlm, module, leaf),
            (Architecture::Discriminator, "dense") => "discriminator_predictions.dense",
            (Architecture::Discriminator, _) => "discriminator_predictions.dense_prediction",
            (Architecture::Sequence, "sections.hidden") => "section_attention.hidden",
            (Architecture::Sequence, "sections.score") => "section_attention.score",
            (Architecture::Sequence, "dense") => names.sequence_dense,
            (Architecture::Sequence, _) => names.sequence_output,
            (Architecture::Choice, "dense") => names.choice_dense,
            (Architecture::Choice, _) => "classifier",
            (Architecture::Token, "crf") => "crf",
            (Architecture::Token, _) => "classifier",
            (Architecture::Span, module) if module.starts_with("joint.") => module,
            (Architecture::Span, _) => "qa_outputs",
            (Architecture::Encoder | Architecture::GeneratorAndDiscriminator, module) => module,
        };
        format!("{module}.{leaf}")
    }

    /// The name that transformers uses for this class: the encoder's tensors have the family's
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
            format!("{}.{part}", self.family.names.encoder.prefix)
        } else {
            part.to_owned()
        }
    }

    /// Another name that checkpoints use for the same tensor.
    pub fn alias(&self, part: &str) -> Option<&'static str> {
        let mlm = &self.family.names.head.mlm;
        mlm.decoder_bias.filter(|_| part == mlm.bias)
    }

    /// The name of the copy that is written in addition to this tensor, given the names written so far: the
    /// bias of an untied decoder, in families that store it twice.
    pub(crate) fn written_copy<'a>(
        &self,
        part: &str,
        mut written: impl Iterator<Item = &'a str>,
    ) -> Option<&'static str> {
        let mlm = &self.family.names.head.mlm;
        let untied = part == mlm.bias && written.any(|name| name == mlm.decoder);
        mlm.decoder_bias
            .filter(|_| untied && mlm.writes_decoder_bias)
    }

    /// Whether to read the bias of an untied decoder instead of this tensor, given the names used so far.
    pub(crate) fn prefers_alias<'a>(
        &self,
        part: &str,
        used: impl Iterator<Item = &'a str>,
    ) -> bool {
        self.written_copy(part, used).is_some()
    }

    /// A checkpoint's name without the parts that differ between versions of transformers and between
    /// classes: the family's prefix, a wrapper's `module.`, and the old `gamma` and `beta`.
    pub(crate) fn canonical(&self, name: &str) -> String {
        let name = name.strip_prefix("module.").unwrap_or(name);
        let name = name
            .strip_prefix(self.family.names.encoder.prefix)
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

    /// Whether a tensor in a checkpoint can be ignored: a copy of a tied tensor, or a buffer.
    pub(crate) fn is_redundant(&self, name: &str) -> bool {
        let mlm = &self.family.names.head.mlm;
        matches!(name, "embeddings.position_ids" | "embeddings.token_type_ids")
            || name == mlm.decoder
            || mlm.decoder_bias == Some(name)
            // If the decoder is untied, the bias is read under its second name.
            || (mlm.writes_decoder_bias && name == mlm.bias)
    }
}

fn mlm_name(names: &MlmNames, module: &str, leaf: &str) -> String {
    let module = match (module, leaf) {
        ("", "bias") => return names.bias.into(),
        ("", _) => return names.decoder.into(),
        ("dense", _) => names.dense,
        _ => names.norm,
    };
    format!("{module}.{leaf}")
}

/// The family whose prefix most names have, for configurations without a `model_type`.
pub(crate) fn guess_family<'a>(names: impl Iterator<Item = &'a str>) -> Option<Family> {
    let mut counts = [0_usize; Family::ALL.len()];
    for name in names {
        let name = name.strip_prefix("module.").unwrap_or(name);
        for (count, family) in counts.iter_mut().zip(Family::ALL) {
            let rest = name.strip_prefix(family.descriptor().names.encoder.prefix);
            if rest.is_some_and(|rest| rest.starts_with('.')) {
                *count += 1;
            }
        }
    }
    let best = (0..counts.len()).max_by_key(|&i| counts[i])?;
    (counts[best] > 0).then(|| Family::ALL[best])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(family: Family, architecture: Architecture) -> Naming {
        Naming::new(&EncoderConfig::new(family, 10, 8, 2, 2, 16), architecture)
    }

    #[test]
    fn stacked_projections_name_their_three_parts() {
        let naming = naming(Family::Bert, Architecture::Sequence);
        let parts = naming.parts("encoder.layers.11.qkv.bias");
        assert_eq!(parts[1], "encoder.layer.11.attention.self.key.bias");
        assert_eq!(
            naming.full_name(&parts[2]),
            "bert.encoder.layer.11.attention.self.value.bias"
        );
    }

    #[test]
    fn a_pair_keeps_the_names_of_its_two_models_apart() {
        let naming = naming(Family::Electra, Architecture::GeneratorAndDiscriminator);
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
        let naming = naming(Family::Bert, Architecture::Encoder);
        assert_eq!(
            naming.canonical("module.bert.embeddings.LayerNorm.gamma"),
            "embeddings.LayerNorm.weight"
        );
        assert_eq!(naming.canonical("pooler.dense.bias"), "pooler.dense.bias");
        assert_eq!(
            guess_family(["cls.x", "roberta.a", "roberta.b"].into_iter()),
            Some(Family::Roberta)
        );
        assert_eq!(guess_family(["cls.x"].into_iter()), None);
    }
}
