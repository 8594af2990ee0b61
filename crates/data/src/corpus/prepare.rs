//! Text files to a folder of shards, or the folder as it is if it holds them already.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::Corpus;
use super::documents::{CorpusFormat, CorpusOptions, Event, Reader};
use super::encode::{CorpusTokenizer, Tokens};
use super::manifest::{Manifest, SourceRecord, VERSION};
use super::shards::{Shard, ShardError, ShardWriter, Width};
use super::text::{Tally, open};
use crate::error::{CorpusError, DataError, FileError};
use crate::tokenizer::TextTokenizer;

/// Bytes of text that are tokenised together.
const BATCH: usize = 4 << 20;

/// Bytes of the longest document that is compared with others.
const LONGEST_COMPARED: usize = 16 << 20;

/// Bytes of text in which unknown pieces are looked for.
const UNKNOWN_SEARCHED: usize = 1 << 20;

/// Unknown pieces that the manifest lists.
const UNKNOWN_LISTED: usize = 10;

/// A file that was changed this shortly before it was read may change again without another time.
const TOO_FRESH: Duration = Duration::from_secs(2);

const MANIFEST: &str = "manifest.json";
const LOCK: &str = "lock";

/// How far [`prepare`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files that were read, as they lie on the disk.
    pub bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
    /// Documents so far.
    pub documents: u64,
    /// Tokens so far.
    pub tokens: u64,
}

/// Where a corpus came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The folder held it.
    Reused,
    /// The files were read and tokenised.
    Built {
        /// What had changed, if the folder held another corpus.
        because: Option<String>,
    },
}

/// A corpus, and where it came from.
#[derive(Debug)]
pub struct Prepared {
    /// The corpus.
    pub corpus: Corpus,
    /// Whether it was there already.
    pub origin: Origin,
}

/// Tokenises files into `folder`, or opens what is there if it was made from the same files, options and tokenizer.
///
/// The files are read in their order, once, and as a stream: memory does not grow with them. Tokens have no special tokens in
/// between; text that spells one, such as `[MASK]`, stays text. The result does not depend on the number of threads.
///
/// A file counts as the same if path, length and time of change are those of the manifest; where only the time differs, its
/// SHA-256 decides. If anything has changed, everything is tokenised anew; the folder's old content stays until then. What is
/// written lies in a folder beside it, `.NAME.tmp`, which is renamed when whole; while another process does the same, this one
/// waits.
///
/// # Errors
/// A file cannot be read, or is no text; there is no text at all, or none that is longer than a word (unless the tokenizer
/// knows no words); the folder holds something else, is damaged or cannot be written; `interrupt` became true.
pub fn prepare(
    files: &[PathBuf],
    options: &CorpusOptions,
    tokenizer: &TextTokenizer,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
    interrupt: &AtomicBool,
) -> Result<Prepared, DataError> {
    let tokenizer = CorpusTokenizer::new(tokenizer)?;
    let work = Work {
        files,
        options,
        tokenizer: &tokenizer,
        interrupt,
        create: &|path| Ok(Box::new(File::create(path)?)),
    };
    work.prepare(folder, progress)
}

/// A file being written.
trait Output: Write {
    /// Waits until it lies on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Output for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

struct Work<'a> {
    files: &'a [PathBuf],
    options: &'a CorpusOptions,
    tokenizer: &'a CorpusTokenizer,
    interrupt: &'a AtomicBool,
    create: &'a (dyn Fn(&Path) -> io::Result<Box<dyn Output>> + Sync),
}

