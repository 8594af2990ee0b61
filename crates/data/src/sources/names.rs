//! Finds formats by name, extension and content.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::de::{EnumAccess, Error, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::format::Format;
use super::spec::{FormatSpec, ReadDocumentTable, ReadQuestions, TableFormat, WriteTable};
use super::squad;
use crate::error::{DataError, FileError};

/// All names and aliases of selectable formats.
static NAMES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| selectable().flat_map(FormatSpec::names).collect());

/// The names that are offered to users.
static OFFERED: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let names = |spec: &FormatSpec| [spec.name].into_iter().chain(spec.aliases.iter().copied());
    selectable().flat_map(names).collect()
});

fn specs() -> impl Iterator<Item = &'static FormatSpec> {
    Format::ALL.iter().map(|format| format.spec())
}

fn selectable() -> impl Iterator<Item = &'static FormatSpec> {
    specs().filter(|spec| spec.selectable)
}

impl Format {
    /// The names to offer to users who select a format.
    pub fn names() -> &'static [&'static str] {
        &OFFERED
    }

    /// The names of the formats in which tables can be written.
    pub fn output_names() -> Vec<&'static str> {
        let written = selectable().filter(|spec| spec.table.is_some_and(|t| t.write.is_some()));
        written.map(|spec| spec.name).collect()
    }

    /// The table format for a file's extension, ignoring case.
    ///
    /// # Errors
    /// [`FileError::UnknownFormat`] for any other name (the contents of `.txt` are ambiguous).
    pub fn of_path(path: &Path) -> Result<Self, DataError> {
        Self::by_extension(path, |_| true)
    }

    /// As [`Format::of_path`], for an output file.
    ///
    /// # Errors
    /// [`FileError::UnknownFormat`] if no format with this extension can be written.
    pub fn of_output(path: &Path) -> Result<Self, DataError> {
        Self::by_extension(path, |table| table.write.is_some())
    }

    fn by_extension(path: &Path, suits: impl Fn(&TableFormat) -> bool) -> Result<Self, DataError> {
        let extension = extension(path);
        let suits = |spec: &FormatSpec| spec.table.as_ref().is_some_and(&suits);
        let known = |format: &&Self| {
            let spec = format.spec();
            suits(spec)
                && extension
                    .as_deref()
                    .is_some_and(|e| spec.extensions.contains(&e))
        };
        Self::ALL.iter().find(known).copied().ok_or_else(|| {
            // Extensions that are also names of their format.
            let shown = specs().filter(|spec| suits(spec)).flat_map(|spec| {
                let names = spec.names();
                spec.extensions.iter().filter(move |e| names.contains(e))
            });
            DataError::File(FileError::UnknownFormat {
                path: path.display().to_string(),
                extension,
                expected: alternatives(shown.map(|extension| format!(".{extension}"))),
            })
        })
    }

    /// The table format with this signature in its first bytes.
    pub(super) fn of_signature(bytes: &[u8]) -> Option<Self> {
        let signed = |format: &&Self| {
            let signature = format.spec().signature;
            signature.is_some_and(|signature| bytes.starts_with(signature))
        };
        Self::ALL.iter().find(signed).copied()
    }

    /// The format of a file of tagged words, by its name or content.
    pub(super) fn of_tagged(name: &str, text: &str) -> Self {
        let extension = extension(Path::new(name));
        let named = |format: &&Self| {
            let spec = format.spec();
            spec.tagged.is_some_and(|tagged| tagged.by_extension)
                && extension
                    .as_deref()
                    .is_some_and(|e| spec.extensions.contains(&e))
        };
        let sniffed = |format: &&Self| {
            let sniff = format.spec().tagged.and_then(|tagged| tagged.sniff);
            sniff.is_some_and(|sniff| sniff(text))
        };
        let mut all = Self::ALL.iter();
        let found = all.clone().find(named).or_else(|| all.find(sniffed));
        found.copied().unwrap_or(Self::Conll)
    }

    /// The question reader for a JSON document; SQuAD's if no format recognises it.
    pub(super) fn questions_of_document(document: &Value) -> ReadQuestions {
        let mut found = specs().filter_map(|spec| spec.document);
        let found = found.find(|format| (format.sniff)(document));
        found.map_or(squad::read, |format| format.questions)
    }

    /// The table reader for a JSON document, if it can be read as a table.
    pub(super) fn table_of_document(document: &Value) -> Option<ReadDocumentTable> {
        let found = specs().filter_map(|spec| spec.document);
        found
            .filter(|format| (format.sniff)(document))
            .find_map(|format| format.table)
    }

    /// The table reader of this format.
    ///
    /// # Errors
    /// [`FileError::UnknownFormatName`] if it cannot hold tables.
    pub(super) fn table(self) -> Result<TableFormat, DataError> {
        self.spec().table.ok_or_else(|| {
            let tables = selectable().filter(|spec| spec.table.is_some());
            DataError::File(FileError::UnknownFormatName {
                found: self.to_string(),
                expected: alternatives(tables.map(|spec| spec.name)),
            })
        })
    }

    /// The table writer of this format.
    ///
    /// # Errors
    /// [`FileError::UnknownFormatName`] if tables cannot be written in it.
    pub(super) fn writer(self) -> Result<WriteTable, DataError> {
        self.spec()
            .table
            .and_then(|table| table.write)
            .ok_or_else(|| {
                DataError::File(FileError::UnknownFormatName {
                    found: self.to_string(),
                    expected: alternatives(Self::output_names().into_iter()),
                })
            })
    }

    /// The names of formats that can hold tagged words, for messages.
    pub(super) fn tagged_names() -> String {
        let tagged = selectable().filter(|spec| spec.tagged.is_some());
        alternatives(
            tagged.flat_map(|spec| [spec.name].into_iter().chain(spec.aliases.iter().copied())),
        )
    }
}

