//! Position of a record in its file, for messages.

use std::fmt;

/// Unit in which the records of a file are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Lines of text.
    #[default]
    Line,
    /// Rows, in formats that have no lines.
    Row,
}

/// The position of a record in its file. Displays as `line 3` or `row 3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The unit.
    pub unit: Unit,
    /// The number, from 1.
    pub number: u64,
}

impl Place {
    /// A line of a text.
    pub fn line(number: u64) -> Self {
        Self {
            unit: Unit::Line,
            number,
        }
    }

    /// With its preposition: `on line 3`, `in row 3`.
    pub(crate) fn at(self) -> String {
        self.unit.at(self.number)
    }
}

impl Unit {
    /// `on line 3`, `in row 3`.
    pub(crate) fn at(self, number: u64) -> String {
        match self {
            Self::Line => format!("on line {number}"),
            Self::Row => format!("in row {number}"),
        }
    }

    /// `line` or `row`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Row => "row",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.unit.name(), self.number)
    }
}
