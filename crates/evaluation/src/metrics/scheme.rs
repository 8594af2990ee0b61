//! How entities are read from tags.

/// A scheme to read entities from tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// seqeval's default: an entity may start without a `B`.
    Default,
    /// seqeval's `mode="strict", scheme=IOB2`: an entity is a `B` and the following `I`s of its type.
    Strict,
    /// `conlleval` of the CoNLL shared tasks: the same as the default for `B`, `I` and `O`, without support for `S`.
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
