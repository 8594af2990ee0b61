//! The model and tokenizer that a run starts from: folders, tokenizers and fresh configurations.

use std::path::{Path, PathBuf};

use bertkit_data::tokenizer::{TextTokenizer, TokenizerFamily};
use bertkit_model::{EncoderConfig, Family, FamilyDescriptor, ModelError, TokenizerStyle};

use crate::config::FreshModel;
use crate::error::{TrainError, setting};

/// The tokenizer conventions of a family.
pub(crate) const fn tokenizer_family(family: &FamilyDescriptor) -> TokenizerFamily {
    match family.tokenizer {
        TokenizerStyle::Bert => TokenizerFamily::Bert,
        TokenizerStyle::Roberta => TokenizerFamily::Roberta,
        TokenizerStyle::Electra => TokenizerFamily::Electra,
        TokenizerStyle::DistilBert => TokenizerFamily::Distilbert,
    }
}

/// The model's folder, also if the directory of a finished run is given.
pub(crate) fn model_folder(path: &Path) -> PathBuf {
    let within = path.join("model");
    if !path.join("config.json").is_file() && within.join("config.json").is_file() {
        within
    } else {
        path.into()
    }
}

/// The tokenizer of a model folder; its ids must fit the embedding.
///
/// # Errors
/// It is missing, damaged, or its vocabulary is larger than the embedding.
pub(crate) fn open_tokenizer(
    folder: &Path,
    config: &EncoderConfig,
) -> Result<TextTokenizer, TrainError> {
    let tokenizer = TextTokenizer::from_dir(folder, tokenizer_family(config.family))?;
    check_tokenizer(&tokenizer, folder, config)?;
    Ok(tokenizer)
}

/// Checks that the ids of a tokenizer fit the embedding of its model; `folder` is where the
/// tokenizer or its vocabulary comes from.
pub(crate) fn check_tokenizer(
    tokenizer: &TextTokenizer,
    folder: &Path,
    config: &EncoderConfig,
) -> Result<(), TrainError> {
    if tokenizer.vocab_size() > config.vocab_size {
        return Err(setting(
            format!(
                "the tokenizer in `{}` has {} tokens, but the model's embedding has {} rows",
                folder.display(),
                tokenizer.vocab_size(),
                config.vocab_size
            ),
            "tokenizer and weights do not belong together; take both from the same checkpoint",
        ));
    }
    Ok(())
}

/// The configuration of a fresh encoder over a vocabulary.
///
/// # Errors
/// The sizes are inconsistent.
pub(crate) fn fresh_config(
    fresh: &FreshModel,
    vocab_size: usize,
    pad_token_id: usize,
) -> Result<EncoderConfig, TrainError> {
    let mut config = EncoderConfig::new(
        fresh.family,
        vocab_size,
        fresh.hidden_size,
        fresh.num_hidden_layers,
        fresh.num_attention_heads,
        fresh.intermediate_size,
    );
    config.max_position_embeddings = fresh.max_position_embeddings;
    config.hidden_dropout = fresh.hidden_dropout;
    config.attention_dropout = fresh.attention_dropout;
    config.classifier_dropout = fresh.hidden_dropout;
    config.pad_token_id = pad_token_id;
    if let Some(size) = fresh.embedding_size {
        if !fresh.family.descriptor().has_embedding_width() && size != fresh.hidden_size {
            let families = Family::ALL.into_iter();
            let families = families.filter(|family| family.descriptor().has_embedding_width());
            let names: Vec<&str> = families.map(Family::name).collect();
            return Err(setting(
                format!(
                    "`model.fresh.embedding_size` is {size}, but only {} have embeddings of a width of their own",
                    names.join(" and ")
                ),
                format!(
                    "leave it out, or use family = \"{}\"",
                    names.join("\" or \"")
                ),
            ));
        }
        config.embedding_size = size;
    }
    if let Some(range) = fresh.initializer_range {
        if !(range > 0.0 && range <= 1.0) {
            return Err(setting(
                format!(
                    "`model.fresh.initializer_range` is {range}, expected more than 0 and 1 at most"
                ),
                "leave it out for 0.02, or try 1 / √hidden_size for a narrow encoder",
            ));
        }
        config.initializer_range = range;
    }
    config
        .check(Path::new("model.fresh"))
        .map_err(ModelError::from)?;
    Ok(config)
}

/// A list of tensors as a sentence.
pub(crate) fn shorten(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = names
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
