//! Tags and entity spans of words.

use super::text::short;

/// Tags or entity spans are malformed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// A string that is not a tag.
    #[error(
        "the tag on line {line} of `{path}` is `{}`, expected `O`, or one of the letters `B`, `I`, `E`, `S`, `L`, `U`, alone or with a hyphen and a type behind it",
        short(found)
    )]
    UnknownTag {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// The string.
        found: String,
    },
    /// A name of a model's output that is not a tag.
    #[error(
        "`{}` is no tag, expected `O`, or one of the letters `B`, `I`, `E`, `S`, `L`, `U`, alone or with a hyphen and a type behind it",
        short(name)
    )]
    TagName {
        /// The name.
        name: String,
    },
    /// Tags without `O`.
    #[error("there is no tag `O` for words outside entities")]
    NoOutside,
    /// Tags without any entity tag.
    #[error("there are no entities")]
    NoEntities,
    /// A file without the required tags.
    #[error("`{path}` holds no tags")]
    NoTags {
        /// The file.
        path: String,
    },
    /// A line with too few or too many columns.
    #[error("line {line} of `{path}` has {found} column{}, expected {expected}", if *found == 1 { "" } else { "s" })]
    ColumnCount {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// Number of columns in the first line with a word.
        expected: usize,
        /// Number of columns in this line.
        found: usize,
    },
    /// A character span that is empty or outside its text.
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
        /// Number of characters in the text.
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
        /// Characters of the first span.
        first: (usize, usize),
        /// Characters of the second span.
        second: (usize, usize),
    },
    /// The numbers of tags and words differ.
    #[error("line {line} of `{path}` has {tags} tags for {words} words")]
    TagCount {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// Number of words.
        words: usize,
        /// Number of tags.
        tags: usize,
    },
    /// A JSON value of the wrong type.
    #[error("`{field}` on line {line} of `{path}` holds {found}, expected {expected}")]
    JsonField {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// The key.
        field: String,
        /// The expected type.
        expected: &'static str,
        /// The value found, truncated.
        found: String,
    },
    /// A format that cannot hold tagged words.
    #[error("`{found}` is no format of tagged words, expected {expected}")]
    UnknownTaggedFormat {
        /// The requested format.
        found: String,
        /// The names of the formats that can.
        expected: String,
    },
}

impl TagError {
    /// A suggestion for the user, if there is one.
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
