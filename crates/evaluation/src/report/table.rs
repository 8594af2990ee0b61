//! A report as aligned plain text.

use super::{AnswerReport, BootstrapSummary, ConfusionMatrix, Estimate, Report};
use crate::metric::Metric;
use crate::predictions::kind::TaskKind;

/// The largest number of classes whose confusion matrix is shown.
const LARGEST_MATRIX: usize = 12;

/// The report as text.
pub(super) fn render(report: &Report) -> String {
    let mut text = heading(report);
    text.push('\n');
    if matches!(report.task, TaskKind::Entities | TaskKind::Spans) {
        text += &entities(report);
        return text;
    }
    text += &metrics(report);
    if let Some(answers) = &report.answers {
        text += &thresholds(answers);
    }
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
    let rows = plural(report.rows, report.task.row_noun());
    let mut line = format!("{}, {rows}", report.task);
    if let Some(entities) = &report.entities {
        line += &format!(", {}", plural(entities.words, "word"));
    }
    if let Some(answers) = &report.answers {
        line += &format!(", {} without an answer", answers.without_answer);
    }
    if let Some(positive) = &report.positive {
        line += &format!(", positive class `{positive}`");
    }
    if let Some(averaged) = &report.averaged {
        let names: Vec<_> = averaged.iter().map(|name| format!("`{name}`")).collect();
        line += &format!(", averages over {}", names.join(", "));
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

/// The thresholds for no answer: the one applied and the best ones.
fn thresholds(answers: &AnswerReport) -> String {
    let mut text = String::new();
    if let Some(threshold) = answers.threshold {
        text += &format!("\nno answer above {}\n", number(Some(threshold)));
    }
    if let (Some(f1), Some(exact_match)) = (
        answers.best_f1_threshold,
        answers.best_exact_match_threshold,
    ) {
        let [f1, exact_match] = [f1, exact_match].map(|best| number(Some(best)));
        text += &format!(
            "\nbest thresholds for no answer on these questions: {f1} (f1), {exact_match} (exact_match)\n"
        );
    }
    text
}

/// A tagging scheme with the metrics of precision, recall and F1 in its three averages.
type SchemeMetrics = (&'static str, [(&'static str, [Metric; 3]); 3]);

/// The schemes; spans have only the first.
const SCHEMES: [SchemeMetrics; 3] = [
    (
        "seqeval",
        [
            (
                "micro",
                [Metric::PrecisionMicro, Metric::RecallMicro, Metric::F1Micro],
            ),
            (
                "macro",
                [Metric::PrecisionMacro, Metric::RecallMacro, Metric::F1Macro],
            ),
            (
                "weighted",
                [
                    Metric::PrecisionWeighted,
                    Metric::RecallWeighted,
                    Metric::F1Weighted,
                ],
            ),
        ],
    ),
    (
        "strict",
        [
            (
                "micro",
                [
                    Metric::PrecisionMicroStrict,
                    Metric::RecallMicroStrict,
                    Metric::F1MicroStrict,
                ],
            ),
            (
                "macro",
                [
                    Metric::PrecisionMacroStrict,
                    Metric::RecallMacroStrict,
                    Metric::F1MacroStrict,
                ],
            ),
            (
                "weighted",
                [
                    Metric::PrecisionWeightedStrict,
                    Metric::RecallWeightedStrict,
                    Metric::F1WeightedStrict,
                ],
            ),
        ],
    ),
    (
        "conlleval",
        [
            (
                "micro",
                [
                    Metric::PrecisionMicroConlleval,
                    Metric::RecallMicroConlleval,
                    Metric::F1MicroConlleval,
                ],
            ),
            (
                "macro",
                [
                    Metric::PrecisionMacroConlleval,
                    Metric::RecallMacroConlleval,
                    Metric::F1MacroConlleval,
                ],
            ),
            (
                "weighted",
                [
                    Metric::PrecisionWeightedConlleval,
                    Metric::RecallWeightedConlleval,
                    Metric::F1WeightedConlleval,
                ],
            ),
        ],
    ),
];

