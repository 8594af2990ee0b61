//! The classes of models: an encoder with one head or another.

/// An encoder and its head, and with them the class in transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// The encoder alone.
    Encoder,
    /// Masked language modelling.
    MaskedLm,
    /// Masked words and pairs of segments: next sentence (BERT) or sentence order (ALBERT).
    Pretraining,
    /// ELECTRA's discriminator.
    Discriminator,
    /// One answer for each sequence.
    Sequence,
    /// One score for each choice.
    Choice,
    /// One tag for each token.
    Token,
    /// Start and end of an answer.
    Span,
    /// ELECTRA's two models on the same embeddings, as the checkpoints of a run hold them.
    GeneratorAndDiscriminator,
}

impl Architecture {
    /// What the name of the class in transformers ends in.
    pub(crate) const fn class_suffix(self) -> &'static str {
        match self {
            Self::Encoder => "Model",
            Self::MaskedLm => "ForMaskedLM",
            Self::Pretraining | Self::Discriminator | Self::GeneratorAndDiscriminator => {
                "ForPreTraining"
            }
            Self::Sequence => "ForSequenceClassification",
            Self::Choice => "ForMultipleChoice",
            Self::Token => "ForTokenClassification",
            Self::Span => "ForQuestionAnswering",
        }
    }

    /// Whether every family has this head.
    pub(crate) const fn is_common(self) -> bool {
        match self {
            Self::Encoder
            | Self::MaskedLm
            | Self::Sequence
            | Self::Choice
            | Self::Token
            | Self::Span => true,
            Self::Pretraining | Self::Discriminator | Self::GeneratorAndDiscriminator => false,
        }
    }
}
