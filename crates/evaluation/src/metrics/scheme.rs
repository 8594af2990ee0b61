//! How entities are read from tags.

/// How entities are read off tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// As seqeval does by default: an entity may start without a `B`.
    Default,
    /// As seqeval does with `mode="strict", scheme=IOB2`: an entity is a `B` and the following `I`s of its type.
    Strict,
    /// As `conlleval` of the CoNLL shared tasks does: it agrees with the default on `B`, `I` and `O`, and does not know
    /// `S`.
    Conlleval,
}

/// The entity types that an evaluator counted.
pub(crate) struct EntityTypes {
    /// Number of words; 0 for spans.
    pub words: usize,
    /// The types that each scheme finds, with the number of true entities, in the order of
    /// [`Outcome::per_class`](super::outcome::Outcome::per_class).
    pub types: Vec<(Scheme, String, usize)>,
}
