#![allow(clippy::unwrap_used, clippy::print_stdout)]

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::columns::Column;
use crate::error::TableError;
use crate::tagging::{Scheme, TagSet, TaggedSentence, TextSpan, split_words};

fn read(name: &str, text: &str) -> Result<TaggedCorpus, DataError> {
    read_with(name, text, &TaggedOptions::default())
}

fn read_with(name: &str, text: &str, options: &TaggedOptions) -> Result<TaggedCorpus, DataError> {
    read_tagged_from(text.as_bytes().to_vec(), name, options)
}

/// Each sentence as `word/tag` in BIO.
fn shown(corpus: &TaggedCorpus) -> Vec<String> {
    let sentence = |sentence: &TaggedSentence| {
        let tags = sentence.tags(Scheme::Bio);
        let word = |at: usize| match &tags {
            Some(tags) => format!("{}/{}", sentence.word(at), tags[at]),
            None => sentence.word(at).to_string(),
        };
        (0..sentence.len()).map(word).collect::<Vec<_>>().join(" ")
    };
    corpus.sentences.iter().map(sentence).collect()
}

fn message(error: DataError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}

/// Writes the corpus with the tags it was read with, except that the last word of every sentence is `O`.
fn written(corpus: &TaggedCorpus, scores: Option<&[Vec<Option<f64>>]>) -> String {
    let set = corpus.tag_set(Scheme::Bio).unwrap();
    let tags: Vec<Vec<usize>> = corpus
        .sentences
        .iter()
        .map(|sentence| {
            let entities = sentence.entities.as_deref().unwrap();
            let tags = set.encode(entities, sentence.len());
            tags.into_iter().map(Option::unwrap).collect()
        })
        .collect();
    let mut bytes = Vec::new();
    write_tagged(&mut bytes, corpus, &set, &tags, scores).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn columns_of_any_number_are_read_with_documents_and_lines() {
    let text = "\u{feff}-DOCSTART- -X- O O\r\n\r\nEU NNP I-NP B-ORG\r\nrejects VBZ I-VP O\r\n\r\n\r\n# a remark\r\n-DOCSTART- -X- O O\r\nPeter NNP I-NP B-PER\r\nBlackburn NNP I-NP I-PER";
    let corpus = read("eng.train", text).unwrap();
    assert_eq!(
        shown(&corpus),
        ["EU/B-ORG rejects/O", "Peter/B-PER Blackburn/I-PER"]
    );
    assert_eq!(corpus.documents, ["1", "2"]);
    assert_eq!(corpus.sentences[0].document, Some(0));
    assert_eq!(corpus.sentences[1].document, Some(1));
    assert_eq!(
        (corpus.sentences[1].line, corpus.sentences[1].line_of(1)),
        (9, 10)
    );
    assert_eq!(corpus.scheme, Some(Scheme::Bio));
    assert_eq!(corpus.sentences[1].text, "Peter Blackburn");
    assert_eq!((corpus.words(), corpus.entities().count()), (4, 2));

    let options = TaggedOptions {
        word: Some(Column::Number(2)),
        tag: Some(Column::Number(1)),
        ..Default::default()
    };
    let corpus = read_with("x.tsv", "O\tin\t7\nB-LOC\tNew York\t8\n", &options).unwrap();
    assert_eq!(shown(&corpus), ["in/O New York/B-LOC"]);
    let options = TaggedOptions {
        tag: Some(Column::Number(4)),
        ..options
    };
    assert_eq!(
        message(read_with("x.tsv", "O\tin\t7\n", &options).unwrap_err()),
        "`x.tsv` has no column `4`, found `1`, `2`, `3`\n\
         hint: without a header, columns are chosen by position from 1"
    );
}

#[test]
fn words_that_begin_with_a_hash_are_no_comments() {
    let corpus = read(
        "tweets.conll",
        "# made by hand\n#NFL\tO\n#\tO\n# note\nTom\tB-person\n\t\n#1\tO\n\n#header\nx\tO\n",
    )
    .unwrap();
    assert_eq!(shown(&corpus), ["#NFL/O #/O Tom/B-person", "#1/O", "x/O"]);
    let error = read("tweets.conll", "Tom\tB-person\n#NFL\n").unwrap_err();
    assert!(matches!(
        error,
        DataError::Tag(TagError::ColumnCount {
            line: 2,
            found: 1,
            ..
        })
    ));
    let corpus = read("words.txt", "#ff\n# note\n#\n").unwrap();
    assert_eq!(shown(&corpus), ["#ff #"]);
}

#[test]
fn bare_tags_get_the_type_asked_for_and_stay_bare_when_written() {
    let text = "the\tO\nataxia\tB\n-\tI\n\n#\tO\nT\tB\n";
    let mut corpus = read("train.tsv", text).unwrap();
    assert_eq!(
        shown(&corpus),
        ["the/O ataxia/B-entity -/I-entity", "#/O T/B-entity"]
    );
    assert!(corpus.bare);
    assert_eq!(
        written(&corpus, None),
        "the\tO\tO\nataxia\tB\tB\n-\tI\tI\n\n#\tO\tO\nT\tB\tB\n"
    );
    corpus.adopt_type(&TagSet::new(["Disease"], Scheme::Bio).unwrap());
    assert_eq!(shown(&corpus)[1], "#/O T/B-Disease");
    let options = TaggedOptions {
        entity_type: "Gene".into(),
        ..Default::default()
    };
    let corpus = read_with("train.tsv", text, &options).unwrap();
    assert_eq!(shown(&corpus)[1], "#/O T/B-Gene");
}

#[test]
fn numbered_words_have_two_levels_of_tags() {
    let text = "#\thttp://example.org/\t[2010-07-04]\t\n1\tdie\tO\tO\n2\t#\tO\tO\n3\tUni\tB-ORG\tO\n4\tRom\tI-ORG\tB-LOC\n\n#\tx\n1\tEnde\tO\tO\n\n";
    let corpus = read("NER-de-dev.tsv", text).unwrap();
    assert_eq!(shown(&corpus), ["die/O #/O Uni/B-ORG Rom/I-ORG", "Ende/O"]);
    let options = TaggedOptions {
        level: TagLevel::Inner,
        ..Default::default()
    };
    let corpus = read_with("NER-de-dev.tsv", text, &options).unwrap();
    assert_eq!(shown(&corpus)[0], "die/O #/O Uni/O Rom/B-LOC");
    assert!(written(&corpus, None).contains("4\tRom\tI-ORG\tB-LOC\tB-LOC\n\n#\tx\n1\tEnde"));
}

#[test]
fn universal_ner_has_documents_in_its_comments() {
    let text = "# newdoc id =set.sr.1\n# sent_id = s1\n# text = Na Kosovu\n1\tNa\tO\tO\t-\n2\tKosovu\tB-LOC\tB-LOC\t-\n\n# sent_id = s2\n1\tDa\tO\tO\t-\n\n# newdoc\n1\tNe\tO\tO\t-\n";
    let corpus = read("dev.iob2", text).unwrap();
    assert_eq!(shown(&corpus), ["Na/O Kosovu/B-LOC", "Da/O", "Ne/O"]);
    assert_eq!(corpus.documents, ["set.sr.1", "2"]);
    assert_eq!(corpus.sentences[1].document, Some(0));
    assert_eq!(corpus.sentences[2].document, Some(1));
}

#[test]
fn other_schemes_are_converted_and_broken_sequences_counted() {
    let corpus = read("x.conll", "a I-X\nb B-X\nc O\n").unwrap();
    assert_eq!(corpus.scheme, Some(Scheme::Iob1));
    assert_eq!(shown(&corpus), ["a/B-X b/B-X c/O"]);
    let corpus = read("x.conll", "a B-X\nb L-X\nc U-Y\n").unwrap();
    assert_eq!(corpus.scheme, Some(Scheme::Bilou));
    assert_eq!(shown(&corpus), ["a/B-X b/I-X c/B-Y"]);
    let corpus = read("x.conll", "a B-X\n\nb I-X\nc I-Y\n").unwrap();
    assert_eq!(shown(&corpus), ["a/B-X", "b/B-X c/B-Y"]);
    assert_eq!(
        corpus.repairs.summary().unwrap(),
        "2 entities put right: 1 without a tag that begins them, 1 that begin where the type changes (the first on line 3)"
    );
}

#[test]
fn broken_lines_are_named() {
    let error = read("x.conll", "a O\nb\n").unwrap_err();
    assert_eq!(
        message(error),
        "line 2 of `x.conll` has 1 column, expected 2\n\
         hint: each line holds one word and the same number of columns; blank lines divide sentences, and comments begin with `# `"
    );
    let error = read("x.conll", "a O\nb X-PER\nc O\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the tag on line 2 of `x.conll` is `X-PER`, expected `O`, or one of the letters `B`, `I`, `E`, `S`, `L`, `U`, \
         alone or with a hyphen and a type behind it"
    );
    let error = read("x.conll", "a\tO\n\tO\n").unwrap_err();
    assert!(matches!(
        error,
        DataError::Table(TableError::Missing {
            place,
            part: "word",
            ..
        }) if place.number == 2
    ));
    for text in ["", "\n\n", "# only\n\n# comments\n", "-DOCSTART- O\n\n"] {
        let error = read("x.conll", text).unwrap_err();
        assert_eq!(error.to_string(), "`x.conll` is empty", "{text:?}");
    }
    let options = TaggedOptions {
        format: Some(Format::Relations),
        ..TaggedOptions::default()
    };
    assert_eq!(
        read_with("x", "a\tO\n", &options).unwrap_err().to_string(),
        "`relations` is no format of tagged words, expected `csv`, `tsv`, `jsonl`, `conll` or `iob2`"
    );
}

#[test]
fn files_without_tags_can_be_read_unless_tags_are_required() {
    for text in [
        "what\na\nfilm\n",
        "what WP\na DT\nfilm NN\n",
        "1 what\n2 a\n3 film\n",
    ] {
        let corpus = read("x.txt", text).unwrap();
        assert_eq!(shown(&corpus), ["what a film"], "{text}");
        assert!(!corpus.is_tagged());
        assert_eq!(corpus.scheme, None);
    }
    let required = TaggedOptions {
        tags: TagPolicy::Required,
        ..Default::default()
    };
    let error = read_with("x.txt", "what\na\n", &required).unwrap_err();
    assert_eq!(error.to_string(), "`x.txt` holds no tags");
    let error = read_with("x.txt", "what WP\na DT\n", &required).unwrap_err();
    assert!(matches!(
        error,
        DataError::Tag(TagError::UnknownTag { line: 1, .. })
    ));
    let ignore = TaggedOptions {
        tags: TagPolicy::Ignore,
        ..Default::default()
    };
    let corpus = read_with("x.txt", "what X-Y\n", &ignore).unwrap();
    assert_eq!(shown(&corpus), ["what"]);
    assert!(matches!(
        corpus.tag_set(Scheme::Bio),
        Err(DataError::Tag(TagError::NoTags { .. }))
    ));
}

#[test]
fn texts_with_spans_count_characters() {
    let text = "{\"text\": \"Zürich, in Genève.\", \"entities\": [{\"start\": 11, \"end\": 17, \"label\": \"LOC\"}, [0, 6, \"LOC\"]], \"doc_id\": 7}\n\n{\"text\": \"\", \"entities\": []}\r\n";
    let corpus = read("x.jsonl", text).unwrap();
    assert_eq!(
        shown(&corpus),
        ["Zürich/B-LOC ,/O in/O Genève/B-LOC ./O", ""]
    );
    assert_eq!(corpus.documents, ["7"]);
    assert_eq!(corpus.sentences[1].line, 3);
    let spans = corpus.sentences[0].spans(corpus.sentences[0].entities.as_ref().unwrap());
    let expected = TextSpan {
        start: 11,
        end: 17,
        label: "LOC".into(),
        text: "Genève".into(),
    };
    assert_eq!(spans[1], expected);
    let scores = [vec![Some(0.5), None, None, None, None], vec![]];
    let out = written(&corpus, Some(&scores));
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["predicted"][0]["score"], 0.5);
    assert_eq!(first["predicted"][1]["score"], Value::Null);
    assert_eq!(
        serde_json::from_value::<TextSpan>(first["predicted"][1].clone()).unwrap(),
        expected
    );
    assert!(
        out.ends_with("\n\n{\"text\":\"\",\"entities\":[],\"predicted\":[]}\r\n"),
        "{out}"
    );
}

