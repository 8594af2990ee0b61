//! Documents of tagged sentences, which folds keep together.

use bertkit_data::tagging::TaggedCorpus;

/// The document name of each sentence; empty if it has none.
pub(crate) fn documents(corpus: &TaggedCorpus) -> Vec<&str> {
    let name = |at: Option<usize>| at.map_or("", |at| corpus.documents[at].as_str());
    let sentences = corpus.sentences.iter();
    sentences.map(|sentence| name(sentence.document)).collect()
}
