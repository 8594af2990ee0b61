//! Selecting a column of a table by name or position.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::error::{DataError, TableError};
use crate::table::Table;

/// A column, by name or by position.
///
/// When parsed from text, a plain number such as `2` is a position, counted from 1, unless the table has a column with
/// that exact name; everything else is a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By the name in the header, or the key in JSON Lines.
    Name(String),
    /// By position from 1, or by name if a column has this number as its name.
    Number(usize),
}

impl FromStr for Column {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.parse::<usize>() {
            Ok(number) if number.to_string() == text => Self::Number(number),
            _ => Self::Name(text.into()),
        })
    }
}

impl From<&str> for Column {
    fn from(text: &str) -> Self {
        let Ok(column) = text.parse();
        column
    }
}

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Number(number) => write!(formatter, "{number}"),
        }
    }
}

impl Table {
    /// Index, from 0, of a column in [`Table::columns`]. Positions count all columns of the file, including
    /// [unsupported](Table::unsupported) ones.
    ///
    /// # Errors
    /// [`TableError::UnknownColumn`], with the available columns and the most similar name;
    /// [`TableError::UnsupportedColumn`] for a column of a type that cannot be read.
    pub fn column(&self, column: &Column) -> Result<usize, DataError> {
        let name = column.to_string();
        if let Some(at) = self.columns.iter().position(|candidate| *candidate == name) {
            return Ok(at);
        }
        let meant = self.unsupported.iter().find(|unsupported| {
            unsupported.name == name || *column == Column::Number(unsupported.position)
        });
        if let Some(unsupported) = meant {
            return Err(DataError::Table(TableError::UnsupportedColumn {
                path: self.name.clone(),
                column: unsupported.name.clone(),
                kind: unsupported.kind.clone(),
            }));
        }
        let all = self.columns.len() + self.unsupported.len();
        match column {
            Column::Number(number) if (1..=all).contains(number) => {
                let before = self.unsupported.iter().filter(|u| u.position < *number);
                Ok(number - 1 - before.count())
            }
            _ => Err(DataError::Table(TableError::UnknownColumn {
                path: self.name.clone(),
                nearest: nearest(&name, &self.columns),
                column: name,
                columns: self.columns.clone(),
                other_delimiter: self.other_delimiter,
            })),
        }
    }
}

/// The most similar of `names`, ignoring case, if one is similar enough.
pub(crate) fn nearest(name: &str, names: &[String]) -> Option<String> {
    let wanted = name.to_lowercase();
    let similarity = |candidate: &String| {
        strsim::normalized_damerau_levenshtein(&wanted, &candidate.to_lowercase())
    };
    names
        .iter()
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::sources::{Format, ReadOptions, read_table_from};

    fn table(text: &str) -> Table {
        let options = ReadOptions {
            format: Some(Format::Csv),
            ..Default::default()
        };
        read_table_from(text.as_bytes(), "t.csv", &options).unwrap()
    }

    #[test]
    fn a_number_is_a_position_unless_a_column_has_that_name() {
        assert_eq!(table("a,b\nx,y\n").column(&"2".into()).unwrap(), 1);
        assert_eq!(table("2,b\nx,y\n").column(&"2".into()).unwrap(), 0);
        assert_eq!(Column::from("02"), Column::Name("02".into()));
        assert!(table("a,b\nx,y\n").column(&"0".into()).is_err());
        assert!(table("a,b\nx,y\n").column(&"3".into()).is_err());
    }

    #[test]
    fn an_unknown_column_names_the_nearest_and_lists_all() {
        let error = table("sentence,label\nx,y\n")
            .column(&"lable".into())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`t.csv` has no column `lable`, found `sentence`, `label`"
        );
        assert_eq!(error.hint().unwrap(), "did you mean `label`?");
    }

    #[test]
    fn the_wrong_delimiter_is_suspected() {
        let error = table("text;label\nx;y\n")
            .column(&"text".into())
            .unwrap_err();
        assert!(error.hint().unwrap().contains("`semicolon`"), "{error:?}");
    }
}