/// The schemes within each average, then the types.
fn entities(report: &Report) -> String {
    let defined = |scheme: &&SchemeMetrics| {
        report
            .metric(scheme.1[0].1[0])
            .is_some_and(|estimate| estimate.value.is_some())
    };
    let schemes: Vec<_> = SCHEMES.iter().filter(defined).collect();
    let mut text = String::new();
    if !schemes.is_empty() {
        let mut table = match report.entities {
            Some(_) => Table::new(&["average", "entities", "precision", "recall", "f1"]),
            None => Table::new(&["average", "precision", "recall", "f1"]),
        };
        // With one type, all averages are equal.
        let averages = if report.per_class.len() == 1 { 1 } else { 3 };
        for average in 0..averages {
            for (scheme, each) in &schemes {
                let (name, metrics) = each[average];
                let mut cells = vec![name.to_owned()];
                if report.entities.is_some() {
                    cells.push((*scheme).to_owned());
                }
                cells.extend(
                    metrics.map(|metric| report.metric(metric).map_or_else(String::new, cell)),
                );
                table.row(cells);
            }
        }
        text += &table.render(&[false; 5]);
    }
    if let Some(accuracy) = report.metric(Metric::Accuracy) {
        let shown = match &accuracy.undefined {
            Some(reason) => format!("undefined: {reason}"),
            None => cell(accuracy),
        };
        text += &format!(
            "{}accuracy of tags  {shown}\n",
            if schemes.is_empty() { "" } else { "\n" }
        );
    }
    let mut reasons = Vec::new();
    for (scheme, averages) in &SCHEMES {
        let Some(estimate) = report.metric(averages[0].1[0]) else {
            continue;
        };
        if let Some(reason) = &estimate.undefined {
            reasons.push(format!("{scheme}: undefined: {reason}\n"));
        } else if let Some(reason) = &estimate.interval_undefined {
            reasons.push(format!("{scheme}: no intervals: {reason}\n"));
        }
    }
    text += &reasons.concat();
    if !report.per_class.is_empty() {
        text.push('\n');
        text += &types(report);
    }
    text
}

/// Precision, recall and F1 of each type, and its F1 under the other schemes.
fn types(report: &Report) -> String {
    let mut table = Table::new(&["type", "precision", "recall", "f1", "support"]);
    if report.entities.is_some() {
        table.head("f1 strict".to_owned());
        table.head("f1 conlleval".to_owned());
    }
    for (name, class) in &report.per_class {
        let mut cells = vec![name.clone()];
        cells.extend([&class.precision, &class.recall, &class.f1].map(cell));
        cells.push(class.support.to_string());
        if let Some(entities) = &report.entities {
            for scheme in [&entities.strict, &entities.conlleval] {
                let same = scheme.iter().find(|(other, _)| other == name);
                cells
                    .push(same.map_or_else(|| "-".to_owned(), |(_, class)| number(class.f1.value)));
            }
        }
        table.row(cells);
    }
    table.render(&[false, false, false, false, true, true, true])
}

/// A value with its interval, if it has one.
fn cell(estimate: &Estimate) -> String {
    match (estimate.low, estimate.high) {
        (Some(_), Some(_)) => format!("{} {}", number(estimate.value), interval(estimate)),
        _ => number(estimate.value),
    }
}

/// `95%` for a confidence of 0.95.
fn percent(bootstrap: &BootstrapSummary) -> String {
    format!("{}%", (bootstrap.confidence * 1e8).round() / 1e6)
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Four decimals, or four significant digits for very small or large numbers.
pub(crate) fn number(value: Option<f64>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(value) if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) => {
            format!("{value:.3e}")
        }
        Some(value) => format!("{value:.4}"),
    }
}

/// The interval in brackets, the reason why there is none, or nothing if none was requested.
fn interval(estimate: &Estimate) -> String {
    match (estimate.low, estimate.high, &estimate.interval_undefined) {
        (Some(low), Some(high), _) => format!("[{}, {}]", number(Some(low)), number(Some(high))),
        (_, _, Some(reason)) => format!("none: {reason}"),
        _ => String::new(),
    }
}

/// Cells in columns two spaces apart.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()],
        }
    }

    pub(crate) fn head(&mut self, cell: String) {
        self.rows[0].push(cell);
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// `right` states which columns are right-aligned. The last cell of a row may be wider than its column.
    pub(crate) fn render(&self, right: &[bool]) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        // A row with fewer cells ends in a sentence, which does not widen its column.
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