#[test]
fn spans_are_widened_to_words_and_overlaps_resolved() {
    let text = "{\"text\": \"the New York Times of York\", \"spans\": [[8, 12, \"LOC\"], [4, 18, \"ORG\"], [23, 26, \"LOC\"], [21, 22, \"X\"], [4, 7, \"LOC\"]]}";
    let corpus = read("x.jsonl", text).unwrap();
    assert_eq!(
        shown(&corpus),
        ["the/O New/B-ORG York/I-ORG Times/I-ORG of/O York/B-LOC"]
    );
    let repairs = corpus.repairs;
    assert_eq!(
        (repairs.overlapping, repairs.snapped, repairs.blank),
        (2, 1, 1)
    );
    let refuse = TaggedOptions {
        overlaps: OverlapPolicy::Refuse,
        ..Default::default()
    };
    assert_eq!(
        read_with("x.jsonl", text, &refuse).unwrap_err().to_string(),
        "the spans from 4 to 18 and from 8 to 12 on line 1 of `x.jsonl` share a word"
    );
}

#[test]
fn tokens_with_tags_are_read_and_written() {
    let text = "{\"tokens\": [\"New\", \"\", \"York\"], \"ner_tags\": [\"B-LOC\", \"I-LOC\", \"E-LOC\"]}\n";
    let corpus = read("x.json", text).unwrap();
    assert_eq!(corpus.format, Format::Jsonl);
    assert_eq!(corpus.scheme, Some(Scheme::Bioes));
    assert_eq!(shown(&corpus), ["New/B-LOC /I-LOC York/I-LOC"]);
    assert_eq!(
        written(&corpus, None),
        "{\"tokens\":[\"New\",\"\",\"York\"],\"ner_tags\":[\"B-LOC\",\"I-LOC\",\"E-LOC\"],\"predicted\":[\"B-LOC\",\"I-LOC\",\"I-LOC\"]}\n"
    );
}