impl Work<'_> {
    fn prepare(
        &self,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Prepared, DataError> {
        let temporary = temporary(folder);
        loop {
            let because = match self.look(folder)? {
                ControlFlow::Break(manifest) => {
                    return Ok(Prepared {
                        corpus: open_shards(folder, manifest)?,
                        origin: Origin::Reused,
                    });
                }
                ControlFlow::Continue(because) => because,
            };
            let Some(claim) = Claim::new(&temporary)? else {
                if self.interrupt.load(Ordering::Relaxed) {
                    return Err(DataError::Corpus(CorpusError::Interrupted));
                }
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            let manifest = self.build(&temporary, progress)?;
            claim.release(folder)?;
            return Ok(Prepared {
                corpus: open_shards(folder, manifest)?,
                origin: Origin::Built { because },
            });
        }
    }

    /// The manifest of a corpus that is as wanted, or why there has to be another.
    fn look(&self, folder: &Path) -> Result<ControlFlow<Manifest, Option<String>>, DataError> {
        let path = folder.join(MANIFEST);
        let names = names(folder)?;
        if let Some(found) = names.iter().find(|name| !is_ours(name)) {
            return Err(not_shards(folder, found));
        }
        if !names.iter().any(|name| name == MANIFEST) {
            return match names.first() {
                Some(found) => Err(not_shards(folder, found)),
                None => Ok(ControlFlow::Continue(None)),
            };
        }
        let bytes = fs::read(&path).map_err(|source| {
            DataError::File(FileError::Read {
                path: path.display().to_string(),
                source,
            })
        })?;
        let text = String::from_utf8_lossy(&bytes);
        match Manifest::from_text(&text) {
            Some(manifest) if manifest.version == VERSION => {
                Ok(match self.difference(&manifest)? {
                    None => ControlFlow::Break(manifest),
                    because => ControlFlow::Continue(because),
                })
            }
            _ if other_version(&text) => Ok(ControlFlow::Continue(Some(
                "another version of bertkit wrote it".into(),
            ))),
            _ => Err(damaged(
                folder,
                MANIFEST,
                "it is not as it was written".into(),
            )),
        }
    }

    /// What is not as the manifest says.
    fn difference(&self, manifest: &Manifest) -> Result<Option<String>, DataError> {
        if manifest.tokenizer != self.tokenizer.hash {
            return Ok(Some("the tokenizer has changed".into()));
        }
        if manifest.options != *self.options {
            return Ok(Some("the files are to be read in another way".into()));
        }
        let paths: Vec<String> = self.files.iter().map(|path| name(path)).collect();
        let known: HashSet<&str> = manifest.sources.iter().map(|s| s.path.as_str()).collect();
        if let Some(path) = paths.iter().find(|path| !known.contains(path.as_str())) {
            return Ok(Some(format!("`{path}` is new")));
        }
        let asked: HashSet<&str> = paths.iter().map(String::as_str).collect();
        if let Some(source) = manifest.sources.iter().find(|s| !asked.contains(&*s.path)) {
            return Ok(Some(format!("`{}` is no longer asked for", source.path)));
        }
        let in_order = manifest.sources.iter().map(|source| &source.path);
        if !paths.iter().eq(in_order) {
            return Ok(Some("the files come in another order".into()));
        }
        for (path, source) in self.files.iter().zip(&manifest.sources) {
            if !is_unchanged(path, source)? {
                return Ok(Some(format!("`{}` has changed", source.path)));
            }
        }
        Ok(None)
    }

    /// Writes shards and manifest into a folder that is there and empty but for the lock.
    fn build(
        &self,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Manifest, DataError> {
        let total_bytes = self
            .files
            .iter()
            .map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()))
            .sum();
        let mut writer = Writer::new(self, folder);
        // One batch is tokenised while the next one waits and one more is read.
        let (sender, batches) = sync_channel(1);
        let read = thread::scope(|scope| {
            let reader = scope.spawn(move || self.read(sender));
            let written = writer.consume(batches, total_bytes, progress);
            match (reader.join(), written) {
                (Err(panic), _) => std::panic::resume_unwind(panic),
                // A reader whose batches nobody takes stops, and says so: the other reason is the true one.
                (Ok(_), Err(error)) => Err(error),
                (Ok(read), Ok(())) => read,
            }
        });
        read?;
        writer.finish()
    }

    /// Reads all files into batches; runs on a thread of its own.
    fn read(&self, sender: SyncSender<Batch>) -> Result<(), DataError> {
        let mut batches = Batches {
            batch: Batch::default(),
            sender,
            in_document: false,
            pending: None,
            compared: self.options.drop_duplicates.then(HashSet::new),
            bytes_before: 0,
        };
        for path in self.files {
            let name = name(path);
            let modified = modified(&fs::metadata(path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => {
                    DataError::File(FileError::NotFound { path: name.clone() })
                }
                _ => DataError::File(FileError::Read {
                    path: name.clone(),
                    source,
                }),
            })?);
            let (text, tally) = open(path)?;
            let reader = Reader::new(text, path, &name, self.options)?;
            let format = reader.format();
            reader.read(&mut |event| batches.event(event, &tally))?;
            batches.end_source(Source {
                path: name.clone(),
                bytes: tally.bytes(),
                modified,
                sha256: tally.sha256(),
                format,
            });
        }
        batches.send()
    }
}

