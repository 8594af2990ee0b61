#![allow(clippy::unwrap_used)]
use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::writer::Output;
use super::super::{CorpusFormat, Statistics, find};
use super::*;
use crate::error::TableError;
use crate::tokenizer::TokenizerFamily;

const TEXT: &str = "The cat sat. The dog ran!\nAnother line, e.g. this one.\n\nA second document? \"Yes\" he said.\n";

/// A WordPiece tokenizer with these words, all letters and some punctuation marks.
fn tokenizer_of(words: &str) -> TextTokenizer {
    let letters = ('a'..='z').flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    let tokens: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .into_iter()
        .chain(words.split(' '))
        .chain([".", ",", "!", "?", "\"", "[", "]", "-"])
        .map(str::to_owned)
        .chain(letters)
        .collect();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vocab.txt"), tokens.join("\n")).unwrap();
    TextTokenizer::from_dir(folder.path(), TokenizerFamily::Bert).unwrap()
}

fn tokenizer() -> &'static TextTokenizer {
    const WORDS: &str =
        "the cat sat dog ran another line this one second document yes he said mask sep";
    static TOKENIZER: OnceLock<TextTokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| tokenizer_of(WORDS))
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn prepared(
    files: &[PathBuf],
    options: &CorpusOptions,
    folder: &TempDir,
) -> Result<Prepared, DataError> {
    let go_on = AtomicBool::new(false);
    let shards = folder.path().join("shards");
    prepare(files, options, tokenizer(), &shards, &mut |_| {}, &go_on)
}

fn corpus(files: &[PathBuf], options: &CorpusOptions) -> Result<Corpus, DataError> {
    prepared(files, options, &folder()).map(|prepared| prepared.corpus)
}

fn refused(files: &[PathBuf], options: &CorpusOptions) -> DataError {
    corpus(files, options).unwrap_err()
}

/// The documents as lists of sentences, spelled as tokens.
fn spelt(corpus: &Corpus) -> Vec<Vec<String>> {
    let tokenizer = tokenizer();
    let sentence = |sentence| {
        let (mut ids, mut starts) = (Vec::new(), Vec::new());
        corpus.append(corpus.sentence(sentence), &mut ids, &mut starts);
        let mut text = String::new();
        for (id, start) in ids.into_iter().zip(starts) {
            if start && !text.is_empty() {
                text.push(' ');
            }
            text += tokenizer.token(id).unwrap().trim_start_matches("##");
        }
        text
    };
    (0..corpus.documents())
        .map(|document| corpus.document(document).map(sentence).collect())
        .collect()
}

fn only(format: CorpusFormat) -> CorpusOptions {
    CorpusOptions {
        format,
        ..CorpusOptions::default()
    }
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &str) -> Vec<u8> {
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    ruzstd::encoding::compress_to_vec(content.as_bytes(), level)
}

#[test]
fn blank_lines_divide_documents_and_lines_are_sentences() {
    let folder = folder();
    let file = write(
        &folder,
        "a.txt",
        format!("\u{feff}\n\n{}\n\n", TEXT.replace('\n', "\r\n")),
    );
    let corpus = corpus(&[file], &CorpusOptions::default()).unwrap();
    assert_eq!(
        spelt(&corpus),
        [
            vec![
                "the cat sat . the dog ran !",
                "another line , e . g . this one ."
            ],
            vec!["a second document ? \" yes \" he said ."],
        ]
    );
    let source = &corpus.manifest().sources[0];
    assert_eq!(source.format, CorpusFormat::Sentences);
    assert_eq!(
        (source.documents, source.sentences, source.tokens),
        (2, 3, corpus.tokens())
    );
}