#[test]
fn broken_objects_are_named_with_line_and_key() {
    for (text, expected) in [
        (
            "{\"text\": \"a b\", \"entities\": [[0, 4, \"X\"]]}",
            "the span from 0 to 4 on line 1 of `x.jsonl` is not in its text, which has 3 characters",
        ),
        (
            "{\"text\": \"a b\", \"entities\": [[1, 1, \"X\"]]}",
            "the span from 1 to 1 on line 1 of `x.jsonl` is not in its text, which has 3 characters",
        ),
        (
            "{\"text\": \"a b\", \"entities\": [[-1, 1, \"X\"]]}",
            "the span from -1 to 1 on line 1 of `x.jsonl` is not in its text, which has 3 characters",
        ),
        (
            "{\"text\": \"a b\", \"entities\": [[0, 1]]}",
            "`entities` on line 1 of `x.jsonl` holds [0,1], expected spans with a start, an end and a label",
        ),
        (
            "{\"text\": \"a b\", \"entities\": 3}",
            "`entities` on line 1 of `x.jsonl` holds 3, expected a list of spans",
        ),
        (
            "{\"text\": 5}",
            "`text` on line 1 of `x.jsonl` holds 5, expected a text or a list of words",
        ),
        (
            "{\"title\": \"a\"}",
            "line 1 of `x.jsonl` has no text (column `text`)",
        ),
        (
            "{\"tokens\": [\"a\"], \"tags\": [\"O\", \"O\"]}",
            "line 1 of `x.jsonl` has 2 tags for 1 words",
        ),
        (
            "{\"tokens\": [\"a\"], \"tags\": [3]}",
            "`tags` on line 1 of `x.jsonl` holds 3, expected a list of texts",
        ),
        (
            "{\"text\": \"a\", \"entities\": []}\n{\"text\": \"b\"}",
            "line 2 of `x.jsonl` has no tags (column `entities`)",
        ),
        (
            "{\"text\": ",
            "line 1 of `x.jsonl` is not JSON: EOF while parsing a value (column 8)",
        ),
    ] {
        assert_eq!(read("x.jsonl", text).unwrap_err().to_string(), expected);
    }
    assert!(!read("x.jsonl", "{\"text\": \"a b\"}").unwrap().is_tagged());
}

