//! Input formats: reads files into tables, tagged words, questions or sequences, and writes predictions back to files.
//!
//! Each format is one module with a [`FormatSpec`]. [`Format::spec`] is the only place that lists them; all other code
//! uses the specification. To add a format, add a variant to [`Format`], its module, and a line here.

mod bioasq;
mod conll;
mod csv;
pub(crate) mod encoding;
pub mod fasta;
pub(crate) mod format;
mod json;
pub(crate) mod jsonl;
mod names;
pub(crate) mod options;
mod parquet;
pub mod questions;
pub(crate) mod read;
mod relations;
pub mod spec;
mod squad;
pub(crate) mod stream;
pub mod tagged;

pub use self::format::Format;
pub use self::options::{ReadOptions, parse_delimiter};
pub use self::read::{read_relations, read_table, read_table_from, write_table};
pub use self::spec::FormatSpec;

impl Format {
    /// The description of this format.
    pub fn spec(self) -> &'static FormatSpec {
        match self {
            Self::Csv => &csv::CSV,
            Self::Tsv => &csv::TSV,
            Self::Jsonl => &jsonl::SPEC,
            Self::Conll => &conll::SPEC,
            Self::Relations => &relations::SPEC,
            Self::Fasta => &fasta::SPEC,
            Self::Squad => &squad::SPEC,
            Self::Bioasq => &bioasq::SPEC,
            Self::Parquet => &parquet::SPEC,
        }
    }
}

#[cfg(test)]
mod tests;