#[test]
fn a_line_is_a_document_where_no_line_is_blank() {
    let folder = folder();
    let file = write(&folder, "a.txt", TEXT.replace("\n\n", "\n"));
    let corpus = corpus(std::slice::from_ref(&file), &CorpusOptions::default()).unwrap();
    assert_eq!(
        spelt(&corpus),
        [
            vec!["the cat sat .", "the dog ran !"],
            vec!["another line , e . g . this one ."],
            vec!["a second document ?", "\" yes \" he said ."],
        ]
    );
    let whole = CorpusOptions {
        split_sentences: false,
        ..CorpusOptions::default()
    };
    let whole = self::corpus(&[file], &whole).unwrap();
    assert_eq!((whole.documents(), whole.sentences()), (3, 3));
}

#[test]
fn objects_and_tables_hold_a_document_each() {
    let folder = folder();
    let texts = "{\"id\": 1, \"text\": \"The cat sat.\\nThe dog\"}\n\n{\"text\": null}\n{\"text\": \" \"}\n{\"id\": 2}\n";
    let table = "id,body\n1,\"The cat sat.\nThe dog\"\n2,\n\n3,This one. Yes\n";
    let files = [write(&folder, "a.jsonl", texts)];
    let corpus = corpus(&files, &CorpusOptions::default()).unwrap();
    assert_eq!(spelt(&corpus), [["the cat sat .", "the dog"]]);
    assert_eq!(corpus.manifest().empty, 3);

    let options = CorpusOptions {
        field: "body".into(),
        ..CorpusOptions::default()
    };
    let tabs = "id\tbody\n1\t\"The cat\n";
    let files = [
        write(&folder, "a.csv", table),
        write(&folder, "b.tsv", tabs),
    ];
    let corpus = self::corpus(&files, &options).unwrap();
    assert_eq!(
        spelt(&corpus),
        [
            vec!["the cat sat .", "the dog"],
            vec!["this one .", "yes"],
            vec!["\" the cat"],
        ]
    );
    assert_eq!(corpus.manifest().empty, 1);
    let by_number = CorpusOptions {
        field: "2".into(),
        ..options
    };
    assert_eq!(self::corpus(&files, &by_number).unwrap().documents(), 3);
}

#[test]
fn packed_files_are_read_as_they_were_before() {
    let folder = folder();
    let (first, second) = TEXT.split_at(30);
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7];
    let files = [
        write(&folder, "plain.txt", TEXT),
        write(&folder, "a.txt.gz", [gzip(first), gzip(second)].concat()),
        write(
            &folder,
            "b.txt.zst",
            [&skipped[..], &zstd(first), &zstd(second)].concat(),
        ),
        write(&folder, "c", zstd(TEXT)),
    ];
    let corpus = corpus(&files, &CorpusOptions::default()).unwrap();
    let documents = spelt(&corpus);
    assert_eq!(documents.len(), 8);
    for at in 2..8 {
        assert_eq!(documents[at], documents[at % 2]);
    }
}

#[test]
fn what_was_cut_off_or_is_not_packed_is_named() {
    let folder = folder();
    for (name, whole) in [("a.txt.gz", gzip(TEXT)), ("a.txt.zst", zstd(TEXT))] {
        for length in [whole.len() / 2, whole.len() - 1] {
            let file = write(&folder, name, &whole[..length]);
            let error = refused(&[file], &CorpusOptions::default());
            assert!(
                matches!(&error, DataError::File(FileError::Unpack { path, .. }) if path.ends_with(name)),
                "{error}"
            );
        }
        let file = write(&folder, name, TEXT);
        let error = refused(&[file], &CorpusOptions::default());
        assert!(
            matches!(error, DataError::File(FileError::NotPacked { .. })),
            "{error}"
        );
    }
}

