//! Entity mentions in texts.

/// Why entities cannot be marked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MentionError {
    /// A place that the text does not have.
    #[error("entity {number} is at {start} to {end} of a text of {length} characters")]
    Outside {
        /// Which entity, from 1.
        number: usize,
        /// Its first character.
        start: usize,
        /// One past its last character.
        end: usize,
        /// Characters of the text.
        length: usize,
    },
    /// Two entities that share characters, where they may not.
    #[error("entities {first} and {second} overlap")]
    Overlap {
        /// The one, from 1.
        first: usize,
        /// The other, from 1.
        second: usize,
    },
    /// A tag in the text that has no partner, or comes twice.
    #[error("`{tag}` {problem}")]
    Tag {
        /// The tag.
        tag: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A position that is no number.
    #[error("column `{column}` is `{found}`, expected a position in characters from 0")]
    Position {
        /// The column.
        column: String,
        /// What it holds.
        found: String,
    },
}
