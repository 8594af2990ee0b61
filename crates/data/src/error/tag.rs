//! Tags and entity spans of words.

use super::text::short;

/// Tags or entity spans are malformed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// A text that is not a tag.
    #[error(
        "the tag on line {line} of `{path}` is `{}`, expected `O`, or one of the letters `B`, `I`, `E`, `S`, `L`, `U`, alone or with a hyphen and a type behind it",
        short(found)
    )]
    UnknownTag {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// The text.
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
    /// Tags without one for words outside entities.
    #[error("there is no tag `O` for words outside entities")]
    NoOutside,
    /// Tags without one for an entity.
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
        /// One past its last character.
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
    /// A format that does not hold tagged words.
    #[error("`{found}` is no format of tagged words, expected {expected}")]
    UnknownTaggedFormat {
        /// What was requested.
        found: String,
        /// The names of those that do.
        expected: String,
    },
}

impl TagError {
    /// What the user can do about it, if known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownTag { .. } => {
                "choose the column of the tags; if the file is to be predicted and has none, say so; a first line that names the columns belongs to the format `csv`"
                    .into()
            }
            Self::TagName { .. } | Self::NoOutside => {
                "the names of the model's outputs have to be tags such as `O`, `B-PER` and `I-PER`".into()
            }
            Self::NoEntities => "check the column of the tags: all of them are `O`".into(),
            Self::NoTags { .. } => "check the format, and the column or key of the tags".into(),
            Self::ColumnCount { .. } => {
                "each line holds one word and the same number of columns; blank lines divide sentences, and comments begin with `# `"
                    .into()
            }
            Self::SpanOutside { .. } => {
                "spans count characters (code points, not bytes) from 0, and end behind their last".into()
            }
            Self::SpansOverlap { .. } => "remove one of them, or keep the longest of each".into(),
            Self::TagCount { .. } => "give each word one tag".into(),
            Self::JsonField { .. } => {
                "a line is {\"text\": \"…\", \"entities\": [{\"start\": 0, \"end\": 5, \"label\": \"…\"}]} or {\"tokens\": [\"…\"], \"tags\": [\"B-…\"]}"
                    .into()
            }
            Self::UnknownTaggedFormat { .. } => return None,
        })
    }
}