#[test]
fn files_that_are_no_text_are_refused_with_line_and_place() {
    let folder = folder();
    let lines = "a line\n".repeat(300_000);
    let mut bad: Vec<u8> = lines.clone().into();
    bad[7 * 200_000] = 0;
    let error = refused(&[write(&folder, "a.txt", &bad)], &CorpusOptions::default());
    assert!(
        matches!(
            error,
            DataError::File(FileError::NulByte {
                line: 200_001,
                byte: 1_400_000,
                ..
            })
        ),
        "{error}"
    );
    bad[7 * 200_000] = 0xe9;
    let error = refused(&[write(&folder, "a.txt", &bad)], &CorpusOptions::default());
    assert!(
        matches!(
            error,
            DataError::File(FileError::NotUtf8 {
                line: 200_001,
                byte: 1_400_000,
                looks_like: Some("ISO-8859-1"),
                ..
            })
        ),
        "{error}"
    );
    let cut = &"Zoë".as_bytes()[..3];
    let error = refused(&[write(&folder, "a.txt", cut)], &CorpusOptions::default());
    assert!(
        matches!(
            error,
            DataError::File(FileError::NotUtf8 {
                line: 1,
                byte: 2,
                ..
            })
        ),
        "{error}"
    );
    let wide: Vec<u8> = TEXT.bytes().flat_map(|byte| [byte, 0]).collect();
    let error = refused(&[write(&folder, "a.txt", wide)], &CorpusOptions::default());
    assert!(
        matches!(
            error,
            DataError::File(FileError::WideEncoding {
                encoding: "UTF-16LE",
                ..
            })
        ),
        "{error}"
    );
    let error = refused(
        &[write(&folder, "a.txt", b"PK\x03\x04rest")],
        &CorpusOptions::default(),
    );
    assert!(
        matches!(error, DataError::File(FileError::NotPlainText { .. })),
        "{error}"
    );
}

#[test]
fn characters_may_lie_across_chunks() {
    let folder = folder();
    // Two bytes per character after a one-byte prefix, so that every chunk ends within a character.
    let text = format!("a{}\n", "é ".repeat(1_000_000).replace(' ', ""));
    let file = write(&folder, "a.txt", text);
    let corpus = corpus(&[file], &CorpusOptions::default());
    // A single line without white space is not a word list: it is split into many sentences.
    assert!(
        matches!(corpus, Err(DataError::Corpus(CorpusError::WordList { lines })) if lines > 20),
        "{corpus:?}"
    );
}

#[test]
fn a_huge_line_is_cut_between_words_and_loses_none() {
    let folder = folder();
    let text = "the cat sat ".repeat(200_000);
    for format in [
        CorpusFormat::Lines,
        CorpusFormat::Sentences,
        CorpusFormat::Auto,
    ] {
        let file = write(&folder, "a.txt", &text);
        let corpus = corpus(&[file], &only(format)).unwrap();
        assert_eq!((corpus.documents(), corpus.tokens()), (1, 600_000));
        assert!(corpus.sentences() > 30);
        assert_eq!(corpus.manifest().words, 600_000);
    }
}

#[test]
fn text_that_spells_a_special_token_stays_text() {
    let folder = folder();
    let file = write(&folder, "a.txt", "the [MASK] sat [SEP] [CLS] [PAD]\n");
    let corpus = corpus(&[file], &CorpusOptions::default()).unwrap();
    let tokenizer = tokenizer();
    let (mut ids, mut starts) = (Vec::new(), Vec::new());
    corpus.append(0..corpus.tokens(), &mut ids, &mut starts);
    for id in [
        tokenizer.cls_id(),
        tokenizer.sep_id(),
        tokenizer.mask_id().unwrap(),
        tokenizer.pad_id().unwrap(),
    ] {
        assert!(!ids.contains(&id), "{ids:?}");
    }
    assert!(spelt(&corpus)[0][0].starts_with("the [ mask ] sat [ sep ]"));
}

