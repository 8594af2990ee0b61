//! Tokens and words, against those of the tokenizers library when it is given word by word; made by
//! `scripts/golden/make_alignment.py`.
#![allow(clippy::unwrap_used)]

use std::fs;

use bertkit_data::tagging::TaggedSentence;
use bertkit_data::tagging::alignment::{LabelledTokens, TagWindowOptions, tag_windows};
use bertkit_data::tokenizer::{TextTokenizer, TokenizerFamily};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    name: String,
    family: TokenizerFamily,
    tokenizer: Value,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    words: Vec<String>,
    ids: Vec<u32>,
    word_ids: Vec<Option<usize>>,
}

#[test]
fn words_have_the_tokens_that_transformers_gives_them() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/alignment.json")).unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("tokenizer.json"),
            case.tokenizer.to_string(),
        )
        .unwrap();
        let tokenizer = TextTokenizer::from_dir(dir.path(), case.family).unwrap();
        let options = TagWindowOptions {
            max_length: 512,
            overlap: 0,
            labelled: LabelledTokens::First,
        };
        for sentence in &case.sentences {
            let words = sentence.words.iter().map(String::as_str);
            let sentences = [TaggedSentence::from_words(words)];
            let windows = tag_windows(&sentences, None, &tokenizer, &options).unwrap();
            let window = &windows.windows[0];
            let (name, words) = (&case.name, &sentence.words);
            assert_eq!(window.encoding.ids, sentence.ids, "{name}: {words:?}");
            assert_eq!(window.words, sentence.word_ids, "{name}: {words:?}");
        }
    }
}