/// A part of the corpus on its way from the reader to the tokenizer.
#[derive(Default)]
struct Batch {
    /// Sentences, one behind the other.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
    /// What happens behind how many of the sentences, in order.
    marks: Vec<(usize, Mark)>,
    /// Bytes of files read up to here.
    bytes: u64,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.text.len() >= BATCH || self.ends.len() + self.marks.len() >= BATCH / 16
    }
}

enum Mark {
    DocumentEnd,
    Duplicate,
    SourceEnd(Box<Source>),
}

/// What the reader knows of a file.
struct Source {
    path: String,
    bytes: u64,
    modified: Option<u64>,
    sha256: String,
    format: CorpusFormat,
}

/// Gathers batches.
struct Batches {
    batch: Batch,
    sender: SyncSender<Batch>,
    in_document: bool,
    /// Where a document that may turn out to be a duplicate begins in the batch: in its text, and in its sentences.
    pending: Option<(usize, usize)>,
    /// Hashes of the documents so far, if they are compared.
    compared: Option<HashSet<[u8; 16]>>,
    bytes_before: u64,
}

impl Batches {
    fn event(&mut self, event: Event<'_>, tally: &Tally) -> Result<(), DataError> {
        match event {
            Event::Sentence(sentence) => {
                let batch = &mut self.batch;
                if !std::mem::replace(&mut self.in_document, true) && self.compared.is_some() {
                    self.pending = Some((batch.text.len(), batch.ends.len()));
                }
                batch.text.push_str(sentence);
                batch.ends.push(batch.text.len());
                if let Some((start, _)) = self.pending
                    && batch.text.len() - start > LONGEST_COMPARED
                {
                    self.pending = None;
                }
            }
            Event::DocumentEnd => {
                self.in_document = false;
                let mark = match self.is_duplicate() {
                    true => Mark::Duplicate,
                    false => Mark::DocumentEnd,
                };
                self.batch.marks.push((self.batch.ends.len(), mark));
            }
        }
        if self.pending.is_none() && self.batch.is_full() {
            self.batch.bytes = self.bytes_before + tally.bytes();
            self.send()?;
        }
        Ok(())
    }

    /// Takes the document that ends here out again, if its text came before.
    fn is_duplicate(&mut self) -> bool {
        let (Some(compared), Some((text, sentences))) = (&mut self.compared, self.pending.take())
        else {
            return false;
        };
        let mut hasher = Sha256::new();
        let mut from = text;
        for &to in &self.batch.ends[sentences..] {
            hasher.update(&self.batch.text[from..to]);
            hasher.update("\n");
            from = to;
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize()[..16]);
        let new = compared.insert(hash);
        if !new {
            self.batch.text.truncate(text);
            self.batch.ends.truncate(sentences);
        }
        !new
    }

    fn end_source(&mut self, source: Source) {
        self.bytes_before += source.bytes;
        self.batch.bytes = self.bytes_before;
        self.batch
            .marks
            .push((self.batch.ends.len(), Mark::SourceEnd(Box::new(source))));
    }

    fn send(&mut self) -> Result<(), DataError> {
        let batch = std::mem::take(&mut self.batch);
        self.sender
            .send(batch)
            .map_err(|_| DataError::Corpus(CorpusError::Interrupted))
    }
}