#[test]
fn csv_begins_a_sentence_where_the_id_changes() {
    let text = "Sentence #,Word,POS,Tag\nSentence: 1,London,NNP,B-geo\n,\",\",\",\",O\nSentence: 2,\"a \"\"b\",DT,O\n";
    let corpus = read("ner.csv", text).unwrap();
    assert_eq!(shown(&corpus), ["London/B-geo ,/O", "a \"b/O"]);
    assert_eq!(corpus.sentences[1].line, 4);
    assert_eq!(
        written(&corpus, None),
        "Sentence #,Word,POS,Tag,predicted\nSentence: 1,London,NNP,B-geo,B-geo\n,\",\",\",\",O,O\nSentence: 2,\"a \"\"b\",DT,O,O\n"
    );
    let text = "doc_id,sent_id,token,label\na,1,x,O\nb,1,y,O\n";
    let corpus = read("ner.csv", text).unwrap();
    assert_eq!(shown(&corpus), ["x/O", "y/O"]);
    assert_eq!(corpus.documents, ["a", "b"]);
    let error = read("ner.csv", "word,tag\nx,O\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`ner.csv` has no column `sentence_id`, found `word`, `tag`"
    );
    let error = read("ner.csv", "sent_id,word,tag\n1,x,O\n1,y,\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3 of `ner.csv` has no tag (column `tag`)"
    );
    let tabs = TaggedOptions {
        format: Some(Format::Csv),
        delimiter: Some(b'\t'),
        ..Default::default()
    };
    let corpus = read_with("ner.tsv", "sent_id\tword\ttag\n1\t\"\tB-X\n", &tabs).unwrap();
    assert_eq!(shown(&corpus), ["\"/B-X"]);
}

