//! What can be wrong with files, columns, labels and splits.

use std::io;

/// What is wrong with a data file, or with what was asked of it.
///
/// Lines and columns of text count from 1, byte offsets from 0; a line is a line of the file, not a row of the table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file is not there.
    #[error("`{path}` does not exist")]
    NotFound {
        /// The file asked for.
        path: String,
    },
    /// A directory, where a file belongs.
    #[error("`{path}` is a directory, expected a file")]
    Directory {
        /// The path asked for.
        path: String,
    },
    /// The operating system could not read the file.
    #[error("could not read `{path}`")]
    Read {
        /// The file or stream.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system could not write.
    #[error("could not write the table")]
    Write {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name of the file does not say what is in it.
    #[error(
        "could not tell the format of `{path}` from its name, expected `.csv`, `.tsv`, `.jsonl` or `.ndjson`"
    )]
    UnknownFormat {
        /// The file.
        path: String,
        /// Its extension, without the dot.
        extension: Option<String>,
    },
    /// Not the name of a delimiter.
    #[error(
        "`{found}` is no delimiter, expected `tab`, `comma`, `semicolon`, `pipe`, `space` or one ASCII character"
    )]
    UnknownDelimiter {
        /// What was given.
        found: String,
    },
    /// Not the name of a format.
    #[error("`{found}` is no format, expected `csv`, `tsv` or `jsonl`")]
    UnknownFormatName {
        /// What was given.
        found: String,
    },
    /// Not the name of a corpus's format.
    #[error(
        "`{found}` is no format of a corpus, expected `auto`, `sentences`, `lines`, `jsonl` or `csv`"
    )]
    UnknownCorpusFormat {
        /// What was given.
        found: String,
    },
    /// A folder without text files, or nothing to read at all.
    #[error("`{path}` holds no text file by name{}", match found.as_slice() {
        [] => ": it is empty".to_owned(),
        found => format!(", found {}", list(found, 10)),
    })]
    NoTextFiles {
        /// The folder.
        path: String,
        /// Names of files that it holds instead.
        found: Vec<String>,
    },
    /// A pattern that cannot be understood.
    #[error("`{pattern}` is no pattern of file names: {message}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A pattern that no file fits.
    #[error("no file is called like `{pattern}`")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A packed file that is damaged.
    #[error("could not unpack `{path}` ({packing})")]
    Unpack {
        /// The file.
        path: String,
        /// `gzip` or `Zstandard`.
        packing: &'static str,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// A file whose name says that it is packed.
    #[error("`{path}` is no {expected} file, though its name says so")]
    NotPacked {
        /// The file.
        path: String,
        /// `gzip` or `Zstandard`.
        expected: &'static str,
    },
    /// The tokenizer could not encode a text.
    #[error("could not tokenise a text of the corpus: {message}")]
    Tokenise {
        /// What the tokenizer says.
        message: String,
    },
    /// Nothing in the files of a corpus becomes a token.
    #[error("the corpus is empty: {} with no text in {}", if *files == 1 { "1 file".to_owned() } else { format!("{files} files") }, if *files == 1 { "it" } else { "them" })]
    EmptyCorpus {
        /// How many files there are.
        files: usize,
    },
    /// No line of a corpus holds more than a word.
    #[error("none of the {lines} lines of the corpus is longer than a word")]
    WordList {
        /// How many there are.
        lines: u64,
    },
    /// The tokenised corpus could not be written.
    #[error("could not write the tokenised corpus to `{path}`")]
    WriteShards {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder for the tokenised corpus that holds other things.
    #[error("`{path}` is not empty and holds no tokenised corpus alone, found `{found}`")]
    NotShards {
        /// The folder.
        path: String,
        /// Something that it holds.
        found: String,
    },
    /// A tokenised corpus that is not as it was written.
    #[error("`{path}` of the tokenised corpus is damaged: {problem}")]
    DamagedShards {
        /// The file.
        path: String,
        /// The folder it lies in.
        folder: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The user asked to stop.
    #[error("interrupted while the corpus was read; nothing was written")]
    Interrupted,
    /// Not text, but a container of some kind.
    #[error("`{path}` is {looks_like}, expected plain text")]
    NotPlainText {
        /// The file.
        path: String,
        /// What its first bytes say it is.
        looks_like: &'static str,
    },
    /// Two or four bytes a character.
    #[error("`{path}` is {encoding}, expected UTF-8 (line 1, byte offset 0)")]
    WideEncoding {
        /// The file.
        path: String,
        /// `UTF-16LE`, `UTF-16BE`, `UTF-32LE` or `UTF-32BE`.
        encoding: &'static str,
    },
    /// A byte 0 among the text.
    #[error("line {line} of `{path}` holds a NUL byte (byte offset {byte}), expected text")]
    NulByte {
        /// The file.
        path: String,
        /// Line of the byte.
        line: u64,
        /// Offset of the byte from the start of the file.
        byte: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("line {line} of `{path}` is not UTF-8: byte 0x{found:02x} at byte offset {byte}{}", match looks_like {
        Some(encoding) => format!(" (it looks like {encoding})"),
        None => String::new(),
    })]
    NotUtf8 {
        /// The file.
        path: String,
        /// Line of the first such byte.
        line: u64,
        /// Offset of the first such byte from the start of the file.
        byte: usize,
        /// The byte.
        found: u8,
        /// A guess at the encoding.
        looks_like: Option<&'static str>,
    },
    /// No bytes, or nothing but white space.
    #[error("`{path}` is empty")]
    Empty {
        /// The file.
        path: String,
    },
    /// A header, and nothing after it.
    #[error("`{path}` holds a header and no rows")]
    HeaderOnly {
        /// The file.
        path: String,
    },
    /// A row with too few or too many fields.
    #[error("{} of `{path}` has {found} field{}, expected {expected}", match last_line {
        last if last > line => format!("the row on lines {line} to {last}"),
        _ => format!("line {line}"),
    }, if *found == 1 { "" } else { "s" })]
    FieldCount {
        /// The file.
        path: String,
        /// Line where the row starts.
        line: u64,
        /// Line where the row ends: later than `line` if a quoted field holds line breaks.
        last_line: u64,
        /// Fields of the first row.
        expected: usize,
        /// Fields of this row.
        found: usize,
    },
    /// A quote that opens a field and is never closed.
    #[error("a quote opened in the row on line {line} of `{path}` is never closed")]
    UnclosedQuote {
        /// The file.
        path: String,
        /// Line where the row starts.
        line: u64,
    },
    /// A line that is not JSON.
    #[error("line {line} of `{path}` is not JSON: {message} (column {column})")]
    Json {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// Where in the line, in bytes from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// A line of JSON that is not an object.
    #[error("line {line} of `{path}` is {found}, expected a JSON object")]
    JsonNotObject {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// What it is.
        found: &'static str,
    },
    /// Two columns of one name.
    #[error(
        "columns {first} and {second} of `{path}` are both called `{}`",
        short(name)
    )]
    DuplicateColumn {
        /// The file.
        path: String,
        /// Their name.
        name: String,
        /// Position of the one, from 1.
        first: usize,
        /// Position of the other, from 1.
        second: usize,
    },
    /// A column that is not there.
    #[error("`{path}` has no column `{column}`, found {}", list(columns, 20))]
    UnknownColumn {
        /// The file.
        path: String,
        /// What was asked for.
        column: String,
        /// What there is.
        columns: Vec<String>,
        /// The most similar name, if one is similar.
        nearest: Option<String>,
        /// The delimiter that the file seems to use instead, by name.
        other_delimiter: Option<&'static str>,
    },
    /// A row without a text, a label or a group, where none may be missing.
    #[error("line {line} of `{path}` has no {part} (column `{column}`)")]
    Missing {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// What is missing: `text`, `label`, ….
        part: &'static str,
        /// The column that should hold it.
        column: String,
    },
    /// A list where one text belongs.
    #[error("column `{column}` of line {line} of `{path}` is a list, expected a text")]
    ListForText {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// The column.
        column: String,
    },
    /// Every row was dropped.
    #[error("no row of `{path}` can be used: {summary}")]
    NoExamples {
        /// The file.
        path: String,
        /// What was dropped and why.
        summary: String,
    },
    /// A label that is not a number, in a regression task.
    #[error(
        "the label on line {line} of `{path}` is `{}`, expected a number",
        short(found)
    )]
    NotANumber {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// The label.
        found: String,
    },
    /// No label anywhere.
    #[error("there are no labels")]
    NoLabels,
    /// The same label everywhere.
    #[error(
        "all {rows} rows have the label `{}`, expected at least two different labels",
        short(label)
    )]
    OneLabel {
        /// The label.
        label: String,
        /// How many rows have it.
        rows: usize,
    },
    /// Two classes of one name.
    #[error("the class `{name}` is listed twice")]
    DuplicateClass {
        /// The name.
        name: String,
    },
    /// A class without a name.
    #[error("class {position} has an empty name")]
    UnnamedClass {
        /// Its position, from 1.
        position: usize,
    },
    /// A fraction outside (0, 1).
    #[error("the held-out fraction is {found}, expected more than 0 and less than 1")]
    Fraction {
        /// What was given.
        found: f64,
    },
    /// Too little to divide.
    #[error("cannot split {found} {what}, expected at least 2")]
    TooFewToSplit {
        /// `rows` or `groups`.
        what: &'static str,
        /// How many there are.
        found: usize,
    },
    /// Every class has a single row.
    #[error("no class has more than one row, so none can be split")]
    SingleRowClasses,
    /// A balanced batch must hold a row of every class.
    #[error("a batch of {rows} rows cannot hold every one of {classes} classes")]
    BatchTooSmall {
        /// Rows in a batch.
        rows: usize,
        /// Classes that have rows.
        classes: usize,
    },
    /// A tag of a file that is none.
    #[error(
        "the tag on line {line} of `{path}` is `{}`, expected `O`, or one of the letters `B`, `I`, `E`, `S`, `L`, `U`, alone or with a hyphen and a type behind it",
        short(found)
    )]
    UnknownTag {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// A name of a model's output that is no tag.
    #[error(
        "`{}` is no tag, expected `O`, or one of the letters `B`, `I`, `E`, `S`, `L`, `U`, alone or with a hyphen and a type behind it",
        short(name)
    )]
    TagName {
        /// The name.
        name: String,
    },
    /// Tags of which none stands for words outside entities.
    #[error("there is no tag `O` for words outside entities")]
    NoOutside,
    /// Tags of which none stands for an entity.
    #[error("there are no entities")]
    NoEntities,
    /// A file without tags, where they are needed.
    #[error("`{path}` holds no tags")]
    NoTags {
        /// The file.
        path: String,
    },
    /// A line that has too few or too many columns.
    #[error("line {line} of `{path}` has {found} column{}, expected {expected}", if *found == 1 { "" } else { "s" })]
    ColumnCount {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// Columns of the first line with a word.
        expected: usize,
        /// Columns of this line.
        found: usize,
    },
    /// A span of characters outside its text, or without length.
    #[error(
        "the span from {start} to {end} on line {line} of `{path}` is not in its text, which has {characters} characters"
    )]
    SpanOutside {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// First character, from 0.
        start: i64,
        /// The character behind its last.
        end: i64,
        /// Characters of the text.
        characters: usize,
    },
    /// Two spans that share a word.
    #[error(
        "the spans from {} to {} and from {} to {} on line {line} of `{path}` share a word",
        first.0, first.1, second.0, second.1
    )]
    SpansOverlap {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// Characters of the one.
        first: (usize, usize),
        /// Characters of the other.
        second: (usize, usize),
    },
    /// Tags that are not as many as the words.
    #[error("line {line} of `{path}` has {tags} tags for {words} words")]
    TagCount {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// How many words there are.
        words: usize,
        /// How many tags there are.
        tags: usize,
    },
    /// A value of a JSON object that is of another kind than it should be.
    #[error("`{field}` on line {line} of `{path}` holds {found}, expected {expected}")]
    JsonField {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// The key.
        field: String,
        /// What it should be.
        expected: &'static str,
        /// What it is, cut short.
        found: String,
    },
    /// Not the name of a format of tagged words.
    #[error("`{found}` is no format of tagged words, expected `conll`, `iob2`, `jsonl` or `csv`")]
    UnknownTaggedFormat {
        /// What was given.
        found: String,
    },
    /// Something else than a file of this kind holds at that place.
    #[error("{at} of `{path}` is {found}, expected {expected}")]
    Unexpected {
        /// The file.
        path: String,
        /// Where in the file: `data[0].paragraphs[2]`, or a column and a line.
        at: String,
        /// What should be there.
        expected: &'static str,
        /// What is there, cut short.
        found: String,
    },
    /// A file that should be one JSON document, and is none.
    #[error("`{path}` is not JSON: {message} (line {line}, column {column})")]
    JsonDocument {
        /// The file.
        path: String,
        /// The line.
        line: usize,
        /// Where in the line, in bytes from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// A file without questions.
    #[error("`{path}` holds no questions")]
    NoQuestions {
        /// The file.
        path: String,
    },
    /// An answer that is not where the file says, and cannot be placed.
    #[error("the answer `{}` to question `{question}` in `{path}`{} {}", short(answer), match line {
        Some(line) => format!(" (line {line})"),
        None => String::new(),
    }, match occurrences {
        0 => "is not in its context".to_owned(),
        count => format!("is not where the file says, and its context holds it {count} times"),
    })]
    AnswerNotFound {
        /// The file.
        path: String,
        /// The question's id.
        question: String,
        /// The question's line, where a line is a question.
        line: Option<u64>,
        /// The answer.
        answer: String,
        /// How often its text occurs in the context.
        occurrences: usize,
    },
    /// Rows of one group that have different labels.
    #[error(
        "`{}` is labelled `{}` on line {first_line} of `{path}` and `{}` on line {line}",
        short(group),
        short(first),
        short(found)
    )]
    MixedLabels {
        /// The file.
        path: String,
        /// What the rows have in common.
        group: String,
        /// Line of the group's first row.
        first_line: u64,
        /// Its label.
        first: String,
        /// The line of another row.
        line: u64,
        /// The label there.
        found: String,
    },
    /// Fewer than two folds.
    #[error("cross-validation in {found} fold{} was asked for, expected at least 2", if *found == 1 { "" } else { "s" })]
    FoldCount {
        /// What was asked for.
        found: usize,
    },
    /// More folds than there are things to divide.
    #[error("cannot divide {found} {what} into {folds} folds")]
    TooFewForFolds {
        /// `rows` or `groups`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many folds were asked for.
        folds: usize,
    },
    /// A line of a FASTA file before the first header.
    #[error(
        "line {line} of `{path}` is no header, expected `>` and a name before the first sequence"
    )]
    NoFastaHeader {
        /// The file.
        path: String,
        /// The line.
        line: u64,
    },
    /// A character that no sequence holds.
    #[error("line {line} of `{path}` holds `{}`, expected letters of nucleotides or amino acids", found.escape_default())]
    SequenceLetter {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// The character.
        found: char,
    },
    /// Entities that cannot be marked in their text.
    #[error("could not mark the entities on line {line} of `{path}`")]
    Mentions {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// Why.
        #[source]
        source: crate::relations::MentionError,
    },
}