/// Tokenises batches and writes them.
struct Writer<'a> {
    work: &'a Work<'a>,
    folder: &'a Path,
    width: Width,
    manifest: Manifest,
    shard: Option<(PathBuf, ShardWriter<Box<dyn Output>>)>,
    /// By id, whether the token occurred.
    seen: Vec<bool>,
    unknown_pieces: HashMap<String, u64>,
    unknown_searched: usize,
    more_than_words: bool,
    /// Sentences of the document that have tokens.
    open_sentences: u64,
    /// Documents, sentences and tokens before the file.
    before_source: [u64; 3],
}

impl<'a> Writer<'a> {
    fn new(work: &'a Work<'a>, folder: &'a Path) -> Self {
        let tokenizer = work.tokenizer;
        Self {
            work,
            folder,
            width: Width::of_vocabulary(tokenizer.vocab_size),
            manifest: Manifest::new(
                tokenizer.hash.clone(),
                tokenizer.vocab_size,
                tokenizer.has_words,
                work.options.clone(),
            ),
            shard: None,
            seen: vec![false; tokenizer.vocab_size],
            unknown_pieces: HashMap::new(),
            unknown_searched: 0,
            more_than_words: false,
            open_sentences: 0,
            before_source: [0; 3],
        }
    }

    /// Takes batches until there are no more; those that wait when this ends are dropped, which ends the reader.
    fn consume(
        &mut self,
        batches: Receiver<Batch>,
        total_bytes: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DataError> {
        for batch in batches {
            if self.work.interrupt.load(Ordering::Relaxed) {
                return Err(DataError::Corpus(CorpusError::Interrupted));
            }
            self.batch(&batch)?;
            progress(Progress {
                bytes: batch.bytes,
                total_bytes,
                documents: self.manifest.documents,
                tokens: self.manifest.tokens,
            });
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), DataError> {
        let portions = self.work.tokenizer.encode(&batch.text, &batch.ends)?;
        let mut marks = batch.marks.iter().peekable();
        let mut sentence = 0;
        for portion in &portions {
            self.more_than_words |= portion.more_than_words;
            let mut from = 0;
            for &length in &portion.lengths {
                while let Some((_, mark)) = marks.next_if(|(at, _)| *at == sentence) {
                    self.mark(mark)?;
                }
                let start = if sentence == 0 {
                    0
                } else {
                    batch.ends[sentence - 1]
                };
                let text = &batch.text[start..batch.ends[sentence]];
                self.sentence(portion, from..from + length, text)?;
                from += length;
                sentence += 1;
            }
        }
        for (_, mark) in marks {
            self.mark(mark)?;
        }
        Ok(())
    }

    fn sentence(
        &mut self,
        tokens: &Tokens,
        range: std::ops::Range<usize>,
        text: &str,
    ) -> Result<(), DataError> {
        if range.is_empty() {
            return Ok(());
        }
        let (ids, starts) = (&tokens.ids[range.clone()], &tokens.starts[range]);
        self.open_sentences += 1;
        self.manifest.count_sentence(starts);
        let unknown = ids
            .iter()
            .filter(|&&id| Some(id) == self.work.tokenizer.unknown)
            .count();
        self.manifest.unknown += unknown as u64;
        if unknown > 0 && self.unknown_searched < UNKNOWN_SEARCHED {
            self.unknown_searched += text.len();
            for piece in self.work.tokenizer.unknown_pieces(text)? {
                *self.unknown_pieces.entry(piece).or_default() += 1;
            }
        }
        for &id in ids {
            if let Some(seen) = self.seen.get_mut(id as usize) {
                *seen = true;
            }
        }
        if self
            .shard
            .as_ref()
            .is_some_and(|(_, shard)| shard.is_full())
        {
            self.end_shard()?;
        }
        let (path, shard) = match &mut self.shard {
            Some(shard) => shard,
            none => {
                let file = format!("shard-{:05}.bin", self.manifest.shards.len());
                let path = self.folder.join(file);
                let out = (self.work.create)(&path).map_err(unwritable(&path))?;
                none.insert((path, ShardWriter::new(out, self.width)))
            }
        };
        shard.sentence(ids, starts).map_err(unwritable(path))
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), DataError> {
        match mark {
            Mark::Duplicate => self.manifest.duplicates += 1,
            Mark::DocumentEnd => match std::mem::take(&mut self.open_sentences) {
                0 => self.manifest.empty += 1,
                _ => {
                    self.manifest.documents += 1;
                    if let Some((_, shard)) = &mut self.shard {
                        shard.end_document();
                    }
                }
            },
            Mark::SourceEnd(source) => {
                let now = [
                    self.manifest.documents,
                    self.manifest.sentences,
                    self.manifest.tokens,
                ];
                let before = std::mem::replace(&mut self.before_source, now);
                self.manifest.sources.push(SourceRecord {
                    path: source.path.clone(),
                    bytes: source.bytes,
                    modified: source.modified,
                    sha256: source.sha256.clone(),
                    format: source.format,
                    documents: now[0] - before[0],
                    sentences: now[1] - before[1],
                    tokens: now[2] - before[2],
                });
            }
        }
        Ok(())
    }

    fn end_shard(&mut self) -> Result<(), DataError> {
        if let Some((path, shard)) = self.shard.take() {
            let file = path.file_name().unwrap_or_default();
            let (mut out, record) = shard
                .finish(file.to_string_lossy().into_owned())
                .map_err(unwritable(&path))?;
            out.sync().map_err(unwritable(&path))?;
            self.manifest.shards.push(record);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Manifest, DataError> {
        self.end_shard()?;
        if self.manifest.tokens == 0 {
            return Err(DataError::Corpus(CorpusError::EmptyCorpus {
                files: self.manifest.sources.len(),
            }));
        }
        if !self.more_than_words {
            return Err(DataError::Corpus(CorpusError::WordList {
                lines: self.manifest.sentences,
            }));
        }
        self.manifest.distinct_tokens = self.seen.iter().filter(|&&seen| seen).count() as u64;
        let mut pieces: Vec<_> = std::mem::take(&mut self.unknown_pieces)
            .into_iter()
            .collect();
        pieces.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        pieces.truncate(UNKNOWN_LISTED);
        self.manifest.unknown_pieces = pieces;
        let path = self.folder.join(MANIFEST);
        let text = self
            .manifest
            .to_text()
            .map_err(|error| unwritable(&path)(error.into()))?;
        (self.work.create)(&path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync()
            })
            .map_err(unwritable(&path))?;
        // As it will be read again: the checksum included.
        Manifest::from_text(&text)
            .ok_or_else(|| damaged(self.folder, MANIFEST, "it cannot be read back".into()))
    }
}

/// The temporary folder, for this process alone until it is dropped.
struct Claim<'a> {
    temporary: &'a Path,
    lock: Option<File>,
}

impl<'a> Claim<'a> {
    /// None while another process has it.
    fn new(temporary: &'a Path) -> Result<Option<Self>, DataError> {
        let path = temporary.join(LOCK);
        fs::create_dir_all(temporary).map_err(unwritable(temporary))?;
        let lock = match File::create(&path) {
            Ok(lock) => lock,
            // The other process has just finished, and the folder is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unwritable(&path)(error)),
        };
        match lock.try_lock() {
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            // Where files cannot be locked, as on some network drives, nobody else is expected.
            Err(fs::TryLockError::Error(_)) | Ok(()) => {}
        }
        if !path.exists() {
            return Ok(None);
        }
        let claim = Self {
            temporary,
            lock: Some(lock),
        };
        // What a process that was killed left behind.
        for name in names(temporary)? {
            if name != LOCK {
                let path = temporary.join(name);
                fs::remove_file(&path).map_err(unwritable(&path))?;
            }
        }
        Ok(Some(claim))
    }

    /// Puts the folder in its place, whole.
    fn release(mut self, folder: &Path) -> Result<(), DataError> {
        let lock = self.temporary.join(LOCK);
        fs::remove_file(&lock).map_err(unwritable(&lock))?;
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(unwritable(folder))?;
        }
        fs::rename(self.temporary, folder).map_err(unwritable(folder))?;
        self.lock = None;
        // The name too should outlast a power failure; not every system can promise it for folders.
        if let Some(parent) = folder.parent()
            && let Ok(parent) = File::open(parent)
        {
            let _ = parent.sync_all();
        }
        Ok(())
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // The next process to come sweeps what cannot be removed.
            let _ = fs::remove_dir_all(self.temporary);
        }
    }
}

