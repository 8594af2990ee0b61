//! Text files to a tokenized corpus: read once, stored in shards, and memory-mapped from there.
//!
//! [`find`] lists the files; [`prepare`] tokenizes them into a folder of shards, or reuses the folder if it is up to date;
//! [`Corpus`] gives access to documents, sentences and tokens by number; [`Statistics`] summarizes a corpus.

mod batches;
mod changes;
mod documents;
mod encode;
mod folder;
mod manifest;
mod prepare;
mod reading;
mod shards;
mod sources;
mod statistics;
#[cfg(test)]
mod tests;
mod tokenized;
mod writer;

pub use self::documents::{CorpusFormat, CorpusOptions};
pub use self::encode::has_words;
pub use self::manifest::{Manifest, SourceRecord};
pub use self::prepare::{Origin, Prepared, Progress, prepare};
pub use self::reading::read_sentences;
pub use self::sources::{Found, find};
pub use self::statistics::{Lengths, QUANTILES, Statistics};
pub use self::tokenized::Corpus;
