//! Lines of the summary that every fine-tuning run has.

use bertkit_evaluation::Metric;
use bertkit_model::EncoderConfig;

use crate::config::FinetuneConfig;
use crate::run::devices::{self, Devices};

/// The model that is trained.
pub(crate) fn model_line(
    config: &FinetuneConfig,
    encoder: &EncoderConfig,
    parameters: usize,
) -> (String, String) {
    let source = match (&config.model.path, &config.model.fresh) {
        (Some(path), _) => format!("from {}", path.display()),
        _ => "fresh weights".into(),
    };
    (
        "model".into(),
        format!(
            "{} of {} layers, {} wide, {source}; {parameters} parameters",
            encoder.family, encoder.num_hidden_layers, encoder.hidden_size,
        ),
    )
}

/// The device, and the number of updates.
pub(crate) fn running_lines(
    config: &FinetuneConfig,
    devices: &Devices,
    steps: u64,
) -> impl Iterator<Item = (String, String)> + use<> {
    let t = &config.training;
    let batch = t.batch_tokens.map_or_else(
        || format!("{} rows", t.batch_size),
        |n| format!("{n} tokens"),
    );
    let accumulation = if t.gradient_accumulation > 1 {
        format!(" × {} accumulated", t.gradient_accumulation)
    } else {
        String::new()
    };
    let steps = format!(
        "{steps} of {batch}{accumulation}, {} epochs at most",
        t.epochs
    );
    std::iter::once(("device".into(), devices.describe()))
        .chain(devices::precision_line(devices, config.precision))
        .chain([("steps".into(), steps)])
}

/// The metric that selects the weights.
pub(crate) fn chooser_line(metric: Option<Metric>) -> (String, String) {
    let chooser = metric.map_or("loss".to_owned(), |metric| metric.to_string());
    (
        "best by".into(),
        format!("{chooser} on the validation rows"),
    )
}
