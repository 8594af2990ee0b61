//! Differences between the tokenizers of encoder families.

use serde::{Deserialize, Serialize};

/// The tokenizer conventions of encoder families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerFamily {
    /// WordPiece, `[CLS] A [SEP] B [SEP]`, token types 0 and 1.
    #[default]
    Bert,
    /// Byte-level BPE, `<s> A </s></s> B </s>`, token type 0 throughout.
    Roberta,
    /// As BERT.
    Electra,
    /// As BERT, but without token types: 0 throughout.
    Distilbert,
}

/// Spelling of special tokens, unless the files specify otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `[CLS]`
    Brackets,
    /// `<s>`
    Angles,
}

/// The kind of tokenizer implemented by a family's class in transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// WordPiece with BERT's normalization and pre-tokenization.
    Wordpiece,
    /// BPE of bytes.
    ByteLevelBpe,
}

/// The tokenizer conventions of a family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conventions {
    /// The name in settings and flags.
    name: &'static str,
    /// Whether the second text of a pair has token type 1.
    pub(crate) token_types: bool,
    /// Whether the texts of a pair are separated by two separators.
    pub(crate) double_separator: bool,
    /// Spelling of special tokens.
    pub(super) spelling: Spelling,
    /// The tokenizer class in transformers, and the kind of tokenizer that it implements.
    pub(super) class: (&'static str, Kind),
}

impl TokenizerFamily {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Bert, Self::Roberta, Self::Electra, Self::Distilbert];

    /// The name in settings and flags.
    pub fn name(self) -> &'static str {
        self.conventions().name
    }

    /// The family with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// The first family whose tokenizer class is of this kind.
    pub(super) fn with_kind(kind: Kind) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|family| family.conventions().class.1 == kind)
            .unwrap_or_default()
    }

    /// The conventions of this family.
    pub(crate) fn conventions(self) -> Conventions {
        let bert = Conventions {
            name: "bert",
            token_types: true,
            double_separator: false,
            spelling: Spelling::Brackets,
            class: ("BertTokenizer", Kind::Wordpiece),
        };
        match self {
            Self::Bert => bert,
            Self::Electra => Conventions {
                name: "electra",
                class: ("ElectraTokenizer", Kind::Wordpiece),
                ..bert
            },
            Self::Distilbert => Conventions {
                name: "distilbert",
                token_types: false,
                class: ("DistilBertTokenizer", Kind::Wordpiece),
                ..bert
            },
            Self::Roberta => Conventions {
                name: "roberta",
                token_types: false,
                double_separator: true,
                spelling: Spelling::Angles,
                class: ("RobertaTokenizer", Kind::ByteLevelBpe),
            },
        }
    }
}
