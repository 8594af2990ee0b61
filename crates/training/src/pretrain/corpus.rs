//! The corpus of a run: its files, and the folder of its shards.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use bertkit_data::pretraining::corpus::{self, Corpus, Origin};
use bertkit_data::tokenizer::TextTokenizer;

use crate::config::PretrainConfig;
use crate::engine::observer::{Event, Observer};
use crate::error::TrainError;
use crate::run::directory::DirectoryPolicy;

/// A folder that is removed when this is dropped.
pub(super) struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The files of the corpus.
///
/// # Errors
/// A path does not exist, or holds no text.
pub(super) fn find_files(
    config: &PretrainConfig,
    observer: &mut dyn Observer,
) -> Result<Vec<PathBuf>, TrainError> {
    let found = corpus::find(&config.corpus.paths)?;
    let passed_over = match found.passed_over.as_slice() {
        [] => None,
        [file] => Some(format!("`{}`, which is", file.display())),
        files => Some(format!("{} files in the folders, which are", files.len())),
    };
    if let Some(files) = passed_over {
        observer.event(&Event::Note(format!(
            "not read: {files} no text by name; name it outright to read it"
        )));
    }
    Ok(found.files)
}

/// The tokenized corpus; in a dry run also the temporary folder that holds it.
///
/// # Errors
/// A file cannot be read, the shards cannot be written, or `interrupt` became true.
pub(super) fn open_corpus(
    config: &PretrainConfig,
    policy: DirectoryPolicy,
    files: &[PathBuf],
    tokenizer: &TextTokenizer,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<(Corpus, Option<TemporaryFolder>), TrainError> {
    let output = config.output.clone().unwrap_or_default();
    let mut shards = match &config.corpus.shards {
        Some(shards) => shards.clone(),
        None => output.join("shards"),
    };
    // A dry run leaves no files.
    let mut temporary = None;
    if policy == DirectoryPolicy::DryRun && !shards.exists() {
        let folder = dry_run_folder(&output);
        shards = folder.join("shards");
        temporary = Some(TemporaryFolder(folder));
    }
    let parents: Vec<&Path> = shards.ancestors().skip(1).collect();
    let missing = parents.iter().take_while(|parent| !parent.exists());
    let missing: Vec<&Path> = missing.copied().filter(|p| *p != Path::new("")).collect();
    if let Some(parent) = missing.first() {
        std::fs::create_dir_all(parent).map_err(|source| TrainError::Write {
            path: (*parent).into(),
            source,
        })?;
    }
    let prepared = corpus::prepare(
        files,
        &config.corpus.options(),
        tokenizer,
        &shards,
        &mut |p| {
            observer.event(&Event::Busy(format!(
                "tokenising: {} % of the text, {} documents, {} tokens",
                p.bytes * 100 / p.total_bytes.max(1),
                p.documents,
                p.tokens
            )));
        },
        interrupt,
    );
    if prepared.is_err() {
        // Remove the folders that were created, unless something else was written into them.
        for folder in missing {
            let _ = std::fs::remove_dir(folder);
        }
    }
    let prepared = prepared?;
    if let Origin::Built {
        because: Some(because),
    } = &prepared.origin
    {
        observer.event(&Event::Note(format!("tokenised anew: {because}")));
    }
    Ok((prepared.corpus, temporary))
}

/// A hidden folder next to the run directory, or in its closest existing parent.
fn dry_run_folder(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let name = format!(".{name}.dry-run-{}", std::process::id());
    let mut parents = output.ancestors().skip(1);
    match parents.find(|parent| parent.is_dir()) {
        Some(parent) => parent.join(name),
        None => name.into(),
    }
}
