#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

const VOCAB: [&str; 14] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cafe", "##s", "Cafe", "café", "play",
    "##ing", "!", "語",
];

fn dir_with(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

fn bert_dir(config: Option<&str>) -> TempDir {
    let vocab = VOCAB.join("\n");
    let mut files = vec![("vocab.txt", vocab.as_str())];
    files.extend(config.map(|config| ("tokenizer_config.json", config)));
    dir_with(&files)
}

fn load(dir: &TempDir, family: TokenizerFamily) -> TextTokenizer {
    TextTokenizer::from_dir(dir.path(), family).unwrap()
}

fn bert() -> TextTokenizer {
    load(&bert_dir(None), TokenizerFamily::Bert)
}

fn roberta_dir() -> TempDir {
    let vocab = r#"{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5, "b": 6, "Ġ": 7, "ab": 8, "Ġab": 9}"#;
    dir_with(&[
        ("vocab.json", vocab),
        ("merges.txt", "#version: 0.2\na b\nĠ ab\n"),
    ])
}

fn ids(tokenizer: &TextTokenizer, text: &str, pair: Option<&str>) -> Vec<u32> {
    tokenizer.encode(text, pair, 64).unwrap().ids
}

#[test]
fn a_bare_vocabulary_follows_berts_rules() {
    let tokenizer = bert();
    assert_eq!(
        ids(&tokenizer, "The Cafés, playing!", None),
        [2, 5, 6, 7, 1, 10, 11, 12, 3]
    );
    assert_eq!(
        ids(&tokenizer, "the語the [MASK] café", None),
        [2, 5, 13, 5, 4, 6, 3]
    );
    assert_eq!(ids(&tokenizer, "", None), [2, 3]);
    assert_eq!(ids(&tokenizer, &"the".repeat(40), None), [2, 1, 3]); // longer than 100 characters
    assert_eq!((tokenizer.cls_id(), tokenizer.sep_id()), (2, 3));
    assert_eq!(
        (tokenizer.pad_id(), tokenizer.unk_id(), tokenizer.mask_id()),
        (Some(0), Some(1), Some(4))
    );
    assert_eq!(tokenizer.vocab_size(), 14);
    assert_eq!(tokenizer.token(11).as_deref(), Some("##ing"));
    assert_eq!(tokenizer.id("##ing"), Some(11));
}

#[test]
fn settings_beside_the_vocabulary_hold() {
    let cased = load(
        &bert_dir(Some(r#"{"do_lower_case": false}"#)),
        TokenizerFamily::Bert,
    );
    assert_eq!(ids(&cased, "Cafe café The", None), [2, 8, 9, 1, 3]);
    let accents = r#"{"do_lower_case": true, "strip_accents": false, "model_max_length": 256}"#;
    let accents = load(&bert_dir(Some(accents)), TokenizerFamily::Bert);
    assert_eq!(ids(&accents, "Café", None), [2, 9, 3]);
    assert_eq!(accents.model_max_length(), Some(256));
    let unsplit = load(
        &bert_dir(Some(r#"{"tokenize_chinese_chars": false}"#)),
        TokenizerFamily::Bert,
    );
    assert_eq!(ids(&unsplit, "the語the", None), [2, 1, 3]);
}

#[test]
fn special_tokens_can_have_other_names() {
    let dir = dir_with(&[
        ("vocab.txt", "<pad>\n[UNK]\nBEGIN\nEND\nthe\n"),
        (
            "tokenizer_config.json",
            r#"{"cls_token": "BEGIN", "sep_token": {"content": "END"}}"#,
        ),
        ("special_tokens_map.json", r#"{"pad_token": "<pad>"}"#),
    ]);
    let tokenizer = load(&dir, TokenizerFamily::Bert);
    assert_eq!(ids(&tokenizer, "the", Some("the")), [2, 4, 3, 4, 3]);
    assert_eq!((tokenizer.pad_id(), tokenizer.mask_id()), (Some(0), None));
}

#[test]
fn only_bert_and_electra_have_token_types() {
    for (family, second) in [
        (TokenizerFamily::Bert, 1),
        (TokenizerFamily::Electra, 1),
        (TokenizerFamily::Distilbert, 0),
    ] {
        let encoding = load(&bert_dir(None), family)
            .encode("the", Some("play the"), 64)
            .unwrap();
        assert_eq!(encoding.ids, [2, 5, 3, 10, 5, 3]);
        assert_eq!(
            encoding.type_ids,
            [0, 0, 0, second, second, second],
            "{family:?}"
        );
    }
}

#[test]
fn roberta_has_its_own_vocabulary_and_template() {
    let tokenizer = load(&roberta_dir(), TokenizerFamily::Roberta);
    assert_eq!(ids(&tokenizer, "ab ab", None), [0, 8, 9, 2]);
    let pair = tokenizer.encode("ab", Some("b a <mask>"), 64).unwrap();
    assert_eq!(pair.ids, [0, 8, 2, 2, 6, 7, 5, 4, 2]);
    assert_eq!(pair.type_ids, [0; 9]);
    assert_eq!(tokenizer.mask_id(), Some(4));
    assert_eq!(tokenizer.special_tokens_added(true), 4);

    let dir = roberta_dir();
    fs::write(
        dir.path().join("tokenizer_config.json"),
        r#"{"add_prefix_space": true}"#,
    )
    .unwrap();
    assert_eq!(
        ids(&load(&dir, TokenizerFamily::Roberta), "ab ab", None),
        [0, 9, 9, 2]
    );
}

#[test]
fn long_pairs_lose_tokens_of_the_longer_text_first() {
    let tokenizer = bert();
    let cut = |text: &str, pair: &str, max_length| {
        let encoding = tokenizer.encode(text, Some(pair), max_length).unwrap();
        assert_eq!(encoding.ids.len(), encoding.type_ids.len());
        assert!(encoding.truncated);
        encoding.ids
    };
    assert_eq!(cut("the the the the", "play", 6), [2, 5, 5, 3, 10, 3]);
    assert_eq!(cut("the", "play play play play", 6), [2, 5, 3, 10, 10, 3]);
    assert_eq!(
        cut("the the the the", "play play play", 8),
        [2, 5, 5, 5, 3, 10, 10, 3]
    );
    assert_eq!(cut("the the", "play play", 3), [2, 3, 3]);
    assert!(!tokenizer.encode("the", Some("play"), 5).unwrap().truncated);
    let error = tokenizer.encode("the", Some("play"), 2).unwrap_err();
    assert!(matches!(
        error,
        TokenizerError::MaxLength {
            max_length: 2,
            special: 3
        }
    ));
}

#[test]
fn a_saved_tokenizer_loads_the_same() {
    let texts = ["The Cafés, playing!", "", "語 [SEP] ab", "ab ab b"];
    let config = r#"{"do_lower_case": false, "strip_accents": true, "extra": "kept", "name_or_path": "/gone"}"#;
    for (dir, family) in [
        (bert_dir(Some(config)), TokenizerFamily::Electra),
        (roberta_dir(), TokenizerFamily::Roberta),
    ] {
        let tokenizer = load(&dir, family).with_model_max_length(128);
        let saved = tempfile::tempdir().unwrap();
        let path = saved.path().join("new/model");
        tokenizer.save(&path).unwrap();
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
        for leave in [&[][..], &["tokenizer.json"][..]] {
            leave
                .iter()
                .for_each(|name| fs::remove_file(path.join(name)).unwrap());
            let again = TextTokenizer::from_dir(&path, family).unwrap();
            for text in texts {
                assert_eq!(
                    again.encode(text, Some("the ab"), 9).unwrap(),
                    tokenizer.encode(text, Some("the ab"), 9).unwrap()
                );
            }
            assert_eq!(again.model_max_length(), Some(128));
            assert_eq!(again.mask_id(), tokenizer.mask_id());
        }
        let config: serde_json::Value =
            serde_json::from_str(&read("tokenizer_config.json")).unwrap();
        if family == TokenizerFamily::Electra {
            assert_eq!(read("vocab.txt").lines().collect::<Vec<_>>(), VOCAB);
            assert_eq!(config["tokenizer_class"], "ElectraTokenizer");
            assert_eq!(
                (&config["do_lower_case"], &config["extra"]),
                (&json!(false), &json!("kept"))
            );
            assert!(config.get("name_or_path").is_none());
        } else {
            assert_eq!(read("merges.txt"), "#version: 0.2\na b\nĠ ab\n");
            assert_eq!(config["tokenizer_class"], "RobertaTokenizer");
            assert_eq!(config["mask_token"], "<mask>");
        }
    }
}

#[test]
fn truncation_and_padding_of_a_tokenizer_json_are_kept_but_not_applied() {
    let dir = tempfile::tempdir().unwrap();
    bert().save(dir.path()).unwrap();
    let path = dir.path().join("tokenizer.json");
    let mut document: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let truncation =
        json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    document["truncation"] = truncation.clone();
    document["padding"] = json!({
        "strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    });
    fs::write(&path, document.to_string()).unwrap();
    let tokenizer = load(&dir, TokenizerFamily::Bert);
    assert_eq!(ids(&tokenizer, "the the the", None), [2, 5, 5, 5, 3]);
    tokenizer.save(dir.path()).unwrap();
    let saved: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(saved["truncation"], truncation);
}

#[test]
fn tokenizer_config_wins_over_tokenizer_json() {
    let dir = tempfile::tempdir().unwrap();
    bert().save(dir.path()).unwrap();
    fs::write(
        dir.path().join("tokenizer_config.json"),
        r#"{"do_lower_case": false}"#,
    )
    .unwrap();
    assert_eq!(
        ids(&load(&dir, TokenizerFamily::Bert), "Cafe", None),
        [2, 8, 3]
    );
    fs::remove_file(dir.path().join("tokenizer_config.json")).unwrap();
    assert_eq!(
        ids(&load(&dir, TokenizerFamily::Bert), "Cafe", None),
        [2, 6, 3]
    );
}

#[test]
fn capital_letters_in_a_lower_casing_vocabulary_are_pointed_out() {
    let vocab = ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nThe\nBr\nthe\n");
    let warned = load(&dir_with(&[vocab]), TokenizerFamily::Bert);
    assert!(
        warned.warnings()[0].contains("do_lower_case"),
        "{:?}",
        warned.warnings()
    );
    let said = ("tokenizer_config.json", r#"{"do_lower_case": true}"#);
    assert!(
        load(&dir_with(&[vocab, said]), TokenizerFamily::Bert)
            .warnings()
            .is_empty()
    );
}

fn error(files: &[(&str, &str)]) -> (String, String) {
    let dir = dir_with(files);
    let error = TextTokenizer::from_dir(dir.path(), TokenizerFamily::Bert).unwrap_err();
    let shown = error
        .to_string()
        .replace(&dir.path().display().to_string(), "DIR");
    (shown, error.hint().unwrap_or_default())
}

#[test]
fn a_directory_without_a_tokenizer_lists_what_was_looked_for() {
    let (message, hint) = error(&[("config.json", "{}")]);
    assert_eq!(
        message,
        "`DIR` holds no tokenizer: neither `tokenizer.json`, nor `vocab.txt`, nor `vocab.json` with `merges.txt`"
    );
    assert!(hint.starts_with("it holds config.json"), "{hint}");
    let (message, _) = error(&[("vocab.json", "{}")]);
    assert_eq!(message, "`DIR` holds `vocab.json` but not `merges.txt`");
    let missing =
        TextTokenizer::from_dir(Path::new("/no/such"), TokenizerFamily::Bert).unwrap_err();
    assert_eq!(missing.hint().unwrap(), "`/no/such` is not a directory");
}

#[test]
fn broken_files_are_named() {
    assert_eq!(
        error(&[("tokenizer.json", "{\"model\": ")]).0,
        "`DIR/tokenizer.json` is not JSON"
    );
    let (message, _) = error(&[("vocab.txt", "[PAD]\n[UNK]\n[SEP]\nthe\n")]);
    assert_eq!(
        message,
        "the vocabulary in `DIR/vocab.txt` has no `[CLS]` (the cls_token)"
    );
    assert!(
        error(&[("vocab.txt", "")])
            .0
            .contains("is not a vocabulary: it is empty")
    );
    let (message, _) = error(&[
        (
            "vocab.json",
            r#"{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4}"#,
        ),
        ("merges.txt", "#version: 0.2\na\n"),
    ]);
    assert_eq!(
        message,
        "line 2 of `DIR/merges.txt` is `a`, expected two tokens with a space between"
    );
    let (message, _) = error(&[
        (
            "vocab.json",
            r#"{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4}"#,
        ),
        ("merges.txt", "a b\n"),
    ]);
    assert!(message.contains("is not a tokenizer"), "{message}");
    let (message, _) = error(&[("tokenizer.json", r#"{"model": {"type": "WordPiece"}}"#)]);
    assert_eq!(
        message,
        "the vocabulary in `DIR/tokenizer.json` has no `[CLS]` (the cls_token)"
    );
}

#[test]
fn batches_keep_the_order_of_the_texts() {
    let tokenizer = bert();
    let texts: Vec<String> = (0..200).map(|n| "the ".repeat(n % 13)).collect();
    let rows: Vec<_> = texts.iter().map(|text| (text.as_str(), None)).collect();
    let encodings = tokenizer.encode_batch(&rows, 8).unwrap();
    for (n, encoding) in encodings.iter().enumerate() {
        assert_eq!(encoding.len(), (n % 13 + 2).min(8));
        assert_eq!(encoding.truncated, n % 13 + 2 > 8);
    }
}

#[test]
fn a_tokenizer_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<TextTokenizer>();
}

const TEXT: [&str; 4] = [
    "low lower lowest",
    "new newer newest",
    "wide wider widest",
    "Low, new, wide!",
];

fn options() -> TrainOptions {
    TrainOptions {
        vocab_size: Some(60),
        ..TrainOptions::default()
    }
}

#[test]
fn training_learns_the_frequent_pieces() {
    let tokenizer = train_tokenizer(TEXT.into_iter(), &options()).unwrap();
    let special: Vec<_> = (0..5).filter_map(|id| tokenizer.token(id)).collect();
    assert_eq!(special, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
    let pieces = |text: &str| -> Vec<String> {
        let ids = ids(&tokenizer, text, None);
        ids.into_iter()
            .filter_map(|id| tokenizer.token(id))
            .collect()
    };
    assert_eq!(pieces("LOW"), ["[CLS]", "low", "[SEP]"]);
    assert_eq!(pieces("news"), ["[CLS]", "new", "##s", "[SEP]"]);
    assert_eq!(pieces("x"), ["[CLS]", "[UNK]", "[SEP]"]);
    assert!(tokenizer.vocab_size() <= 60);
    assert_eq!(tokenizer.model_max_length(), Some(512));
}

#[test]
fn training_is_a_function_of_the_text_alone() {
    let saved = |texts: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        train_tokenizer(texts.iter().copied(), &options())
            .unwrap()
            .save(dir.path())
            .unwrap();
        ["tokenizer.json", "vocab.txt"].map(|name| fs::read(dir.path().join(name)).unwrap())
    };
    let first = saved(&TEXT);
    for _ in 0..20 {
        assert_eq!(saved(&TEXT), first);
    }
    let mut reversed = TEXT;
    reversed.reverse();
    assert_eq!(saved(&reversed), first);
}

#[test]
fn the_vocabulary_never_exceeds_what_was_asked_for() {
    for vocab_size in 6..40 {
        let options = TrainOptions {
            vocab_size: Some(vocab_size),
            min_frequency: 1,
            ..options()
        };
        let tokenizer = train_tokenizer(TEXT.into_iter(), &options).unwrap();
        assert!(tokenizer.vocab_size() <= vocab_size);
    }
    let error = |texts: &[&str], vocab_size| {
        let options = TrainOptions {
            vocab_size: Some(vocab_size),
            ..options()
        };
        train_tokenizer(texts.iter().copied(), &options).unwrap_err()
    };
    assert!(matches!(
        error(&TEXT, 5),
        TokenizerError::VocabSize { found: 5, least: 6 }
    ));
    assert!(matches!(error(&["", " \n"], 50), TokenizerError::NoText));
}

proptest! {
    #[test]
    fn no_encoding_exceeds_the_maximum_length(
        text in "(the|play|cafes|é|!| ){0,20}",
        pair in prop::option::of("(the|play|cafes|é|!| ){0,20}"),
        max_length in 3usize..24,
    ) {
        let tokenizer = bert();
        let whole = tokenizer.encode(&text, pair.as_deref(), usize::MAX).unwrap();
        let encoding = tokenizer.encode(&text, pair.as_deref(), max_length).unwrap();
        prop_assert_eq!(encoding.len(), whole.len().min(max_length));
        prop_assert_eq!(encoding.truncated, whole.len() > max_length);
        prop_assert_eq!(encoding.ids.first(), Some(&2));
        prop_assert_eq!(encoding.ids.last(), Some(&3));
        let separators = encoding.ids.iter().filter(|&&id| id == 3).count();
        prop_assert_eq!(separators, 1 + usize::from(pair.is_some()));
    }
}