#[test]
fn types_that_a_model_lacks_are_reported_with_file_and_line() {
    let corpus = read("dev.conll", "a B-PERS\nb B-LOC\nc B-PERS\n").unwrap();
    let unseen = corpus.unseen(&TagSet::new(["PER", "LOC"], Scheme::Bio).unwrap());
    assert_eq!(
        unseen.summary().unwrap(),
        "2 entities of `dev.conll` have a type that training never saw: `PERS` (2, first on line 1); \
         the most similar one that it saw is `PER`"
    );
    assert!(
        corpus
            .unseen(&corpus.tag_set(Scheme::Bio).unwrap())
            .is_empty()
    );
}

#[test]
fn what_is_written_keeps_every_line() {
    let text = "\r\n# newdoc id = x\r\n#t\tB-X\t \r\nb\tO\r\n\t\r\n-DOCSTART-\r\n\r\nc\tI-X";
    let corpus = read("x.conll", text).unwrap();
    assert_eq!(
        written(&corpus, None),
        "\r\n# newdoc id = x\r\n#t\tB-X\tB-X\r\nb\tO\tO\r\n\t\r\n-DOCSTART-\r\n\r\nc\tI-X\tB-X"
    );
    let corpus = read("x.conll", "a O\rb B-X\r").unwrap();
    assert_eq!(written(&corpus, None), "a O O\rb B-X B-X\r");
}

