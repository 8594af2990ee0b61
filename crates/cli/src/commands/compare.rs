//! `bertkit compare`: tests whether the difference between two models is significant.

use std::path::{Path, PathBuf};

use bertkit_evaluation::{
    BootstrapOptions, Comparison, ComparisonOptions, Metric, TaskKind, compare,
};
use bertkit_training::{StoredEvaluation, stored_evaluations};
use clap::Args;
use serde_json::json;

use super::eval::confidence;
use crate::error::CliError;
use crate::format::plural;
use crate::process;
use crate::render;

const EXAMPLES: &str = "\
Examples:
  bertkit eval runs/small --data test.csv
  bertkit eval runs/large --data test.csv
  bertkit compare runs/small runs/large
  bertkit compare runs/small runs/large --name test --metric f1 --metric roc_auc --json

Both runs must have been evaluated on the same rows with `bertkit eval`, which keeps what each
model said. Intervals and the first p-value come from resampling the same rows for both (paired
bootstrap), the second from swapping the models' answers at random (paired permutation test). For
rows that are right or wrong there is McNemar's test too. If both were evaluated with --group,
whole groups are resampled and swapped.";

/// Number of metrics shown by default.
const USUAL_METRICS: usize = 3;

/// See whether a model is better than another by more than chance
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompareArgs {
    /// The run directory of the first model
    run_a: PathBuf,
    /// The run directory of the second model
    run_b: PathBuf,
    /// Which evaluation of both runs [default: the only one that both have]
    #[arg(long, help_heading = "Metrics")]
    name: Option<String>,
    /// A metric to compare; may be given several times [default: the first three of the task]
    #[arg(long, value_name = "METRIC", help_heading = "Metrics")]
    metric: Vec<Metric>,
    /// Resamples for intervals and the bootstrap's p-value; 0 makes none
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2000,
        help_heading = "Metrics"
    )]
    bootstrap: u32,
    /// Random swaps for the permutation test; 0 makes none
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        help_heading = "Metrics"
    )]
    permutations: u32,
    /// The share of resamples that an interval holds; what is left is the level of the verdict
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.95,
        help_heading = "Metrics"
    )]
    #[arg(value_parser = confidence)]
    confidence: f64,
    /// Decides resamples and swaps
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Metrics")]
    seed: u64,
    /// Print the comparison as one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Threads on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(help_heading = "Output")]
    threads: Option<u16>,
}

/// Runs the command.
///
/// # Errors
/// Runs without evaluations, or evaluated on different rows; metrics of another task.
pub fn run(args: &CompareArgs) -> Result<(), CliError> {
    process::use_threads(args.threads)?;
    process::leave_on_interrupt()?;
    let name = evaluation(args)?;
    let a = StoredEvaluation::read(&args.run_a, &name)?;
    let b = StoredEvaluation::read(&args.run_b, &name)?;
    same_rows(args, &a, &b)?;
    let options = ComparisonOptions {
        bootstrap: BootstrapOptions {
            resamples: args.bootstrap as usize,
            confidence: args.confidence,
            seed: args.seed,
            groups: groups(&a, &b)?,
        },
        permutations: args.permutations as usize,
    };
    let task = a.predictions.task();
    let metrics = metrics(&args.metric, task)?;
    let found = compare(&a.predictions, &b.predictions, &metrics, &options).map_err(|error| {
        CliError::usage(
            format!("the runs cannot be compared: {error}"),
            "compare models of one task with the same classes, evaluated on the same file",
        )
    })?;
    if args.json {
        let value = json!({
            "a": args.run_a.to_string_lossy(),
            "b": args.run_b.to_string_lossy(),
            "evaluation": name,
            "task": task,
            "comparison": found,
        });
        return render::stdout(&format!("{value}\n"));
    }
    render::stdout(&as_text(args, &name, &found))
}

