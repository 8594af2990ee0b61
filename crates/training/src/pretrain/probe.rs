//! The probe: a short fine-tuning on labelled rows, to measure pretrained weights.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use bertkit_model::Precision;

use crate::config::pretrain::ProbeConfig;
use crate::config::{FinetuneConfig, ModelConfig, OptimizerConfig};
use crate::engine::observer::Silent;
use crate::error::TrainError;
use crate::prepare::prepare;
use crate::run::directory::DirectoryPolicy;

/// A fine-tuning with fixed settings, after selected updates.
///
/// It uses a copy of the weights in a separate folder, and separate seeds, so that it does not change the
/// run.
#[derive(Debug)]
pub(crate) struct Probe {
    config: ProbeConfig,
    device: String,
    precision: Precision,
}

/// The probe's folder in the run directory; left over from a killed run, it is removed like any temporary
/// file.
const FOLDER: &str = ".probe.tmp";

impl Probe {
    /// `None` if there are no rows to probe on.
    pub fn new(config: &ProbeConfig, device: &str, precision: Precision) -> Option<Self> {
        config.data.as_ref().map(|_| Self {
            config: config.clone(),
            device: device.into(),
            precision,
        })
    }

    /// Whether to probe after this update.
    pub fn is_due(&self, step: u64, last: bool) -> bool {
        let c = &self.config;
        let at_end = last && c.steps.is_empty() && c.every.is_none();
        at_end || c.steps.contains(&step) || c.every.is_some_and(|n| step.is_multiple_of(n))
    }

    /// Fine-tunes what `save` writes, once per seed; returns the mean of the main metric.
    pub fn run(
        &self,
        parent: &Path,
        save: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<Vec<(String, Option<f64>)>, TrainError> {
        let folder = parent.join(FOLDER);
        let removed = |source| TrainError::Write {
            path: folder.clone(),
            source,
        };
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(removed)?;
        }
        let model = folder.join("model");
        std::fs::create_dir_all(&model).map_err(removed)?;
        let scores = save(&model).and_then(|()| {
            let seeds = self.config.seeds.iter();
            seeds
                .map(|&seed| self.fine_tune(&folder, seed))
                .collect::<Result<Vec<_>, _>>()
        });
        std::fs::remove_dir_all(&folder).map_err(removed)?;
        let scores = scores?;
        let Some((name, _)) = scores.first().cloned() else {
            return Ok(Vec::new());
        };
        let values: Option<Vec<f64>> = scores.into_iter().map(|(_, value)| value).collect();
        let mean = values.map(|values| values.iter().sum::<f64>() / values.len() as f64);
        Ok(vec![(name, mean)])
    }

    /// Name and value of the main metric in the best epoch.
    fn fine_tune(&self, folder: &Path, seed: u64) -> Result<(String, Option<f64>), TrainError> {
        let c = &self.config;
        let mut config = FinetuneConfig {
            seed,
            device: self.device.clone(),
            precision: self.precision,
            output: Some(folder.join(format!("run-{seed}"))),
            model: ModelConfig {
                path: Some(folder.join("model")),
                ..ModelConfig::default()
            },
            optimizer: OptimizerConfig {
                learning_rate: c.learning_rate,
                ..OptimizerConfig::default()
            },
            ..FinetuneConfig::default()
        };
        config.data.train.clone_from(&c.data);
        config.data.text.clone_from(&c.text);
        config.data.text_pair.clone_from(&c.text_pair);
        config.data.label.clone_from(&c.label);
        config.data.valid_fraction = c.valid_fraction;
        config.data.max_length = c.max_length;
        config.training.epochs = c.epochs;
        config.training.batch_size = c.batch_size;
        let run = prepare(config, DirectoryPolicy::New, &mut Silent)?;
        let outcome = run.train(&mut Silent, &AtomicBool::new(false))?;
        let metrics = outcome.best.map(|report| report.metrics);
        let main = metrics.and_then(|metrics| metrics.into_iter().next());
        Ok(main.unwrap_or_else(|| ("score".into(), None)))
    }
}
