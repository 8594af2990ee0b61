//! Counts of corrections made while tags and spans were read.

use serde::{Deserialize, Serialize};

/// Counts of corrections made while tags and spans were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Repairs {
    /// Entities whose first tag does not begin an entity.
    pub without_begin: usize,
    /// Entities that begin at a change of type between two words, without a tag that begins an entity.
    pub type_changes: usize,
    /// Entities in BIOES and BILOU whose last word does not have an end tag.
    pub unclosed: usize,
    /// Character spans that begin or end within a word and were widened to the whole word.
    pub snapped: usize,
    /// Character spans dropped because they share a word with a longer one (if equal, the first is kept).
    pub overlapping: usize,
    /// Character spans dropped because they are blank.
    pub blank: usize,
    /// Line of the first correction.
    pub first_line: Option<u64>,
}

impl Repairs {
    /// The number of corrections.
    pub fn total(&self) -> usize {
        self.without_begin
            + self.type_changes
            + self.unclosed
            + self.snapped
            + self.overlapping
            + self.blank
    }

    /// A one-line summary; `None` if there were none.
    pub fn summary(&self) -> Option<String> {
        let parts: Vec<String> = [
            (self.without_begin, "without a tag that begins them"),
            (self.type_changes, "that begin where the type changes"),
            (self.unclosed, "without a tag that ends them"),
            (self.snapped, "widened to whole words"),
            (self.overlapping, "left out for a longer one that overlaps"),
            (self.blank, "left out because they are blank"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        let line = match self.first_line {
            Some(line) => format!(" (the first on line {line})"),
            None => String::new(),
        };
        let entities = if self.total() == 1 {
            "entity"
        } else {
            "entities"
        };
        (!parts.is_empty()).then(|| {
            format!(
                "{} {entities} put right: {}{line}",
                self.total(),
                parts.join(", ")
            )
        })
    }

    pub(crate) fn note(&mut self, line: u64) {
        self.first_line = Some(self.first_line.map_or(line, |first| first.min(line)));
    }
}