/// Opens all shards, and checks that nothing in them was changed.
fn open_shards(folder: &Path, manifest: Manifest) -> Result<Corpus, DataError> {
    let width = Width::of_vocabulary(manifest.vocab_size);
    let mut first = [0; 3];
    let mut open_sentences = 0;
    let mut shards = Vec::new();
    for record in &manifest.shards {
        let path = folder.join(&record.file);
        let mut shard = Shard::open(&path, record, width).map_err(|error| match error {
            ShardError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                damaged(folder, &record.file, "it is not there".into())
            }
            ShardError::Io(source) => DataError::File(FileError::Read {
                path: name(&path),
                source,
            }),
            ShardError::Damaged(problem) => damaged(folder, &record.file, problem),
        })?;
        first = shard.place(first);
        open_sentences = shard.open_sentences();
        shards.push(shard);
    }
    if first != [manifest.tokens, manifest.sentences, manifest.documents] || open_sentences > 0 {
        return Err(damaged(
            folder,
            MANIFEST,
            "its counts are not those of the shards".into(),
        ));
    }
    Ok(Corpus::new(shards, manifest))
}

/// Names of the files in a folder, in order; none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>, DataError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(not_shards(folder, "a file"));
        }
        Err(source) => {
            return Err(DataError::File(FileError::Read {
                path: name(folder),
                source,
            }));
        }
    };
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|source| {
            DataError::File(FileError::Read {
                path: name(folder),
                source,
            })
        })?;
    names.sort();
    Ok(names)
}

