//! JSON Lines.

pub(crate) mod table;
mod tagged;

use super::encoding;
use super::spec::{FormatSpec, TableFormat, TaggedFormat};

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "jsonl",
    hidden_aliases: &["ndjson"],
    extensions: &["jsonl", "ndjson"],
    table: Some(TableFormat {
        read: |bytes, name, _| table::parse(&encoding::text(bytes, name)?, name),
        write: Some(table::write),
    }),
    tagged: Some(TaggedFormat {
        read: tagged::parse,
        by_extension: true,
        sniff: Some(|text| text.trim_start().starts_with('{')),
    }),
    ..FormatSpec::EMPTY
};