/// The lower-case extension of a path.
pub(super) fn extension(path: &Path) -> Option<String> {
    let extension = path.extension()?;
    Some(extension.to_string_lossy().to_ascii_lowercase())
}

/// `` `a`, `b` or `c` ``.
fn alternatives(names: impl Iterator<Item = impl fmt::Display>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} or {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.spec().name)
    }
}

impl FromStr for Format {
    type Err = DataError;

    /// Parses a selectable format by name or alias, ignoring case.
    fn from_str(name: &str) -> Result<Self, DataError> {
        let wanted = name.to_ascii_lowercase();
        let named = |format: &&Self| {
            let spec = format.spec();
            spec.selectable && spec.names().contains(&wanted.as_str())
        };
        Self::ALL.iter().find(named).copied().ok_or_else(|| {
            DataError::File(FileError::UnknownFormatName {
                found: name.into(),
                expected: alternatives(Self::names().iter()),
            })
        })
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.spec().name)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl<'de> Visitor<'de> for Name {
            type Value = Format;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a format")
            }

            fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Format, A::Error> {
                let (name, variant) = data.variant::<String>()?;
                variant.unit_variant()?;
                let named = |format: &&Format| {
                    let spec = format.spec();
                    spec.selectable && spec.names().contains(&name.as_str())
                };
                let found = Format::ALL.iter().find(named).copied();
                found.ok_or_else(|| A::Error::unknown_variant(&name, &NAMES))
            }
        }

        deserializer.deserialize_enum("Format", &NAMES, Name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_belongs_to_one_format_and_reads_back() {
        let mut seen = HashSet::new();
        for &format in Format::ALL {
            let spec = format.spec();
            for name in spec.names() {
                assert!(seen.insert(name), "{name}");
                let parsed: Result<Format, _> = serde_json::from_value(name.into());
                assert_eq!(parsed.ok(), spec.selectable.then_some(format), "{name}");
                assert_eq!(name.parse().ok(), spec.selectable.then_some(format));
            }
            assert_eq!(serde_json::to_value(format).unwrap(), spec.name);
            let holds = [
                spec.table.is_some(),
                spec.tagged.is_some(),
                spec.document.is_some(),
                spec.sequences.is_some(),
                format == Format::Relations, // tables, through another format
            ];
            assert!(holds.contains(&true), "{format} holds nothing");
        }
    }

    #[test]
    fn an_unknown_name_lists_those_there_are() {
        let error = serde_json::from_str::<Format>("\"xls\"").unwrap_err();
        assert!(
            error.to_string().starts_with(
                "unknown variant `xls`, expected one of `csv`, `tsv`, `jsonl`, `ndjson`, `conll`, `iob2`"
            ),
            "{error}"
        );
        assert!("fasta".parse::<Format>().is_err());
        assert_eq!("JSONL".parse::<Format>().unwrap(), Format::Jsonl);
    }
}
