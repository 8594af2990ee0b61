//! The formats of input files, by name only; [`Format::spec`] describes each.

/// Defines the enum and the list of its variants together, so that neither can lack one.
macro_rules! formats {
    ($($(#[$doc:meta])* $format:ident,)*) => {
        /// A file format. What it is called, how it is recognised and what it can hold is in its
        /// [specification](Format::spec).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Format {
            $($(#[$doc])* $format,)*
        }

        impl Format {
            /// All formats. Where several would match, the first one is chosen.
            pub const ALL: &[Self] = &[$(Self::$format,)*];
        }
    };
}

formats! {
    /// Comma-separated fields, quoted where they hold a comma, a quote or a line break (RFC 4180).
    Csv,
    /// Tab-separated fields; quotes are ordinary characters, and a line is a row.
    Tsv,
    /// One JSON object per line.
    Jsonl,
    /// One word per line, in columns separated by tabs or white space; blank lines separate sentences. Covers the files of
    /// CoNLL, BioBERT (bare tags), GermEval (numbered words, two levels of tags) and UNER (`.iob2`).
    Conll,
    /// BioBERT's files of relations: sentences and labels, with or without a header.
    Relations,
    /// Named sequences of nucleotides or amino acids.
    Fasta,
    /// A JSON document of questions in SQuAD's form.
    Squad,
    /// A JSON document of questions in BioASQ's own form.
    Bioasq,
    /// Apache Parquet: typed columns, without nested ones.
    Parquet,
}
