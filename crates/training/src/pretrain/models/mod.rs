//! Which model a list of objectives trains, and its weights.

mod electra;
mod load;
mod single;

use bertkit_model::{Electra, MlmModel, PretrainingModel};
use burn::tensor::Device;

use self::load::{Loader, sizes};
use super::batch::MaskedBatch;
use super::descriptor::LossSettings;
use super::model::PretrainModel;
use super::objective_sum::ObjectiveSum;
use super::open::Opened;
use super::probe::Probe;
use super::run::{Run, TrainableRun};
use super::source::Source;
use super::task::PretrainTask;
use crate::config::PretrainConfig;
use crate::engine::optimizer::AdamW;
use crate::engine::store::Progress;
use crate::error::{TrainError, setting};
use crate::run::checkpoint::RunIdentity;
use crate::run::directory::{DirectoryPolicy, RunDirectory};
use crate::run::resume;

/// The parts of a run other than its model.
pub(super) struct Builder<'a> {
    pub config: &'a PretrainConfig,
    pub directory: &'a RunDirectory,
    pub policy: DirectoryPolicy,
    pub source: Source,
    pub validation: Vec<MaskedBatch>,
    /// Recorded in checkpoints, so that a resumed run can compare it.
    pub identity: &'a RunIdentity,
    pub device: Device,
}

impl Builder<'_> {
    /// The run of the simplest model that has the heads of all objectives, and its number of
    /// parameters. `lines` are those of the summary.
    ///
    /// # Errors
    /// The weights cannot be read or do not fit, or a checkpoint cannot be resumed from.
    pub fn build(
        self,
        opened: Opened,
        lines: &mut Vec<(String, String)>,
    ) -> Result<(Box<dyn Run>, usize), TrainError> {
        let config = self.config;
        let (objectives, seed) = (&config.objective, config.seed);
        let settings = LossSettings {
            temperature: config.generator.temperature,
            disallow_correct: config.generator.disallow_correct,
        };
        let mut loader = Loader {
            config,
            opened: &opened,
            device: self.device.clone(),
            lines,
        };
        if let Some(losses) = ObjectiveSum::<MlmModel>::losses(objectives, &settings) {
            let model = loader.single()?;
            let sum = ObjectiveSum::new(objectives, losses, opened.encoder.clone(), seed);
            return self.finish(sum, model, opened, lines);
        }
        if let Some(losses) = ObjectiveSum::<PretrainingModel>::losses(objectives, &settings) {
            let model = loader.single()?;
            let sum = ObjectiveSum::new(objectives, losses, opened.encoder.clone(), seed);
            return self.finish(sum, model, opened, lines);
        }
        if let Some(losses) = ObjectiveSum::<Electra>::losses(objectives, &settings) {
            let (model, sizes) = loader.electra()?;
            let sum = ObjectiveSum::new(objectives, losses, sizes, seed);
            return self.finish(sum, model, opened, lines);
        }
        Err(setting(
            format!("no model has the heads of all objectives: {objectives}"),
            "train them in separate runs",
        ))
    }

    /// Assembles the run, and resumes from a checkpoint if requested.
    fn finish<M: PretrainModel + 'static>(
        self,
        objectives: ObjectiveSum<M>,
        model: M,
        opened: Opened,
        lines: &mut Vec<(String, String)>,
    ) -> Result<(Box<dyn Run>, usize), TrainError> {
        let config = self.config;
        let source = match &config.model.path {
            Some(path) => format!("from {}", path.display()),
            None => "fresh weights".into(),
        };
        let parameters = model.num_params();
        let text = format!(
            "{}; {parameters} parameters",
            sizes(&opened.encoder, &source)
        );
        lines.push(("model".into(), text));
        let task = PretrainTask {
            objectives,
            source: self.source,
            validation: self.validation,
            tokenizer: opened.tokenizer,
            layers: opened.encoder.spec().layer_depths(),
            layer_decay: config.optimizer.layer_decay,
            probe: Probe::new(&config.probe, &config.device, config.precision),
        };
        let mut run = TrainableRun {
            model,
            optimizer: AdamW::new(&config.optimizer),
            progress: Progress::default(),
            task,
        };
        if self.policy == DirectoryPolicy::Resume {
            let (model, resumed) = resume::restore(
                self.directory,
                &run.task,
                run.model,
                &config.optimizer,
                self.identity,
            )?;
            run.model = model;
            if let Some((optimizer, progress)) = resumed {
                (run.optimizer, run.progress) = (optimizer, progress);
            }
        }
        Ok((Box::new(run), parameters))
    }
}