#[test]
fn duplicates_are_dropped_on_request_and_counted() {
    let folder = folder();
    let files = [
        write(&folder, "a.txt", "the cat\n\nthe dog\nsat\n\nthe cat\n"),
        write(&folder, "b.txt", "the dog\nsat\n\nthe dog sat\n\nthe cat\n"),
    ];
    let keep = corpus(&files, &CorpusOptions::default()).unwrap();
    assert_eq!((keep.documents(), keep.manifest().duplicates), (6, 0));
    let options = CorpusOptions {
        drop_duplicates: true,
        ..CorpusOptions::default()
    };
    let dropped = corpus(&files, &options).unwrap();
    assert_eq!(
        spelt(&dropped),
        [vec!["the cat"], vec!["the dog", "sat"], vec!["the dog sat"]]
    );
    assert_eq!(dropped.manifest().duplicates, 3);
    assert_eq!(dropped.manifest().sources[1].documents, 1);
}

#[test]
fn nothing_and_a_word_list_are_refused_and_leave_nothing() {
    let folder = folder();
    let blank = [
        write(&folder, "a.txt", ""),
        write(&folder, "b.txt", " \n\n\t\n"),
    ];
    let error = prepared(&blank, &CorpusOptions::default(), &folder).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Corpus(CorpusError::EmptyCorpus { files: 2 })
        ),
        "{error}"
    );
    let words = [write(&folder, "c.txt", "cat\ndog\nwell-sat\n")];
    let error = prepared(&words, &CorpusOptions::default(), &folder).unwrap_err();
    assert!(
        matches!(error, DataError::Corpus(CorpusError::WordList { lines: 3 })),
        "{error}"
    );
    assert_eq!(names(folder.path()).unwrap(), ["a.txt", "b.txt", "c.txt"]);
}

#[test]
fn unknown_words_are_counted_and_listed() {
    let folder = folder();
    let file = write(&folder, "a.txt", "the \u{1f600} sat \u{2603} \u{1f600}\n");
    let manifest = corpus(&[file], &CorpusOptions::default())
        .unwrap()
        .manifest()
        .clone();
    assert_eq!((manifest.unknown, manifest.tokens), (3, 5));
    assert_eq!(
        manifest.unknown_pieces,
        [("\u{1f600}".to_owned(), 2), ("\u{2603}".to_owned(), 1)]
    );
    assert_eq!(manifest.distinct_tokens, 3);
}

