//! Comma- and tab-separated values.

pub(super) mod table;
mod tagged;

use super::spec::{Delimited, FormatSpec, TableFormat, TaggedFormat};
use super::{conll, encoding};

/// Quotes enclose fields (RFC 4180).
pub(super) const COMMAS: Delimited = Delimited {
    delimiter: b',',
    quoting: true,
};

/// Quotes are ordinary characters: stray quotes are common, and there is no standard way to write a tab in a field.
pub(super) const TABS: Delimited = Delimited {
    delimiter: b'\t',
    quoting: false,
};

pub(super) const CSV: FormatSpec = FormatSpec {
    name: "csv",
    extensions: &["csv"],
    delimited: Some(COMMAS),
    table: Some(TableFormat {
        read: |bytes, name, options| {
            table::parse(encoding::text(bytes, name)?, name, &COMMAS, options)
        },
        write: Some(|writer, columns, rows| table::write(writer, &COMMAS, columns, rows)),
    }),
    tagged: Some(TaggedFormat {
        read: tagged::parse,
        by_extension: true,
        sniff: None,
    }),
    ..FormatSpec::EMPTY
};

pub(super) const TSV: FormatSpec = FormatSpec {
    name: "tsv",
    extensions: &["tsv", "tab"],
    delimited: Some(TABS),
    table: Some(TableFormat {
        read: |bytes, name, options| {
            table::parse(encoding::text(bytes, name)?, name, &TABS, options)
        },
        write: Some(|writer, columns, rows| table::write(writer, &TABS, columns, rows)),
    }),
    // A file with one word per line and tab-separated columns is a CoNLL file.
    tagged: Some(TaggedFormat {
        read: conll::parse,
        by_extension: false,
        sniff: None,
    }),
    ..FormatSpec::EMPTY
};
