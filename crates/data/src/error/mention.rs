//! Entity mentions in texts.

/// Why entities cannot be marked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MentionError {
    /// A position outside the text.
    #[error("entity {number} is at {start} to {end} of a text of {length} characters")]
    Outside {
        /// Number of the entity, from 1.
        number: usize,
        /// Its first character.
        start: usize,
        /// One past its last character.
        end: usize,
        /// Number of characters in the text.
        length: usize,
    },
    /// Two entities that overlap where this is not allowed.
    #[error("entities {first} and {second} overlap")]
    Overlap {
        /// Number of the first entity, from 1.
        first: usize,
        /// Number of the second entity, from 1.
        second: usize,
    },
    /// A tag in the text that is unmatched or repeated.
    #[error("`{tag}` {problem}")]
    Tag {
        /// The tag.
        tag: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A position that is not a number.
    #[error("column `{column}` is `{found}`, expected a position in characters from 0")]
    Position {
        /// The column.
        column: String,
        /// The value of the column.
        found: String,
    },
}