/// Sets a file's modification time to the past.
fn age(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    File::options()
        .append(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

#[test]
fn shards_are_reused_until_something_changes() {
    let folder = folder();
    let mut files = vec![write(&folder, "a.txt", TEXT)];
    let mut options = CorpusOptions::default();
    let because =
        |files: &[PathBuf], options: &CorpusOptions| match prepared(files, options, &folder)
            .unwrap()
            .origin
        {
            Origin::Reused => "reused".to_owned(),
            Origin::Built { because } => because.unwrap_or_else(|| "built".into()),
        };
    assert_eq!(because(&files, &options), "built");
    assert_eq!(because(&files, &options), "reused");
    // A different modification time alone is not a change; a different text of the same length is.
    age(&files[0], 1000);
    assert_eq!(because(&files, &options), "reused");
    write(&folder, "a.txt", TEXT.replace("cat", "dog"));
    assert!(because(&files, &options).ends_with("a.txt` has changed"));
    assert_eq!(because(&files, &options), "reused");
    files.push(write(&folder, "b.txt", TEXT));
    age(&files[1], 1000);
    assert!(because(&files, &options).ends_with("b.txt` is new"));
    assert_eq!(because(&files, &options), "reused");
    files.reverse();
    assert_eq!(because(&files, &options), "the files come in another order");
    files.pop();
    assert!(because(&files, &options).ends_with("a.txt` is no longer asked for"));
    options.drop_duplicates = true;
    assert_eq!(
        because(&files, &options),
        "the files are to be read in another way"
    );
    assert_eq!(because(&files, &options), "reused");

    let other = tokenizer_of("the cat sat on");
    let shards = folder.path().join("shards");
    let go_on = AtomicBool::new(false);
    let prepared = prepare(&files, &options, &other, &shards, &mut |_| {}, &go_on).unwrap();
    assert_eq!(
        prepared.origin,
        Origin::Built {
            because: Some("the tokenizer has changed".into())
        }
    );
}

#[test]
fn any_flipped_byte_and_any_cut_is_noticed() {
    let folder = folder();
    let files = [write(&folder, "a.txt", TEXT)];
    let shards = folder.path().join("shards");
    let tokenizer = CorpusTokenizer::new(tokenizer()).unwrap();
    let work = Work {
        files: &files,
        options: &CorpusOptions::default(),
        tokenizer: &tokenizer,
        interrupt: &AtomicBool::new(false),
        create: &|path| Ok(Box::new(File::create(path)?)),
    };
    work.prepare(&shards, &mut |_| {}).unwrap();
    assert_eq!(
        names(&shards).unwrap(),
        ["manifest.json", "shard-00000.bin"]
    );
    for name in names(&shards).unwrap() {
        let path = shards.join(&name);
        let whole = fs::read(&path).unwrap();
        let damaged = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            match work.prepare(&shards, &mut |_| {}) {
                Err(DataError::Corpus(CorpusError::DamagedShards { path, folder, .. })) => {
                    assert!(path.ends_with(&name) && folder.ends_with("shards"));
                }
                // A manifest of another version is not an error; the shards are rebuilt.
                Ok(Prepared {
                    origin:
                        Origin::Built {
                            because: Some(because),
                        },
                    ..
                }) => {
                    assert_eq!(because, "another version of bertkit wrote it");
                }
                other => panic!("{other:?}"),
            }
        };
        for at in 0..whole.len() {
            let mut content = whole.clone();
            content[at] ^= 1 << (at % 8);
            damaged(&content);
        }
        damaged(&whole[..whole.len() - 1]);
        damaged(&[&whole[..], b"\n"].concat());
        fs::write(&path, &whole).unwrap();
    }
    fs::remove_file(shards.join("shard-00000.bin")).unwrap();
    let error = work.prepare(&shards, &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, DataError::Corpus(CorpusError::DamagedShards { .. })),
        "{error}"
    );
}

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let folder = folder();
    let files = [write(&folder, "a.txt", TEXT)];
    write(&folder, "shards/thesis.txt", "x");
    let error = prepared(&files, &CorpusOptions::default(), &folder).unwrap_err();
    assert!(
        matches!(error, DataError::Corpus(CorpusError::NotShards { .. })),
        "{error}"
    );
    assert!(folder.path().join("shards/thesis.txt").exists());
    let error = prepared(&[], &CorpusOptions::default(), &folder).unwrap_err();
    assert!(
        matches!(error, DataError::Corpus(CorpusError::NotShards { .. })),
        "{error}"
    );
}

