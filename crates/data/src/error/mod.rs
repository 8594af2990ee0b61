//! Errors of this crate: one enum per concern, each with a hint, and [`DataError`], which wraps them all.
//!
//! This module does not depend on the modules that raise the errors.

mod corpus;
mod fasta;
mod file;
mod label;
mod mention;
mod question;
mod split;
mod table;
mod tag;
mod text;

pub use self::corpus::CorpusError;
pub use self::fasta::FastaError;
pub use self::file::FileError;
pub use self::label::LabelError;
pub use self::mention::MentionError;
pub use self::question::QuestionError;
pub use self::split::SplitError;
pub use self::table::TableError;
pub use self::tag::TagError;
pub(crate) use self::text::{list, short};

/// Any error in input data or in a request about it.
///
/// Lines and columns of text are counted from 1, byte offsets from 0. A line is a line of the file, not a row of the
/// table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Opening, decoding or recognising a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Rows and columns.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Labels and classes.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// Splits and folds.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// Tags and spans.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// Questions and answers.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// FASTA.
    #[error(transparent)]
    Fasta(#[from] FastaError),
    /// Corpora for pretraining.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
}

impl DataError {
    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Table(error) => error.hint(),
            Self::Label(error) => error.hint(),
            Self::Split(error) => error.hint(),
            Self::Tag(error) => error.hint(),
            Self::Question(error) => error.hint(),
            Self::Fasta(error) => error.hint(),
            Self::Corpus(error) => error.hint(),
        }
    }
}