fn as_text(args: &CompareArgs, name: &str, found: &Comparison) -> String {
    let mut how = Vec::new();
    let of = found.groups.map_or_else(String::new, |groups| {
        format!(" of {}", plural(groups as u64, "group"))
    });
    if found.resamples > 0 {
        how.push(format!(
            "{}{of}",
            plural(found.resamples as u64, "resample")
        ));
    }
    if found.permutations > 0 {
        let all = if found.exact { "all " } else { "" };
        how.push(format!(
            "{all}{}{of}",
            plural(found.permutations as u64, "permutation")
        ));
    }
    how.push(format!("seed {}", found.seed));
    format!(
        "A is {}\nB is {}\n{} of `{name}`; {}\n\n{}",
        args.run_a.display(),
        args.run_b.display(),
        plural(found.rows as u64, "row"),
        how.join(", "),
        found.table("A", "B")
    )
}

/// The metrics to compare, without duplicates.
fn metrics(asked: &[Metric], task: TaskKind) -> Result<Vec<Metric>, CliError> {
    let of_task = Metric::for_task(task);
    if let Some(metric) = asked.iter().find(|metric| !metric.applies_to(task)) {
        let names: Vec<&str> = of_task.iter().map(|metric| metric.name()).collect();
        return Err(CliError::usage(
            format!("`{metric}` is no metric of a {task} task"),
            format!("its metrics are {}", names.join(", ")),
        ));
    }
    let mut metrics: Vec<Metric> = Vec::new();
    let usual = &of_task[..USUAL_METRICS.min(of_task.len())];
    for &metric in if asked.is_empty() { usual } else { asked } {
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    Ok(metrics)
}

/// The name of the evaluation to compare.
fn evaluation(args: &CompareArgs) -> Result<String, CliError> {
    let (of_a, of_b) = (
        stored_evaluations(&args.run_a)?,
        stored_evaluations(&args.run_b)?,
    );
    if let Some(name) = &args.name {
        for (run, names) in [(&args.run_a, &of_a), (&args.run_b, &of_b)] {
            if !names.contains(name) {
                return Err(CliError::usage(
                    format!("`{}` has no evaluation `{name}`", run.display()),
                    format!("it has {}", names.join(", ")),
                ));
            }
        }
        return Ok(name.clone());
    }
    let mut both: Vec<&String> = of_a.iter().filter(|name| of_b.contains(name)).collect();
    match (both.pop(), both.is_empty()) {
        (Some(name), true) => Ok(name.clone()),
        (None, _) => Err(CliError::usage(
            format!(
                "the runs have no evaluation of one name: {} and {}",
                of_a.join(", "),
                of_b.join(", ")
            ),
            "evaluate both on the same file, or under one name: bertkit eval RUN --data FILE --name NAME",
        )),
        (Some(last), false) => {
            both.push(last);
            let names: Vec<&str> = both.into_iter().map(String::as_str).collect();
            Err(CliError::usage(
                format!("the runs have {} evaluations in common", names.len()),
                format!("choose one with --name: {}", names.join(", ")),
            ))
        }
    }
}

/// Checks that both runs were evaluated on the same rows.
fn same_rows(
    args: &CompareArgs,
    a: &StoredEvaluation,
    b: &StoredEvaluation,
) -> Result<(), CliError> {
    let differ = |what: String| {
        CliError::usage(
            format!(
                "`{}` and `{}` were not evaluated on the same rows: {what}",
                shown(&args.run_a),
                shown(&args.run_b)
            ),
            "evaluate both on the same file with the same options",
        )
    };
    let (of_a, of_b) = (a.rows.len(), b.rows.len());
    if of_a != of_b {
        return Err(differ(format!("{of_a} and {of_b} rows")));
    }
    if of_a == 0 {
        return Err(CliError::usage(
            "the evaluations hold no rows",
            "evaluate both on a file with rows",
        ));
    }
    for (one, other) in a.rows.iter().zip(&b.rows) {
        if one.line != other.line {
            return Err(differ(format!("line {} and line {}", one.line, other.line)));
        }
        if one.truth != other.truth {
            return Err(differ(format!(
                "line {} has the label `{}` and `{}`",
                one.line, one.truth, other.truth
            )));
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The groups of the rows, if they are the same in both evaluations.
fn groups(a: &StoredEvaluation, b: &StoredEvaluation) -> Result<Option<Vec<usize>>, CliError> {
    let (of_a, of_b) = (a.groups(), b.groups());
    match of_a == of_b {
        true => Ok(of_a),
        false => Err(CliError::usage(
            "the runs were not evaluated with the same groups",
            "evaluate both with the same --group, or both without",
        )),
    }
}
