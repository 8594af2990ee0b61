//! A report as aligned plain text.

use super::{BootstrapSummary, ConfusionMatrix, Estimate, Report};

/// The most classes whose confusion matrix still fits on a terminal.
const LARGEST_MATRIX: usize = 12;

/// The report as lines of text, each ended.
pub(super) fn render(report: &Report) -> String {
    let mut text = heading(report);
    text.push('\n');
    text += &metrics(report);
    if !report.per_class.is_empty() {
        text.push('\n');
        text += &classes(report);
    }
    if let Some(matrix) = &report.confusion_matrix
        && report.classes.len() <= LARGEST_MATRIX
    {
        text.push('\n');
        text += &confusion(matrix, &report.classes);
    }
    text
}

fn heading(report: &Report) -> String {
    let mut line = format!("{}, {}", report.task, plural(report.rows, "row"));
    if let Some(positive) = &report.positive {
        line += &format!(", positive class `{positive}`");
    }
    line.push('\n');
    if let Some(bootstrap) = &report.bootstrap {
        let BootstrapSummary {
            resamples,
            seed,
            stratified,
            groups,
            ..
        } = bootstrap;
        let how = match (groups, stratified) {
            (Some(groups), _) => format!(" of {}", plural(*groups, "group")),
            (None, true) => " within classes".to_owned(),
            (None, false) => String::new(),
        };
        let resamples = plural(*resamples, "resample");
        line += &format!(
            "{} intervals: percentile bootstrap, {resamples}{how}, seed {seed}\n",
            percent(bootstrap)
        );
    }
    line
}

fn metrics(report: &Report) -> String {
    let mut table = Table::new(&["metric", "value"]);
    if let Some(bootstrap) = &report.bootstrap {
        table.head(format!("{} interval", percent(bootstrap)));
    }
    for (metric, estimate) in &report.metrics {
        let mut cells = vec![metric.to_string()];
        match &estimate.undefined {
            Some(reason) => cells.push(format!("undefined: {reason}")),
            None => cells.extend([number(estimate.value), interval(estimate)]),
        }
        table.row(cells);
    }
    table.render(&[false, true, false])
}

fn classes(report: &Report) -> String {
    let mut table = Table::new(&["class", "precision", "recall", "f1", "support"]);
    for (name, class) in &report.per_class {
        let estimates = [&class.precision, &class.recall, &class.f1];
        let mut cells = vec![name.clone()];
        cells.extend(estimates.map(|estimate| {
            let cell = format!("{} {}", number(estimate.value), interval(estimate));
            cell.trim_end().to_owned()
        }));
        cells.push(class.support.to_string());
        table.row(cells);
    }
    table.render(&[false, false, false, false, true])
}

fn confusion(matrix: &ConfusionMatrix, classes: &[String]) -> String {
    let mut table = Table::new(&["true \\ predicted"]);
    classes.iter().for_each(|class| table.head(class.clone()));
    for (label, counts) in matrix.labels.iter().zip(&matrix.rows) {
        table.row(
            std::iter::once(label.clone())
                .chain(counts.iter().map(u64::to_string))
                .collect(),
        );
    }
    let mut right = vec![true; classes.len() + 1];
    right[0] = false;
    table.render(&right)
}

/// `95%` for a confidence of 0.95.
fn percent(bootstrap: &BootstrapSummary) -> String {
    format!("{}%", (bootstrap.confidence * 1e8).round() / 1e6)
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Four decimals, or four digits for what they would hide or stretch.
fn number(value: Option<f64>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(value) if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) => {
            format!("{value:.3e}")
        }
        Some(value) => format!("{value:.4}"),
    }
}

/// The interval in brackets, why there is none, or nothing where none was asked for.
fn interval(estimate: &Estimate) -> String {
    match (estimate.low, estimate.high, &estimate.interval_undefined) {
        (Some(low), Some(high), _) => format!("[{}, {}]", number(Some(low)), number(Some(high))),
        (_, _, Some(reason)) => format!("none: {reason}"),
        _ => String::new(),
    }
}

/// Cells in columns two spaces apart.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()],
        }
    }

    fn head(&mut self, cell: String) {
        self.rows[0].push(cell);
    }

    fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// `right` tells which columns are flush right. The last cell of a row may be longer than its column.
    fn render(&self, right: &[bool]) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        // A row that stops early ends in a sentence, which widens no column.
        let width = |column: usize| {
            let cells = self
                .rows
                .iter()
                .filter(|row| row.len() > column + 1 || row.len() == self.rows[0].len());
            cells
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let early = row.len() < self.rows[0].len() && column + 1 == row.len();
                match right[column] && !early {
                    true => format!("{cell:>width$}", width = widths[column]),
                    false => format!("{cell:<width$}", width = widths[column]),
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            format!("{}\n", line.trim_end())
        };
        self.rows.iter().map(line).collect()
    }
}
