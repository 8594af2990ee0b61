//! `--micro-batch auto`: the largest part of a batch that a device has memory for.
//!
//! Each size is tried in a child process that runs this command again with `--try-micro-batch`, because a device is not
//! reliable after its memory was full.

use crate::error::{CliError, MEMORY_FULL};
use crate::{process, render};

/// Finds the largest micro-batch that fits, for a batch of `rows` rows, and reports it unless `quiet`.
///
/// No further size is tried once `stop` returns true.
///
/// # Errors
/// A single row does not fit, a trial failed for another reason, or the search was stopped.
pub fn find(rows: usize, quiet: bool, stop: &dyn Fn() -> bool) -> Result<usize, CliError> {
    let parts = fewest_parts(rows, |rows| match stop() {
        true => Err(CliError::usage(
            "the trials were interrupted",
            "run the command again",
        )),
        false => attempt(rows, stop),
    })?
    .ok_or_else(|| CliError::DeviceMemory {
        asked: ": not even one row fits".into(),
    })?;
    let most = rows.div_ceil(parts);
    if !quiet {
        render::note(&match parts {
            1 => format!("micro-batch: all {rows} rows of a batch fit into memory"),
            _ => format!("micro-batch: {most} of {rows} rows fit into memory together"),
        });
    }
    Ok(most)
}

/// The smallest number of equal parts of a batch such that one part fits: doubles the number, then bisects.
fn fewest_parts<E>(
    rows: usize,
    mut fits: impl FnMut(usize) -> Result<bool, E>,
) -> Result<Option<usize>, E> {
    let (mut too_few, mut enough) = (0, 1);
    while !fits(rows.div_ceil(enough))? {
        if enough >= rows {
            return Ok(None);
        }
        too_few = enough;
        enough = (2 * enough).min(rows);
    }
    while enough - too_few > 1 {
        let between = too_few + (enough - too_few) / 2;
        let size = rows.div_ceil(between);
        // Different numbers of parts can give the same size: do not try it again.
        let known = match size {
            size if size == rows.div_ceil(enough) => Some(true),
            size if too_few > 0 && size == rows.div_ceil(too_few) => Some(false),
            _ => None,
        };
        let fit = match known {
            Some(fit) => fit,
            None => fits(size)?,
        };
        if fit {
            enough = between;
        } else {
            too_few = between;
        }
    }
    Ok(Some(enough))
}

/// Whether a micro-batch of `rows` rows fits.
fn attempt(rows: usize, stop: &dyn Fn() -> bool) -> Result<bool, CliError> {
    let run = format!("trial of {rows} rows");
    let own = ["--try-micro-batch".into(), rows.to_string().into()];
    let arguments = std::env::args_os().skip(1).chain(own);
    let (status, text) = match process::run_again(arguments, stop) {
        Ok(ended) => ended,
        Err(source) => return Err(CliError::Process { run, source }),
    };
    match status.code() {
        Some(0) => Ok(true),
        Some(code) if code == i32::from(MEMORY_FULL) => Ok(false),
        // Killed by a signal: the system does that when it runs out of memory.
        None => Ok(false),
        Some(code) => {
            let (message, hint) = render::parts_of(&text);
            Err(CliError::Run {
                run,
                message,
                hint: hint.unwrap_or_else(|| "give a number with --micro-batch".into()),
                code: u8::try_from(code).unwrap_or(1),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size found if at most `most` rows fit, and the number of trials.
    fn found(rows: usize, most: usize) -> (Option<usize>, usize) {
        let mut tried = 0;
        let parts = fewest_parts(rows, |size| {
            tried += 1;
            Ok::<bool, ()>(size <= most)
        });
        let parts = parts.unwrap_or_default();
        (parts.map(|parts| rows.div_ceil(parts)), tried)
    }

    #[test]
    fn the_largest_part_that_fits_is_found_in_few_trials() {
        assert_eq!(found(32, 100), (Some(32), 1));
        assert_eq!(found(32, 16), (Some(16), 2));
        assert_eq!(found(32, 12), (Some(11), 4));
        assert_eq!(found(32, 1), (Some(1), 6));
        assert_eq!(found(32, 0), (None, 6));
        assert_eq!(found(1, 0), (None, 1));
        for rows in 1..70_usize {
            for most in 1..=rows {
                let largest = (1..=rows).map(|k| rows.div_ceil(k)).find(|&n| n <= most);
                assert_eq!(found(rows, most).0, largest, "{rows} {most}");
            }
        }
    }
}
