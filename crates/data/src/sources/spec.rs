//! Format specifications: names, detection, readers and writers.

use std::io::{self, Write};

use serde_json::Value;

use super::fasta::file::FastaFile;
use super::options::ReadOptions;
use super::tagged::options::TaggedOptions;
use crate::error::DataError;
use crate::qa::Questions;
use crate::table::Table;
use crate::tagging::TaggedCorpus;

/// Reads a table from the bytes of a file, given its name for messages.
pub type ReadTable = fn(Vec<u8>, &str, &ReadOptions) -> Result<Table, DataError>;
/// Writes a table: columns, then rows with one value per column.
pub type WriteTable =
    fn(&mut dyn Write, &[String], &mut dyn Iterator<Item = Vec<Value>>) -> io::Result<()>;
/// Reads tagged words from the text of a file, given its name for messages.
pub type ReadTagged = fn(String, &str, &TaggedOptions) -> Result<TaggedCorpus, DataError>;
/// Reads questions from a JSON document, given the file's name for messages and whether answers must occur in their
/// texts.
pub type ReadQuestions = fn(&Value, &str, bool) -> Result<Questions, DataError>;
/// Converts a JSON document to a table, given the file's text and its name for messages.
pub type ReadDocumentTable = fn(&str, &Value, &str) -> Result<Table, DataError>;
/// Reads sequence files as one table.
pub type ReadSequences = fn(&[FastaFile]) -> Result<Table, DataError>;

/// The description of a format. A reader that is `None` means that the format does not support this kind of data.
#[derive(Debug, Clone, Copy)]
pub struct FormatSpec {
    /// The name in configurations and on the command line.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Other names that are accepted but not offered on the command line.
    pub hidden_aliases: &'static [&'static str],
    /// File extensions, in lower case, without the dot.
    pub extensions: &'static [&'static str],
    /// Whether users can select it by name; the others are detected by extension and content only.
    pub selectable: bool,
    /// The first bytes of every file in this format.
    pub signature: Option<&'static [u8]>,
    /// Defaults for the options `delimiter`, `quote` and `header`; `None` if the format ignores them.
    pub delimited: Option<Delimited>,
    /// Tables.
    pub table: Option<TableFormat>,
    /// Tagged words.
    pub tagged: Option<TaggedFormat>,
    /// One JSON document per file.
    pub document: Option<DocumentFormat>,
    /// Biological sequences.
    pub sequences: Option<ReadSequences>,
}

impl FormatSpec {
    /// A format that supports nothing, used as the base of the others.
    pub(super) const EMPTY: Self = Self {
        name: "",
        aliases: &[],
        hidden_aliases: &[],
        extensions: &[],
        selectable: true,
        signature: None,
        delimited: None,
        table: None,
        tagged: None,
        document: None,
        sequences: None,
    };

    /// The name and all aliases, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = vec![self.name];
        names.extend(self.aliases);
        names.extend(self.hidden_aliases);
        names.sort_unstable();
        names
    }
}

/// Defaults of delimited text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimited {
    /// The byte between fields.
    pub delimiter: u8,
    /// Whether quotes enclose fields.
    pub quoting: bool,
}

/// A format of tables.
#[derive(Debug, Clone, Copy)]
pub struct TableFormat {
    /// The reader.
    pub read: ReadTable,
    /// The writer, if tables can be written in this format.
    pub write: Option<WriteTable>,
}

/// A format of tagged words.
#[derive(Debug, Clone, Copy)]
pub struct TaggedFormat {
    /// The reader.
    pub read: ReadTagged,
    /// Whether the extension alone decides; otherwise the content does.
    pub by_extension: bool,
    /// Detects the format from the text of a file.
    pub sniff: Option<fn(&str) -> bool>,
}

/// A format whose files are one JSON document.
#[derive(Debug, Clone, Copy)]
pub struct DocumentFormat {
    /// Detects the format of a document.
    pub sniff: fn(&Value) -> bool,
    /// Reads the questions in it.
    pub questions: ReadQuestions,
    /// Converts it to a table, if possible.
    pub table: Option<ReadDocumentTable>,
}
