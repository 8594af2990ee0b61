#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs;

use tempfile::TempDir;
use tokenizers::Trainer;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};

use super::*;
use crate::tokenizer::{TokenizerSpec, Transliteration, UnicodeForm};

const TYPES: [TokenizerType; 5] = [
    TokenizerType::Wordpiece,
    TokenizerType::Bpe,
    TokenizerType::ByteBpe,
    TokenizerType::Unigram,
    TokenizerType::Char,
];

const FAMILIES: [TokenizerFamily; 4] = [
    TokenizerFamily::Bert,
    TokenizerFamily::Roberta,
    TokenizerFamily::Electra,
    TokenizerFamily::Distilbert,
];

/// Sentences of made-up words with frequencies distributed as in natural language.
fn sentences() -> Vec<String> {
    let syllables = ["ka", "lo", "mi", "ren", "tu", "sa", "vé", "po", "ши", "dra"];
    let word = |rank: usize| -> String {
        let first = syllables[rank % 10];
        let second = syllables[(rank / 3) % 10];
        match rank % 4 {
            0 => first.into(),
            1 => format!("{first}{second}"),
            _ => format!("{first}{second}{}", syllables[(rank / 7) % 10]),
        }
    };
    (0..1500_usize)
        .map(|line| {
            let words: Vec<String> = (0..8)
                .map(|place| {
                    let draw = (line * 8 + place) * 2_654_435_761 % 1_000_003;
                    word((100.0 * (draw as f64 / 1_000_003.0).powi(3)) as usize)
                })
                .collect();
            format!("{}. ({}!)", words[..5].join(" "), words[5..].join(" "))
        })
        .collect()
}

fn options(kind: TokenizerType) -> TrainOptions {
    TrainOptions {
        family: kind.usual_family(),
        vocab_size: Some(if kind == TokenizerType::ByteBpe {
            400
        } else {
            150
        }),
        normalization: Normalization::default(),
        kind,
        ..TrainOptions::default()
    }
}

fn train(texts: &[String], options: &TrainOptions) -> Trained {
    let mut trainer = TokenizerTrainer::new(options).unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    trainer.add(&texts).unwrap();
    trainer.train(&mut |_| ()).unwrap()
}

fn saved(tokenizer: &TextTokenizer) -> (TempDir, Vec<(String, Vec<u8>)>) {
    let dir = tempfile::tempdir().unwrap();
    tokenizer.save(dir.path()).unwrap();
    let entries = fs::read_dir(dir.path()).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    (dir, files)
}

fn tokens(tokenizer: &TextTokenizer, text: &str) -> Vec<String> {
    let ids = tokenizer.encode(text, None, usize::MAX).unwrap().ids;
    ids.into_iter()
        .filter_map(|id| tokenizer.token(id))
        .collect()
}

