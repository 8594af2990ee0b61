//! Detects changes of source files.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::manifest::SourceRecord;
use crate::error::{DataError, FileError};
use crate::sources::stream::Tally;

/// A file modified within this time before it was read may change again without a new modification time.
const TOO_FRESH: Duration = Duration::from_secs(2);

/// The modification time of a file, if a later change is certain to differ from it.
pub(super) fn modified(metadata: &Metadata) -> Option<u64> {
    let modified = metadata.modified().ok()?;
    let age = SystemTime::now().duration_since(modified).ok()?;
    (age >= TOO_FRESH).then(|| nanoseconds(modified))?
}

fn nanoseconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// Whether a file is unchanged since the manifest was written.
pub(super) fn is_unchanged(path: &Path, source: &SourceRecord) -> Result<bool, DataError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => DataError::File(FileError::NotFound {
            path: path.display().to_string(),
        }),
        _ => DataError::File(FileError::Read {
            path: path.display().to_string(),
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
