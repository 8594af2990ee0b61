//! The formats of input files; [`Format::spec`] describes each.

/// Defines the enum and the list of its variants together, so that they cannot diverge.
macro_rules! formats {
    ($($(#[$doc:meta])* $format:ident,)*) => {
        /// A file format. Its names, detection and contents are described by its [specification](Format::spec).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Format {
            $($(#[$doc])* $format,)*
        }

        impl Format {
            /// All formats. If several match, the first one is chosen.
            pub const ALL: &[Self] = &[$(Self::$format,)*];
        }
    };
}

formats! {
    /// Comma-separated fields, quoted if they contain a comma, a quote or a line break (RFC 4180).
    Csv,
    /// Tab-separated fields; quotes are ordinary characters, and every line is a row.
    Tsv,
    /// One JSON object per line.
    Jsonl,
    /// One word per line, in columns separated by tabs or white space; blank lines separate sentences. Includes the files
    /// of CoNLL, BioBERT (bare tags), GermEval (numbered words, two levels of tags) and UNER (`.iob2`).
    Conll,
    /// BioBERT's relation files: sentences and labels, with or without a header.
    Relations,
    /// Named sequences of nucleotides or amino acids.
    Fasta,
    /// A JSON document of questions in SQuAD's format.
    Squad,
    /// A JSON document of questions in BioASQ's own format.
    Bioasq,
    /// Apache Parquet: typed columns; nested columns are not supported.
    Parquet,
}