/// A disk with limited free space.
struct Disk {
    room: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.room.min(bytes.len()) {
            0 if !bytes.is_empty() => Err(io::ErrorKind::StorageFull.into()),
            written => {
                self.room -= written;
                Ok(written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Disk {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_leaves_the_old_shards_and_nothing_half_written() {
    let folder = folder();
    let mut files = vec![write(&folder, "a.txt", TEXT)];
    prepared(&files, &CorpusOptions::default(), &folder).unwrap();
    files.push(write(&folder, "b.txt", TEXT.repeat(15_000)));
    let tokenizer = CorpusTokenizer::new(tokenizer()).unwrap();
    let go_on = AtomicBool::new(false);
    let shards = folder.path().join("shards");
    for room in [0, 100, 300_000] {
        let work = Work {
            files: &files,
            options: &CorpusOptions::default(),
            tokenizer: &tokenizer,
            interrupt: &go_on,
            create: &|_| Ok(Box::new(Disk { room })),
        };
        let error = work.prepare(&shards, &mut |_| {}).unwrap_err();
        assert!(
            matches!(&error, DataError::Corpus(CorpusError::WriteShards { source, .. }) if source.kind() == io::ErrorKind::StorageFull),
            "{error}"
        );
        assert_eq!(names(folder.path()).unwrap(), ["a.txt", "b.txt", "shards"]);
    }
    files.pop();
    let again = prepared(&files, &CorpusOptions::default(), &folder).unwrap();
    assert_eq!(again.origin, Origin::Reused);
}

#[test]
fn an_interruption_leaves_nothing() {
    let folder = folder();
    let files = [write(&folder, "a.txt", TEXT.repeat(60_000))];
    let stop = AtomicBool::new(false);
    let shards = folder.path().join("shards");
    let error = prepare(
        &files,
        &CorpusOptions::default(),
        tokenizer(),
        &shards,
        &mut |_| stop.store(true, Ordering::Relaxed),
        &stop,
    )
    .unwrap_err();
    assert!(
        matches!(error, DataError::Corpus(CorpusError::Interrupted)),
        "{error}"
    );
    assert_eq!(names(folder.path()).unwrap(), ["a.txt"]);
}

#[test]
fn what_a_killed_process_left_is_swept_and_a_living_one_is_waited_for() {
    let folder = folder();
    let files = [write(&folder, "a.txt", TEXT)];
    write(&folder, ".shards.tmp/shard-00000.bin", "half");
    write(&folder, ".shards.tmp/lock", "");
    let temporary = folder.path().join(".shards.tmp");
    let claim = Claim::new(&temporary).unwrap().unwrap();
    assert_eq!(names(&temporary).unwrap(), ["lock"]);
    assert!(Claim::new(&temporary).unwrap().is_none());
    let stop = AtomicBool::new(true);
    let shards = folder.path().join("shards");
    let waiting = |stop| {
        let options = CorpusOptions::default();
        prepare(&files, &options, tokenizer(), &shards, &mut |_| {}, stop)
    };
    assert!(matches!(
        waiting(&stop),
        Err(DataError::Corpus(CorpusError::Interrupted))
    ));
    drop(claim);
    assert!(waiting(&AtomicBool::new(false)).is_ok());
    assert!(!temporary.exists());
}

#[test]
fn mistakes_in_objects_and_tables_are_named_with_their_lines() {
    let folder = folder();
    let error = |name: &str, content: &str| {
        let file = write(&folder, name, content);
        refused(&[file], &CorpusOptions::default())
    };
    let found = error("a.jsonl", "{\"text\": \"the cat\"}\n\n{\"text\": \n");
    assert!(
        matches!(found, DataError::Table(TableError::Json { line: 3, .. })),
        "{found}"
    );
    let found = error("a.jsonl", "[1]\n");
    assert!(
        matches!(
            found,
            DataError::Table(TableError::JsonNotObject { line: 1, .. })
        ),
        "{found}"
    );
    let found = error("a.jsonl", "{\"Text\": \"the cat\"}\n");
    assert!(
        matches!(&found, DataError::Table(TableError::UnknownColumn { nearest: Some(nearest), .. }) if nearest == "Text"),
        "{found}"
    );
    let found = error("a.jsonl", "{\"text\": [\"the cat\"]}\n");
    assert!(
        matches!(
            found,
            DataError::Table(TableError::ListForText { place, .. }) if place.number == 1
        ),
        "{found}"
    );
    let found = error("a.csv", "id,text\n1,the cat\n2\n");
    assert!(
        matches!(
            found,
            DataError::Table(TableError::FieldCount {
                line: 3,
                expected: 2,
                found: 1,
                ..
            })
        ),
        "{found}"
    );
    let found = error("a.csv", "id,text\n1,\"the cat\n2,sat\n");
    assert!(
        matches!(
            found,
            DataError::Table(TableError::UnclosedQuote { line: 2, .. })
        ),
        "{found}"
    );
    let found = error("a.csv", "text,text\na,b\n");
    assert!(
        matches!(found, DataError::Table(TableError::DuplicateColumn { .. })),
        "{found}"
    );
    let found = error("a.csv", "id,body\n1,the cat\n");
    assert!(
        matches!(found, DataError::Table(TableError::UnknownColumn { .. })),
        "{found}"
    );
}

#[test]
fn folders_files_and_patterns_are_found() {
    let folder = folder();
    for name in [
        "b.txt",
        "a.jsonl.gz",
        "sub/c.TXT",
        "sub/image.png",
        ".hidden/x.txt",
        ".y.txt",
        "wiki_00",
    ] {
        write(&folder, name, "");
    }
    let path = |name: &str| folder.path().join(name);
    let found = find(&[folder.path().into(), path("b.txt")]).unwrap();
    assert_eq!(
        found.files,
        [path("a.jsonl.gz"), path("b.txt"), path("sub/c.TXT")]
    );
    assert_eq!(found.passed_over, [path("sub/image.png"), path("wiki_00")]);
    let found = find(&[path("wiki_*"), path("*.txt")]).unwrap();
    assert_eq!(found.files, [path("b.txt"), path("wiki_00")]);
    let error = |name: &str| find(&[path(name)]).unwrap_err();
    assert!(matches!(
        error("none.txt"),
        DataError::File(FileError::NotFound { .. })
    ));
    assert!(matches!(
        error("*.none"),
        DataError::Corpus(CorpusError::NoMatch { .. })
    ));
    assert!(matches!(
        error("[a"),
        DataError::Corpus(CorpusError::Pattern { .. })
    ));
    fs::remove_file(path("sub/c.TXT")).unwrap();
    let none = error("sub");
    assert!(
        matches!(&none, DataError::Corpus(CorpusError::NoTextFiles { found, .. }) if found == &["image.png"]),
        "{none}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn neither_threads_nor_packing_change_the_result(
        documents in prop::collection::vec(
            prop::collection::vec("(the|cat|sat|dog|snow|[a-z]{1,5})( (the|cat|ran|[a-z]{1,9})){1,9}[.!?]?", 1..5), 1..60)
    ) {
        let text: Vec<String> = documents.iter().map(|document| document.join("\n")).collect();
        let text = text.join("\n\n");
        let folder = folder();
        let plain = [write(&folder, "a.txt", &text)];
        let packed = [write(&folder, "a.txt.gz", gzip(&text))];
        let options = only(CorpusFormat::Sentences);
        let with = |threads: usize, files: &[PathBuf]| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let target = tempfile::tempdir().unwrap();
            let corpus = pool.install(|| prepared(files, &options, &target)).unwrap().corpus;
            let shard = fs::read(target.path().join("shards/shard-00000.bin")).unwrap();
            (shard, spelt(&corpus))
        };
        let (shard, content) = with(1, &plain);
        prop_assert_eq!(&shard, &with(3, &plain).0);
        prop_assert_eq!(&shard, &with(3, &packed).0);
        prop_assert_eq!(content.len(), documents.len());
        // Every sentence has the same tokens as when it is tokenized by itself.
        let target = tempfile::tempdir().unwrap();
        let corpus = prepared(&plain, &options, &target).unwrap().corpus;
        let tokenizer = tokenizer();
        for (sentence, text) in documents.concat().iter().enumerate() {
            let (mut ids, mut starts) = (Vec::new(), Vec::new());
            corpus.append(corpus.sentence(sentence), &mut ids, &mut starts);
            let alone = tokenizer.encode(text, None, 10_000).unwrap().ids;
            prop_assert_eq!(&ids, &alone[1..alone.len() - 1]);
            let words: usize = text.split_whitespace().count();
            let marks = text.matches(['.', '!', '?']).count();
            prop_assert_eq!(starts.iter().filter(|&&start| start).count(), words + marks);
        }
        prop_assert_eq!(Statistics::of(&corpus).tokens, corpus.tokens());
    }
}
