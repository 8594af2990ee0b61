//! Output of predictions: standard output, or a file that is replaced atomically.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bertkit_data::DataError;
use bertkit_data::error::FileError;
use bertkit_data::sources::{Format, write_table};
use bertkit_data::table::Table;
use serde_json::Value;

use super::PredictArgs;
use crate::error::CliError;
use crate::process;
use crate::render;

/// The destination and format of a table.
pub(super) struct Target {
    pub format: Format,
    /// `None` means standard output.
    pub path: Option<PathBuf>,
}

impl Target {
    pub fn choose(args: &PredictArgs) -> Result<Self, CliError> {
        let asked = args
            .output_format
            .as_deref()
            .map(str::parse::<Format>)
            .transpose()?;
        let asked = asked.or(args.json.then_some(Format::Jsonl));
        let Some(path) = &args.output else {
            return Ok(Self {
                format: asked.unwrap_or(Format::Csv),
                path: None,
            });
        };
        writable(path)?;
        let format = match asked {
            Some(format) => format,
            None => Format::of_output(path).map_err(|source| CliError::Hinted {
                source: source.into(),
                hint: "say the format of the output with --output-format csv, tsv or jsonl".into(),
            })?,
        };
        Ok(Self {
            format,
            path: Some(path.clone()),
        })
    }

    pub fn write(&self, columns: &[String], rows: Vec<Vec<Value>>) -> Result<(), CliError> {
        let Some(path) = &self.path else {
            let mut out = BufWriter::new(io::stdout().lock());
            let written = write_rows(&mut out, self.format, columns, rows);
            return written.map_err(|source| CliError::Stdout { source });
        };
        replace_file(path, |out| write_rows(out, self.format, columns, rows))
    }
}

/// Returns an error for a path that cannot be a file.
pub(super) fn writable(path: &Path) -> Result<(), CliError> {
    if path.is_dir() {
        return Err(CliError::usage(
            format!(
                "the output `{}` is a directory, expected a file",
                path.display()
            ),
            "name a file in it, such as predicted.csv",
        ));
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(CliError::usage(
            format!("the output's folder `{}` does not exist", folder.display()),
            "make it first, or write to another",
        ));
    }
    Ok(())
}

/// Writes a file atomically: it appears under its name only when complete.
pub(super) fn replace_file(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), CliError> {
    let failed = |source| CliError::Write {
        path: path.into(),
        source,
    };
    // Pipes and devices cannot be replaced; for a symbolic link, its target is replaced.
    let path = match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let mut out = BufWriter::new(File::create(path).map_err(failed)?);
            return fill(&mut out).and_then(|()| out.flush()).map_err(failed);
        }
        Ok(_) => fs::canonicalize(path).map_err(failed)?,
        Err(_) => path.into(),
    };
    let file = temporary(&folder_of(&path)).map_err(failed)?;
    process::remove_on_interrupt(Some(file.path()));
    let mut out = BufWriter::new(file.as_file());
    let filled = fill(&mut out)
        .and_then(|()| out.flush())
        .and_then(|()| file.as_file().sync_all());
    drop(out);
    let written = filled.and_then(|()| file.persist(&path).map_err(|error| error.error));
    process::remove_on_interrupt(None);
    written.map(|_| ()).map_err(failed)
}

/// Prefix and suffix of the names of [`temporary`] files.
const TEMPORARY: (&str, &str) = (".bertkit-", ".tmp");

/// Creates a temporary file for the output, with the default permissions of new files. It is locked while open, so that
/// files left by killed processes can be recognised and removed.
pub(super) fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    remove_abandoned(folder);
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder)?;
    // On file systems without locks, the file may be removed by another process after a minute.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Removes temporary files left in a folder by killed processes.
fn remove_abandoned(folder: &Path) {
    const AGE: Duration = Duration::from_secs(60);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|name| name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1));
        let old = || {
            let modified = entry.metadata().and_then(|data| data.modified()).ok();
            modified
                .and_then(|at| at.elapsed().ok())
                .is_some_and(|age| age > AGE)
        };
        if ours && old() && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            // A file that cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

pub(super) fn write_rows(
    out: &mut (impl Write + ?Sized),
    format: Format,
    columns: &[String],
    rows: Vec<Vec<Value>>,
) -> io::Result<()> {
    write_table(&mut *out, format, columns, rows).map_err(|error| match error {
        DataError::File(FileError::Write { source }) => source,
        other => io::Error::other(other),
    })?;
    out.flush()
}

pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.into(),
        _ => ".".into(),
    }
}

/// Adds columns to a table; also returns the names of existing columns that they replace.
pub(super) fn with_columns(
    table: Table,
    added: Vec<String>,
    values: impl Iterator<Item = Vec<Value>>,
) -> (Vec<String>, Vec<Vec<Value>>, Vec<String>) {
    let kept: Vec<bool> = table
        .columns
        .iter()
        .map(|column| !added.contains(column))
        .collect();
    let (mut columns, mut replaced) = (Vec::new(), Vec::new());
    for (column, keep) in table.columns.into_iter().zip(&kept) {
        if *keep {
            columns.push(column)
        } else {
            replaced.push(column)
        }
    }
    columns.extend(added);
    let rows = table.rows.into_iter().zip(values).map(|(row, new)| {
        let own = row.cells.into_iter().zip(&kept).filter(|(_, keep)| **keep);
        own.map(|(cell, _)| cell.into_json()).chain(new).collect()
    });
    (columns, rows.collect(), replaced)
}

/// Prints a note about input columns that cannot be written to the output.
pub(super) fn note_left_out(table: &Table, quiet: bool) {
    if table.unsupported.is_empty() || quiet {
        return;
    }
    let columns = table.unsupported.iter();
    let columns: Vec<_> = columns
        .map(|column| format!("`{}` ({})", column.name, column.kind))
        .collect();
    render::note(&format!(
        "left out of the output, for their types: {}",
        columns.join(", ")
    ));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn an_output_replaces_a_file_at_once_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        fs::write(&path, "before").unwrap();
        let target = Target {
            format: Format::Jsonl,
            path: Some(path.clone()),
        };
        target.write(&["a".into()], vec![vec![json!(1)]]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn an_output_through_a_link_replaces_its_target_and_devices_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (
            folder.path().join("out.csv"),
            folder.path().join("link.csv"),
        );
        fs::write(&path, "before").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let write = |path: &Path| {
            let target = Target {
                format: Format::Csv,
                path: Some(path.into()),
            };
            target.write(&["a".into()], vec![vec![json!(1)]]).unwrap();
        };
        write(&link);
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n1\n");
        write(Path::new("/dev/null"));
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