#[test]
fn words_of_texts_are_letters_or_single_marks() {
    let words = |text: &'static str| -> Vec<&str> {
        split_words(text)
            .into_iter()
            .map(|word| &text[word])
            .collect()
    };
    assert_eq!(
        words("can't (re)do 3.5%\n"),
        ["can", "'", "t", "(", "re", ")", "do", "3", ".", "5", "%"]
    );
    assert_eq!(
        words("e\u{301}tat snake_case „Zitat“—x"),
        ["e\u{301}tat", "snake_case", "„", "Zitat", "“", "—", "x"]
    );
    assert_eq!(
        words("東京abc हिन्दी 👍🏽 ❤\u{fe0f}"),
        ["東", "京", "abc", "हिन्दी", "👍🏽", "❤\u{fe0f}"]
    );
    assert!(words(" \t\u{a0}").is_empty());
}

proptest! {
    #[test]
    fn every_visible_character_is_in_one_word(text in "\\PC{0,40}") {
        let words = split_words(&text);
        let mut covered = 0;
        for word in &words {
            prop_assert!(word.start >= covered && !word.is_empty());
            prop_assert!(text[covered..word.start].chars().all(|c| c.is_whitespace() || c.is_control()));
            covered = word.end;
        }
        prop_assert!(text[covered..].chars().all(|c| c.is_whitespace() || c.is_control()));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "([#a1] ?|-|O|B-x|I|\t|\n|\r\n|\"|,|\\{|é|# newdoc|-DOCSTART-){0,30}") {
        for name in ["x.conll", "x.csv", "x.jsonl"] {
            if let Ok(corpus) = read(name, &text) {
                prop_assert!(corpus.sentences.iter().any(|s| !s.text.is_empty() || s.is_empty()));
            }
        }
    }
}

/// Checks counts of the published files, if `BERTKIT_DATA_DIR` is set to their folder.
#[test]
fn published_files_have_as_many_sentences_and_entities_as_they_should() {
    let Some(dir) = std::env::var_os("BERTKIT_DATA_DIR") else {
        println!("skipped: BERTKIT_DATA_DIR is not set");
        return;
    };
    let dir = Path::new(&dir).join("ner");
    let files = [
        ("ncbi_disease/train.tsv", 5424, 5134),
        ("ncbi_disease/devel.tsv", 923, 787),
        ("ncbi_disease/test.tsv", 940, 960),
        ("wnut17/wnut17train.conll", 3394, 1975),
        ("wnut17/emerging.dev.conll", 1009, 836),
        ("wnut17/emerging.test.annotated", 1287, 1079),
        ("uner_serbian_set/sr_set-ud-train.iob2", 3328, 5377),
        ("uner_serbian_set/sr_set-ud-dev.iob2", 536, 844),
        ("uner_serbian_set/sr_set-ud-test.iob2", 520, 901),
        ("germeval2014/NER-de-dev.tsv", 2200, 2674),
        ("germeval2014/NER-de-test.tsv", 5100, 6178),
    ];
    for (file, sentences, entities) in files {
        let corpus = read_tagged(&dir.join(file), &TaggedOptions::default()).unwrap();
        assert_eq!(corpus.sentences.len(), sentences, "{file}");
        assert_eq!(corpus.entities().count(), entities, "{file}");
    }
    let inner = TaggedOptions {
        level: TagLevel::Inner,
        ..Default::default()
    };
    let corpus = read_tagged(&dir.join("germeval2014/NER-de-dev.tsv"), &inner).unwrap();
    assert_eq!(corpus.entities().count(), 212);
    let corpus = read_tagged(
        &dir.join("uner_serbian_set/sr_set-ud-train.iob2"),
        &TaggedOptions::default(),
    )
    .unwrap();
    assert_eq!(
        (corpus.documents.len(), corpus.repairs.type_changes),
        (132, 2)
    );
}