/// Whether a file in a corpus's folder is one that we wrote.
fn is_ours(name: &str) -> bool {
    let shard = name
        .strip_prefix("shard-")
        .and_then(|name| name.strip_suffix(".bin"));
    name == MANIFEST || shard.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a manifest was written in the layout of another version.
fn other_version(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|manifest| manifest["version"].as_u64())
        .is_some_and(|version| version != u64::from(VERSION))
}

/// Where a folder is filled before it gets its name.
fn temporary(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.tmp"))
}

/// When a file was last changed, if that will tell a later change.
fn modified(metadata: &Metadata) -> Option<u64> {
    let modified = metadata.modified().ok()?;
    let age = SystemTime::now().duration_since(modified).ok()?;
    (age >= TOO_FRESH).then(|| nanoseconds(modified))?
}

fn nanoseconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// Whether a file is as the manifest says.
fn is_unchanged(path: &Path, source: &SourceRecord) -> Result<bool, DataError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => DataError::File(FileError::NotFound { path: name(path) }),
        _ => DataError::File(FileError::Read {
            path: name(path),
            source: error,
        }),
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.len() != source.bytes {
        return Ok(false);
    }
    let time = metadata.modified().ok().and_then(nanoseconds);
    if time.is_some() && time == source.modified {
        return Ok(true);
    }
    let tally = Tally::of_file(path).map_err(unreadable)?;
    Ok(tally.sha256() == source.sha256)
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> DataError {
    let path = name(path);
    move |source| {
        DataError::Corpus(CorpusError::WriteShards {
            path: path.clone(),
            source,
        })
    }
}

fn not_shards(folder: &Path, found: &str) -> DataError {
    DataError::Corpus(CorpusError::NotShards {
        path: name(folder),
        found: found.into(),
    })
}

fn damaged(folder: &Path, file: &str, problem: String) -> DataError {
    DataError::Corpus(CorpusError::DamagedShards {
        path: name(&folder.join(file)),
        folder: name(folder),
        problem,
    })
}

#[cfg(test)]
mod tests;
