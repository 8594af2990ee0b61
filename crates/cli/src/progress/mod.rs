//! Progress on standard error: a bar on a terminal, a line every ten seconds elsewhere, nothing if quiet.

mod pace;
mod rows;
mod run;

use std::time::Duration;

use indicatif::ProgressStyle;

use crate::render;

pub use rows::RowProgress;
pub use run::{Progress, SHOWN_METRICS, SHOWN_OF_PRETRAINING, metrics, summary_lines};

/// Time between two lines of progress without a bar.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// No progress.
    Quiet,
    /// Lines.
    Lines,
    /// A bar, with lines above it.
    Bar,
}

impl Display {
    /// A bar on a terminal, else lines; nothing if `quiet`.
    pub fn choose(quiet: bool) -> Self {
        match (quiet, render::stderr_is_terminal()) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }
}

/// A style without colour; the default style if the template is invalid, which a test excludes.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_of_the_bars_are_right() {
        for template in [
            "{bar:16} step {pos}/{len}  {wide_msg}",
            "{bar:24} {pos}/{len} rows  {per_sec}  {eta} left",
            "{spinner} {wide_msg}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
