//! Documents of tagged sentences, which a fold does not split.

use bertkit_data::tagging::TaggedCorpus;

/// The name of each sentence's document; empty without one.
pub(crate) fn documents(corpus: &TaggedCorpus) -> Vec<&str> {
    let name = |at: Option<usize>| at.map_or("", |at| corpus.documents[at].as_str());
    let sentences = corpus.sentences.iter();
    sentences.map(|sentence| name(sentence.document)).collect()
}