impl DataError {
    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => {
                Some("check the path; one without a leading slash starts in the current directory".into())
            }
            Self::Directory { .. } => Some("name a file in that directory".into()),
            Self::Read { .. } => Some("check the permissions of the file".into()),
            Self::Write { .. } => Some("check free space and permissions".into()),
            Self::NoTextFiles { .. } => Some(
                "text files end in .txt, .text, .jsonl, .ndjson, .csv or .tsv, or in one of these and .gz or .zst; name others outright, or with a pattern such as 'folder/*'"
                    .into(),
            ),
            Self::Pattern { .. } => Some("`*`, `?`, `[abc]` and `**/` have a meaning in patterns".into()),
            Self::NoMatch { .. } => Some("check the path and the pattern".into()),
            Self::Unpack { .. } => {
                Some("the file may be cut off or damaged: fetch or pack it again".into())
            }
            Self::NotPacked { .. } => Some("correct its name, or fetch it again".into()),
            Self::Tokenise { .. } => Some("check the tokenizer's files".into()),
            Self::EmptyCorpus { .. } => {
                Some("check that the files were written to their end, and that the field is the one with the text".into())
            }
            Self::WordList { .. } => Some(
                "this looks like a word list; a corpus holds running text, a sentence or a document a line".into(),
            ),
            Self::WriteShards { .. } => Some(
                "check free space and permissions; a token takes 2 to 5 bytes, and nothing half-written is left".into(),
            ),
            Self::NotShards { .. } => Some("name a folder that is empty or not there yet".into()),
            Self::DamagedShards { folder, .. } => {
                Some(format!("remove `{folder}` and run again: the corpus is then tokenised anew"))
            }
            Self::Interrupted => Some("run the command again to start from the beginning".into()),
            Self::Empty { .. } => {
                Some("check that it was written to its end, and that it is the file you mean".into())
            }
            Self::UnknownFormat { extension, .. } => Some(match extension.as_deref() {
                Some("json") => {
                    "if it holds one JSON object a line, say so: format `jsonl`; a JSON array has to be written as one object a line first"
                        .into()
                }
                Some("gz" | "zip" | "bz2" | "xz" | "zst" | "xlsx" | "xls" | "ods" | "parquet") => {
                    "unpack it or export it as CSV or JSON Lines first".into()
                }
                _ => "say the format (`csv`, `tsv` or `jsonl`) or the delimiter".into(),
            }),
            Self::NotPlainText { .. } => {
                Some("unpack it or export it as CSV or JSON Lines first".into())
            }
            Self::WideEncoding { path, encoding } => Some(convert(encoding, path)),
            Self::NulByte { path, .. } => Some(format!(
                "if the file is text, remove the NUL bytes: tr -d '\\000' < {path} > clean"
            )),
            Self::NotUtf8 { path, looks_like, .. } => Some(match looks_like {
                Some(encoding) => convert(encoding, path),
                None => format!(
                    "find out its encoding (try `file -i {path}`), then convert it: iconv -f ENCODING -t UTF-8 {path} > {}",
                    converted(path)
                ),
            }),
            Self::HeaderOnly { .. } => {
                Some("if its only line is data, say that the file has no header".into())
            }
            Self::FieldCount { line, last_line, .. } if last_line > line => Some(format!(
                "a quote opened on line {line} may be a plain character of the text: double it, or switch quoting off"
            )),
            Self::FieldCount { expected, found, .. } if found > expected => {
                Some("put quotes around fields that hold the delimiter, or check the delimiter".into())
            }
            Self::FieldCount { .. } => {
                Some("check the delimiter, and for line breaks inside a field without quotes".into())
            }
            Self::UnclosedQuote { .. } => {
                Some("close or double the quote, or switch quoting off if quotes are plain characters here".into())
            }
            Self::Json { .. } => Some("JSON Lines holds one complete object on each line".into()),
            Self::JsonNotObject { .. } => {
                Some("JSON Lines holds one object on each line, like {\"text\": \"…\", \"label\": \"…\"}".into())
            }
            Self::DuplicateColumn { .. } => Some("rename one of them in the header".into()),
            Self::UnknownColumn { other_delimiter: Some(name), .. } => {
                Some(format!("the fields seem to be divided by another delimiter: try `{name}`"))
            }
            Self::UnknownColumn { nearest: Some(nearest), .. } => {
                Some(format!("did you mean `{nearest}`?"))
            }
            Self::UnknownColumn { columns, .. } if columns.first().is_some_and(|name| name == "1") => {
                Some("without a header, columns are chosen by position from 1".into())
            }
            Self::UnknownColumn { .. } => Some(
                "columns can be chosen by name or by position from 1; if the first line is data, say that the file has no header"
                    .into(),
            ),
            Self::Missing { .. } => Some("fill it in, or drop such rows".into()),
            Self::ListForText { .. } => Some("choose a column that holds texts".into()),
            Self::NoExamples { .. } => {
                Some("check which columns hold the text and the label".into())
            }
            Self::NotANumber { .. } => {
                Some("correct the label, or make it a classification task".into())
            }
            Self::OneLabel { .. } => {
                Some("check the label column, and that the file was not filtered by label".into())
            }
            Self::NoLabels => Some("check the label column".into()),
            Self::SingleRowClasses => {
                Some("check the label column, or hold out no rows: a held-out fraction of 0".into())
            }
            Self::DuplicateClass { .. } | Self::UnnamedClass { .. } => {
                Some("give each class a name of its own".into())
            }
            Self::Fraction { .. } => Some("0.1 holds out one row in ten".into()),
            Self::TooFewToSplit { what: "groups", .. } => {
                Some("check the group column: whole groups stay on one side".into())
            }
            Self::UnknownTag { .. } => Some(
                "choose the column of the tags; if the file is to be predicted and has none, say so; a first line that names the columns belongs to the format `csv`"
                    .into(),
            ),
            Self::TagName { .. } | Self::NoOutside => {
                Some("the names of the model's outputs have to be tags such as `O`, `B-PER` and `I-PER`".into())
            }
            Self::NoEntities => Some("check the column of the tags: all of them are `O`".into()),
            Self::NoTags { .. } => Some("check the format, and the column or key of the tags".into()),
            Self::ColumnCount { .. } => Some(
                "each line holds one word and the same number of columns; blank lines divide sentences, and comments begin with `# `"
                    .into(),
            ),
            Self::SpanOutside { .. } => {
                Some("spans count characters (code points, not bytes) from 0, and end behind their last".into())
            }
            Self::SpansOverlap { .. } => Some("remove one of them, or keep the longest of each".into()),
            Self::TagCount { .. } => Some("give each word one tag".into()),
            Self::JsonField { .. } => Some(
                "a line is {\"text\": \"…\", \"entities\": [{\"start\": 0, \"end\": 5, \"label\": \"…\"}]} or {\"tokens\": [\"…\"], \"tags\": [\"B-…\"]}"
                    .into(),
            ),
            Self::Unexpected { .. } => Some("correct it there, or choose other columns or another file".into()),
            Self::JsonDocument { .. } => Some(
                "a file that ends in `.json` holds one document in the form of SQuAD or BioASQ; one object a line is JSON Lines, `.jsonl`".into(),
            ),
            Self::NoQuestions { .. } => Some("check that it is the file you mean".into()),
            Self::AnswerNotFound { .. } => Some(
                "correct the answer or its start, or let such answers be left out of training and counted".into(),
            ),
            Self::MixedLabels { .. } => Some(
                "all rows of a group are one case with one label: correct them, or group by another column".into(),
            ),
            Self::FoldCount { .. } => Some("5 or 10 are usual".into()),
            Self::TooFewForFolds { .. } => Some("ask for fewer folds".into()),
            Self::NoFastaHeader { .. } => Some("check that the file is FASTA".into()),
            Self::SequenceLetter { .. } => Some("check that the file is FASTA, and that it was written to its end".into()),
            Self::Mentions { .. } => Some(
                "positions count characters (code points, not bytes) from 0, and end behind the last".into(),
            ),
            Self::BatchTooSmall { classes, .. } => {
                Some(format!("use batches of at least {classes} rows"))
            }
            _ => None,
        }
    }
}

fn converted(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => format!("{stem}.utf8.{extension}"),
        _ => format!("{path}.utf8"),
    }
}

fn convert(encoding: &str, path: &str) -> String {
    format!(
        "convert it: iconv -f {encoding} -t UTF-8 {path} > {}",
        converted(path)
    )
}

/// At most 40 characters of a name or a label: a text chosen by mistake must not fill the screen.
pub(crate) fn short(name: &str) -> String {
    const SHOWN: usize = 40;
    if name.chars().count() > SHOWN {
        name.chars().take(SHOWN - 1).chain(['…']).collect()
    } else {
        name.to_string()
    }
}

/// `` `a`, `b` and 12 more ``, each name cut short.
pub(crate) fn list(names: &[String], shown: usize) -> String {
    let quoted: Vec<String> = names
        .iter()
        .take(shown)
        .map(|name| format!("`{}`", short(name)))
        .collect();
    match names.len().saturating_sub(shown) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}