#[test]
fn every_kind_and_family_has_its_special_tokens_in_their_places() {
    let texts = sentences();
    for kind in TYPES
        .into_iter()
        .chain([TokenizerType::Kmer(":2".parse().unwrap())])
    {
        for family in FAMILIES {
            let options = TrainOptions {
                family,
                ..options(kind.clone())
            };
            let trained = train(&texts, &options).tokenizer;
            let id = |token: &str| trained.id(token);
            if family == TokenizerFamily::Roberta {
                let first: Vec<_> = (0..4).filter_map(|id| trained.token(id)).collect();
                assert_eq!(first, ["<s>", "<pad>", "</s>", "<unk>"]);
                assert_eq!(id("<mask>"), Some(trained.vocab_size() as u32 - 1));
                assert_eq!((trained.cls_id(), trained.sep_id()), (0, 2));
            } else {
                let first: Vec<_> = (0..5).filter_map(|id| trained.token(id)).collect();
                assert_eq!(first, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
                assert_eq!((trained.cls_id(), trained.sep_id()), (2, 3));
            }
            assert!(trained.mask_id().and_then(|id| trained.token(id)).is_some());
            assert_eq!(trained.family(), family);
            let pair = trained.encode("ka lo", Some("AC"), 64).unwrap();
            let separators = pair
                .ids
                .iter()
                .filter(|&&id| id == trained.sep_id())
                .count();
            assert_eq!(
                separators,
                if family == TokenizerFamily::Roberta {
                    3
                } else {
                    2
                },
                "{kind} {family:?}"
            );
            let types = matches!(family, TokenizerFamily::Bert | TokenizerFamily::Electra);
            assert_eq!(pair.type_ids.contains(&1), types);
        }
    }
}

#[test]
fn a_trained_tokenizer_is_read_back_from_its_folder_with_the_same_ids() {
    let texts = sentences();
    let kmers = ["", ":3:stride=3", ":2:stride=3:alphabet=ACGTN"];
    let kmers = kmers.map(|text| TokenizerType::Kmer(text.parse().unwrap()));
    for kind in TYPES.into_iter().chain(kmers) {
        for family in FAMILIES {
            let options = TrainOptions {
                family,
                ..options(kind.clone())
            };
            let trained = train(&texts, &options).tokenizer;
            let (dir, files) = saved(&trained);
            let read = TextTokenizer::from_dir(dir.path(), family).unwrap();
            assert_eq!(read.model_max_length(), Some(512));
            assert_eq!(read.vocab_size(), trained.vocab_size());
            assert_eq!(read.mask_id(), trained.mask_id());
            for text in [
                texts[3].as_str(),
                "ACGTacgunACGTT",
                "",
                "  a\t b ",
                "x语y <mask> [MASK] é",
            ] {
                assert_eq!(
                    read.encode(text, None, 64).unwrap(),
                    trained.encode(text, None, 64).unwrap(),
                    "{kind} {family:?} {text}"
                );
            }
            assert_eq!(saved(&read).1, files, "{kind} {family:?}");
        }
    }
}

#[test]
fn the_same_texts_in_any_order_and_on_any_number_of_threads_give_the_same_bytes() {
    let mut texts = sentences();
    for kind in TYPES {
        let options = options(kind);
        let first = saved(&train(&texts, &options).tokenizer).1;
        for threads in [1, 3] {
            texts.reverse();
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let again = pool.install(|| saved(&train(&texts, &options).tokenizer).1);
            assert!(again == first, "{}", options.kind);
        }
    }
}

/// Compares with the `tokenizers` crate's trainer, on words in which no two pairs are equally frequent.
#[test]
fn byte_level_merges_are_those_of_the_tokenizers_crate() {
    let texts = sentences();
    let trained = train(&texts, &options(TokenizerType::ByteBpe));
    let document: serde_json::Value =
        serde_json::from_str(&trained.tokenizer.inner().to_string(false).unwrap()).unwrap();
    let ours: Vec<(String, String)> =
        serde_json::from_value(document["model"]["merges"].clone()).unwrap();

    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(256 + ours.len())
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut trainer = TrainerWrapper::BpeTrainer(trainer);
    let words: Vec<String> = trained
        .words
        .0
        .iter()
        .flat_map(|(word, count)| std::iter::repeat_n(word.clone(), *count as usize))
        .collect();
    trainer
        .feed(words.iter(), |word| Ok(vec![word.to_string()]))
        .unwrap();
    let mut model = BPE::default().into();
    trainer.train(&mut model).unwrap();
    let document = serde_json::to_value(&model).unwrap();
    let theirs: Vec<(String, String)> = serde_json::from_value(document["merges"].clone()).unwrap();
    assert!(ours.len() > 100);
    assert_eq!(ours, theirs);
}

#[test]
fn frequent_words_become_whole_tokens() {
    let texts = sentences();
    for kind in [
        TokenizerType::Wordpiece,
        TokenizerType::Bpe,
        TokenizerType::ByteBpe,
        TokenizerType::Unigram,
    ] {
        let trained = train(&texts, &options(kind.clone()));
        let found = trained.frequent_words(15).unwrap();
        assert_eq!((found.checked, found.whole), (15, 15), "{kind} {found:?}");
        assert_eq!(found.expected, kind != TokenizerType::Unigram);
        let all = trained.frequent_words(10_000).unwrap();
        assert_eq!(all.whole + all.split.len(), all.checked);
        assert!(!all.expected);
        assert!(all.split.iter().all(|split| split.tokens.len() > 1));
        assert!(
            all.split
                .windows(2)
                .all(|pair| pair[0].count >= pair[1].count)
        );
        let usage = trained.usage().unwrap();
        assert!(
            usage.tokens >= usage.words && usage.unknown == 0,
            "{kind} {usage:?}"
        );
    }
}

#[test]
fn words_keep_the_space_before_them_and_no_bracket_costs_a_token_of_its_own() {
    let texts = sentences();
    for kind in [TokenizerType::Bpe, TokenizerType::Unigram] {
        let trained = train(&texts, &options(kind)).tokenizer;
        let found = tokens(&trained, "ka (ka) ka.");
        assert_eq!(
            found[1..found.len() - 1],
            ["▁ka", "▁(", "ka", ")", "▁ka", "."]
        );
        assert_eq!(tokens(&trained, "ka\n  ka"), tokens(&trained, " ka ka "));
        assert_eq!(tokens(&trained, "ka☃ka")[2], "[UNK]");
    }
    let bytes = train(&texts, &options(TokenizerType::ByteBpe)).tokenizer;
    let found = tokens(&bytes, "ka ka☃");
    assert_eq!(found[..3], ["<s>", "ka", "Ġka"]);
    assert_eq!(found.len(), 7);
    assert!(!found.contains(&"<unk>".to_string()));
}

#[test]
fn characters_and_matches_are_tokens_as_they_are() {
    let texts = sentences();
    let characters = train(
        &texts,
        &TrainOptions {
            vocab_size: None,
            ..options(TokenizerType::Char)
        },
    );
    assert_eq!(
        tokens(&characters.tokenizer, "ka\t 語."),
        ["[CLS]", "k", "a", " ", "[UNK]", ".", "[SEP]"]
    );

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pattern");
    fs::write(&file, "(Br?|Cl?|[NO]|=|[0-9])\n").unwrap();
    let reactions = ["C1=CBr".to_string(), "ClC=O x".to_string()];
    let smiles = TrainOptions {
        min_frequency: 1,
        vocab_size: None,
        ..options(TokenizerType::Regex(file.clone()))
    };
    let trained = train(&reactions, &smiles).tokenizer;
    assert_eq!(
        tokens(&trained, "BrC?Cl=N"),
        ["[CLS]", "Br", "C", "Cl", "=", "[UNK]", "[SEP]"]
    );
    assert_eq!(trained.dropped("BrC?Cl =N").unwrap(), 1);
    // The same rule with the vocabulary of a model's folder, as specified on the command line.
    trained.save(dir.path()).unwrap();
    let spec: TokenizerSpec = format!("regex:{}", file.display()).parse().unwrap();
    let by_rule = spec.load(Some(dir.path()), TokenizerFamily::Bert).unwrap();
    let texts = ["C1=CBr", "", "none", "ClNO2"];
    for text in texts {
        assert_eq!(
            by_rule.encode(text, Some("C"), 32).unwrap(),
            trained.encode(text, Some("C"), 32).unwrap()
        );
    }
    let error = spec.load(None, TokenizerFamily::Bert).unwrap_err();
    assert!(error.hint().unwrap().contains("tokenizer train"), "{error}");
    for (pattern, part) in [
        ("", "it is empty"),
        ("a\nb\n", "several lines"),
        ("(a", "is not a regular expression"),
        ("a*", "it matches where there is nothing"),
    ] {
        fs::write(&file, pattern).unwrap();
        let error = spec
            .load(Some(dir.path()), TokenizerFamily::Bert)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn kmers_are_read_in_upper_case_and_as_dna() {
    let load = |spec: &str| {
        spec.parse::<TokenizerSpec>()
            .unwrap()
            .load(None, TokenizerFamily::Bert)
            .unwrap()
    };
    let three = load("kmer:3");
    assert_eq!(three.vocab_size(), 5 + 64);
    assert_eq!(
        tokens(&three, "acGUN"),
        ["[CLS]", "ACG", "CGT", "[UNK]", "[SEP]"]
    );
    assert_eq!(tokens(&three, "ACG CGT"), tokens(&three, "ACGT"));
    let blocks = load("kmer:3:stride=3");
    assert_eq!(
        tokens(&blocks, "ACGTTTAA"),
        ["[CLS]", "ACG", "TTT", "[SEP]"]
    );
    assert_eq!(blocks.dropped("ACGTTTAA").unwrap(), 2);
    assert_eq!(load("kmer").id("AAAAAA"), Some(5));
    // A vocabulary in a different order is kept as it is.
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("vocab.txt"),
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nTT\nAC\n",
    )
    .unwrap();
    let spec: TokenizerSpec = "kmer:2".parse().unwrap();
    let given = spec.load(Some(dir.path()), TokenizerFamily::Bert).unwrap();
    assert_eq!(given.encode("ACTT", None, 16).unwrap().ids, [2, 6, 1, 5, 3]);
}

#[test]
fn normalisation_is_saved_with_the_tokenizer() {
    let texts: Vec<String> = ["Љубав и ЉУБАВ", "njiva њива Ĳ"]
        .repeat(20)
        .iter()
        .map(|t| t.to_string())
        .collect();
    for kind in [
        TokenizerType::Wordpiece,
        TokenizerType::Bpe,
        TokenizerType::ByteBpe,
    ] {
        for (lowercase, expected) in [(true, "ljubav"), (false, "Ljubav")] {
            let options = TrainOptions {
                normalization: Normalization {
                    lowercase,
                    strip_accents: None,
                    form: Some(UnicodeForm::Nfkc),
                    transliteration: Some(Transliteration::Serbian),
                },
                ..options(kind.clone())
            };
            let (dir, _) = saved(&train(&texts, &options).tokenizer);
            let read = TextTokenizer::from_dir(dir.path(), options.family).unwrap();
            assert_eq!(tokens(&read, "Љубав"), tokens(&read, expected), "{kind}");
            assert_eq!(tokens(&read, "њива").len(), 3, "{kind}");
            assert_eq!(tokens(&read, "ﬁ"), tokens(&read, "fi"));
        }
    }
}

#[test]
fn a_text_beyond_the_memory_is_sampled_and_says_so() {
    let texts: Vec<String> = (0..20_000).map(|n| format!("low lower w{n}")).collect();
    let small = TrainOptions {
        max_memory: 1_000_000,
        ..options(TokenizerType::Wordpiece)
    };
    let trained = train(&texts, &small);
    assert!(
        trained.sample.is_partial() && trained.sample.kept > 500,
        "{:?}",
        trained.sample
    );
    assert_eq!(trained.sample.read, 20_000);
    assert_eq!(
        tokens(&trained.tokenizer, "lower"),
        ["[CLS]", "lower", "[SEP]"]
    );
    let again = train(&texts, &small);
    assert_eq!(saved(&again.tokenizer).1, saved(&trained.tokenizer).1);
    let other = train(&texts, &TrainOptions { seed: 1, ..small });
    assert_ne!(other.words, trained.words);

    let huge: String = (0..40_000).map(|n| format!("w{n} ")).collect();
    let mut trainer = TokenizerTrainer::new(&TrainOptions {
        max_memory: 1_000_000,
        ..options(TokenizerType::Wordpiece)
    })
    .unwrap();
    trainer.add(&[&huge]).unwrap();
    assert!(matches!(
        trainer.train(&mut |_| ()),
        Err(TokenizerError::Memory { budget: 1_000_000 })
    ));
}

#[test]
fn a_vocabulary_too_small_for_the_special_tokens_is_refused() {
    for (kind, least) in [
        (TokenizerType::Wordpiece, 6),
        (TokenizerType::Unigram, 6),
        (TokenizerType::ByteBpe, 261),
    ] {
        let small = TrainOptions {
            vocab_size: Some(least - 1),
            ..options(kind.clone())
        };
        assert!(matches!(
            TokenizerTrainer::new(&small).err(),
            Some(TokenizerError::VocabSize { found, least: needed }) if found == least - 1 && needed == least
        ));
        let enough = TrainOptions {
            vocab_size: Some(least),
            ..options(kind)
        };
        assert!(train(&sentences(), &enough).tokenizer.vocab_size() <= least);
    }
    let nothing = TokenizerTrainer::new(&options(TokenizerType::Bpe)).unwrap();
    assert!(matches!(
        nothing.train(&mut |_| ()),
        Err(TokenizerError::NoText)
    ));
}

#[test]
fn long_words_and_rare_characters_stop_no_trainer() {
    let mut texts = sentences();
    texts.push("x".repeat(5000));
    texts.push("ab".repeat(4000));
    texts.extend((0..3000).map(|n| char::from_u32(0x4e00 + n).unwrap().to_string()));
    for kind in TYPES {
        let trained = train(&texts, &options(kind.clone()));
        assert!(trained.tokenizer.vocab_size() <= 400);
        assert!(trained.usage().unwrap().tokens > 0);
    }
}

#[test]
fn names_of_types_are_read_back() {
    for name in [
        "wordpiece",
        "bpe",
        "byte-bpe",
        "unigram",
        "char",
        "kmer:4:stride=2",
        "regex:a/b",
    ] {
        assert_eq!(name.parse::<TokenizerType>().unwrap().to_string(), name);
    }
    for name in ["", "wordpieces", "regex:", "kmer:x", "BPE"] {
        assert!(name.parse::<TokenizerType>().is_err(), "{name}");
    }
    let specs: HashMap<&str, TokenizerSpec> = ["models/x", "char", "kmer:5", "regex:p"]
        .into_iter()
        .map(|name| (name, name.parse().unwrap()))
        .collect();
    assert_eq!(specs["models/x"], TokenizerSpec::Dir("models/x".into()));
    assert_eq!(specs["regex:p"], TokenizerSpec::Regex("p".into()));
    assert!(specs.iter().all(|(name, spec)| spec.to_string() == *name));
}
