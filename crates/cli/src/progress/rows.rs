//! Progress over rows, for commands that only read and predict.

use std::time::Instant;

use indicatif::ProgressBar;

use super::{BETWEEN_LINES, Display, style};
use crate::format::{count, duration, plural};
use crate::render;

/// Progress over rows, for commands that only read and predict.
pub struct RowProgress {
    display: Display,
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Instant,
}

impl RowProgress {
    /// Shows nothing before the first report.
    pub fn new(display: Display) -> Self {
        let now = Instant::now();
        Self {
            display,
            bar: None,
            started: now,
            last_line: now,
        }
    }

    /// Reports that `done` of `total` rows are done.
    pub fn done(&mut self, done: usize, total: usize) {
        let (done, total) = (done as u64, total as u64);
        match self.display {
            Display::Quiet => {}
            Display::Bar => {
                let bar = self.bar.get_or_insert_with(|| {
                    let bar = ProgressBar::new(total);
                    bar.set_style(style("{bar:24} {pos}/{len} rows  {per_sec}  {eta} left"));
                    bar
                });
                bar.set_position(done);
            }
            Display::Lines if self.last_line.elapsed() >= BETWEEN_LINES => {
                self.last_line = Instant::now();
                let left = self.started.elapsed().as_secs_f64() * total.saturating_sub(done) as f64
                    / done.max(1) as f64;
                render::stderr(&format!(
                    "{} of {}  {} left\n",
                    count(done),
                    plural(total, "row"),
                    duration(left)
                ));
            }
            Display::Lines => {}
        }
    }
}

impl Drop for RowProgress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
