//! From text files to masked sequences: the input pipeline of pretraining.
//!
//! [`corpus`] tokenizes text files once into shards; [`sequences`] packs the sentences of a corpus into the
//! sequences of an epoch; [`masking`] chooses the tokens that a model has to predict.

pub mod corpus;
pub mod masking;
pub mod sequences;
