//! How the weights to keep are selected on the validation rows.

use bertkit_evaluation::{Metric, Predictions, TaskKind as PredictionKind, score};

use crate::config::FinetuneConfig;
use crate::engine::task::Validation;
use crate::error::{TrainError, setting};

/// The metric that selects the weights: from the configuration, or the default for the predictions; `None` is the
/// validation loss.
///
/// # Errors
/// There is no such metric, or it does not apply to these predictions.
pub(crate) fn selection_metric(
    config: &FinetuneConfig,
    task: PredictionKind,
) -> Result<Option<Metric>, TrainError> {
    let Some(name) = config.training.best_metric.as_deref() else {
        return Ok(Some(Metric::default_for(task)));
    };
    if name == "loss" {
        return Ok(None);
    }
    let names = || {
        Metric::for_task(task)
            .iter()
            .map(Metric::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let metric: Metric = name.parse().map_err(|_| {
        setting(
            format!("`{name}` is no metric"),
            format!("for this task there are loss, {}", names()),
        )
    })?;
    if !metric.applies_to(task) {
        return Err(setting(
            format!("the metric `{name}` does not apply to this task ({task})"),
            format!("for this task there are loss, {}", names()),
        ));
    }
    Ok(Some(metric))
}

/// Refuses settings that need validation rows if there are none.
pub(crate) fn check_validation(
    config: &FinetuneConfig,
    valid_rows: usize,
) -> Result<(), TrainError> {
    let give = "give some with [data.valid=FILE] or [data.valid_fraction=0.1]";
    if valid_rows == 0 && config.training.early_stopping > 0 {
        return Err(setting(
            "early stopping is decided on validation rows, and there are none",
            give,
        ));
    }
    if valid_rows == 0 && config.training.best_metric.is_some() {
        return Err(setting(
            "the best weights are chosen on validation rows, and there are none",
            give,
        ));
    }
    Ok(())
}

/// Every metric of the predictions, and the mean loss. `metric` selects, or the loss if it is `None`.
pub(crate) fn validation(
    predictions: &Predictions,
    loss: f64,
    metric: Option<Metric>,
) -> Validation {
    let mut metrics: Vec<(String, Option<f64>)> = Metric::for_task(predictions.task())
        .iter()
        .map(|&metric| (metric.to_string(), score(predictions, metric).ok()))
        .collect();
    metrics.push(("loss".into(), Some(loss).filter(|loss| loss.is_finite())));
    let name = metric.map_or("loss".to_owned(), |metric| metric.to_string());
    let place = metrics.iter().position(|(known, _)| *known == name);
    let selected = metrics.remove(place.unwrap_or(0));
    let sign = if metric.is_some_and(Metric::higher_is_better) {
        1.0
    } else {
        -1.0
    };
    let score = selected.1.map(|value| sign * value);
    metrics.insert(0, selected);
    Validation { metrics, score }
}
