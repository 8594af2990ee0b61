//! What every run does once its task is ready: take up a checkpoint, make the directory, train,
//! write the model.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use bertkit_model::{
    Context, DeviceList, DeviceSpec, ParseDeviceError, Precision, ResolvedDevice, is_cpu,
};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use serde_json::{Value, json};

use crate::checkpoint::{self, Progress};
use crate::config::{MicroBatch, OptimizerConfig};
use crate::error::TrainError;
use crate::observer::{Estimate, EvaluationReport, Event, Observer, Summary};
use crate::optimizer::{AdamW, ParameterRule};
use crate::prepare::peak_memory;
use crate::profile::Profile;
use crate::run_dir::{DirectoryPolicy, RunDirectory};
use crate::tasks::Task;
use crate::team::is_collective;
use crate::trainer::Trainer;

/// A run directory that is yet to be made, and what is written into it before the first step.
#[derive(Debug)]
pub(crate) struct Launch {
    pub policy: DirectoryPolicy,
    pub directory: RunDirectory,
    /// `config.toml`.
    pub config: String,
    /// `environment.json`.
    pub environment: Value,
    pub summary: Summary,
}

/// What a run ended with.
pub(crate) struct Finished {
    pub model: PathBuf,
    pub steps: u64,
    pub seconds: f64,
    pub best: Option<EvaluationReport>,
    pub profile: Option<Profile>,
}

/// How the entry among a run's data begins that says which tokenizer reads them.
pub(crate) const TOKENIZER: &str = "tokenizer ";

/// A model, and optimizer and progress if a checkpoint had them.
type Restored<M> = (M, Option<(AdamW, Progress)>);

/// Takes up the newest checkpoint: weights, and with them optimizer and progress. If there is none
/// yet, the model stays as it is, and the run begins anew, to the same end.
pub(crate) fn restore<T: Task>(
    directory: &RunDirectory,
    task: &T,
    model: T::Model,
    optimizer: &OptimizerConfig,
    data: &[String],
) -> Result<Restored<T::Model>, TrainError> {
    let Some((name, progress)) = checkpoint::newest(directory)? else {
        return Ok((model, None));
    };
    if progress.data != data {
        let mut pairs = progress.data.iter().zip(data);
        let what = match pairs.find(|(before, now)| before != now) {
            Some((_, now)) if now.starts_with(TOKENIZER) => "the tokenizer has changed",
            _ => "the data files have changed",
        };
        return Err(TrainError::ResumeMismatch {
            path: directory.path().into(),
            reason: format!("{what} since the run began"),
        });
    }
    let model = checkpoint::load_model(directory, &name, model, task.naming())?;
    // Loading makes every parameter trainable again.
    let model = freeze(model, |path| task.rule(path));
    let skipped = progress.loss_scale.as_ref().map_or(0, |s| s.skipped);
    let updates = progress.step - skipped;
    let optimizer = checkpoint::load_optimizer(directory, &name, optimizer, updates)?;
    Ok((model, Some((optimizer, progress))))
}

/// Lets the parameters whose rate is 0 take no part in the backward pass.
pub(crate) fn freeze<M: Module>(model: M, rules: impl Fn(&str) -> ParameterRule) -> M {
    struct Mapper<R> {
        path: Vec<String>,
        rules: R,
    }
    impl<R: Fn(&str) -> ParameterRule> ModuleMapper for Mapper<R> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let frozen = (self.rules)(&self.path.join(".")).rate_factor == 0.0;
            if frozen {
                param.set_require_grad(false)
            } else {
                param
            }
        }
    }
    model.map(&mut Mapper {
        path: Vec::new(),
        rules,
    })
}

/// The settings that differ between two configurations of a run, as sentences; `None` if none does.
/// Both are TOML; keys whose change does not matter are left out by the caller.
pub(crate) fn differences(started: &str, now: &str) -> Option<String> {
    let flat = |text: &str| -> Vec<(String, String)> {
        text.lines()
            .scan(String::new(), |table, line| {
                if line.starts_with('[') {
                    *table = line.trim_matches(['[', ']']).to_owned() + ".";
                }
                Some(
                    line.split_once(" = ")
                        .map(|(k, v)| (format!("{table}{k}"), v.to_owned())),
                )
            })
            .flatten()
            .collect()
    };
    let (old, new) = (flat(started), flat(now));
    let value = |all: &[(String, String)], key: &str| {
        all.iter()
            .find(|(k, _)| k == key)
            .map_or_else(|| "not set".to_owned(), |(_, v)| v.clone())
    };
    let mut keys: Vec<&String> = old.iter().chain(&new).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let changed: Vec<String> = keys
        .into_iter()
        .map(|key| (key, value(&old, key), value(&new, key)))
        .filter(|(_, before, now)| before != now)
        .map(|(key, before, now)| format!("`{key}` was {before} and is {now} now"))
        .collect();
    (!changed.is_empty()).then(|| changed.join("; "))
}

/// Refuses to take up a run under other settings, or one that is finished.
pub(crate) fn check_resumable(
    directory: &RunDirectory,
    started: &str,
    now: &str,
) -> Result<(), TrainError> {
    let mismatch = |reason: String| TrainError::ResumeMismatch {
        path: directory.path().into(),
        reason,
    };
    if let Some(changed) = differences(started, now) {
        return Err(mismatch(changed));
    }
    if directory.model().is_dir() {
        return Err(mismatch(format!(
            "the run is finished, its model is {}",
            directory.model().display()
        )));
    }
    Ok(())
}

/// The devices of a run: the one of the weights that are kept, and those that share the work.
#[derive(Debug)]
pub(crate) struct Devices {
    pub first: ResolvedDevice,
    pub more: Vec<ResolvedDevice>,
}

/// Where a training loop computes.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The device of the weights that are evaluated and kept.
    pub device: Device,
    /// Where the same weights learn from other micro-batches.
    pub more: Vec<Device>,
    /// How the models are computed.
    pub context: Context<'static>,
    /// Whether the time of each part is measured.
    pub profile: bool,
}

impl Place {
    /// All devices, the first one first.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        std::iter::once(&self.device).chain(&self.more)
    }
}

impl Devices {
    /// Those of a configuration, which have that precision all of them.
    pub fn of(names: &str, precision: Precision) -> Result<Self, TrainError> {
        let list: DeviceList =
            names
                .parse()
                .map_err(|error: ParseDeviceError| TrainError::Setting {
                    message: error.to_string(),
                    hint: "use `--device auto`".into(),
                })?;
        let mut all = list.resolve()?;
        for device in &all {
            context(device, precision)?;
        }
        let first = all.remove(0);
        Ok(Self { first, more: all })
    }

    /// The first for training.
    pub fn training(&self) -> Device {
        self.first.device.clone().autodiff()
    }

    /// Where and how the loop computes.
    ///
    /// # Errors
    /// A device does not support the precision.
    pub fn place(
        &self,
        precision: Precision,
        gradient_checkpointing: bool,
        profile: bool,
    ) -> Result<Place, TrainError> {
        Ok(Place {
            device: self.training(),
            more: self.more.iter().map(|more| more.device.clone()).collect(),
            context: context(&self.first, precision)?
                .with_gradient_checkpointing(gradient_checkpointing),
            profile,
        })
    }

    /// Their names; of several, how gradients come from one to the other.
    pub fn describe(&self) -> String {
        if self.more.is_empty() {
            return self.first.describe();
        }
        let all = || std::iter::once(&self.first).chain(&self.more);
        let names: Vec<String> = all().map(ResolvedDevice::describe).collect();
        let devices: Vec<Device> = all().map(|one| one.device.clone()).collect();
        let way = if is_collective(&devices) {
            "NCCL"
        } else {
            "the host's memory"
        };
        format!("{}; gradients summed through {way}", names.join(" and "))
    }
}

/// The context of evaluation on `device` in that precision.
///
/// # Errors
/// The device does not support the precision.
pub(crate) fn context(
    device: &ResolvedDevice,
    precision: Precision,
) -> Result<Context<'static>, TrainError> {
    let matmul = precision.on(&device.device);
    let matmul = matmul.map_err(|error| TrainError::Setting {
        message: format!("{error} ({})", device.name),
        hint: "use `--precision f32`, which every device has, or another device".into(),
    })?;
    Ok(Context::default().with_matmul_precision(matmul))
}

/// Where a finished model predicts, and in which precision.
#[derive(Debug)]
pub(crate) struct Inference {
    /// The device of its weights.
    pub device: ResolvedDevice,
    /// How the model is computed.
    pub context: Context<'static>,
}

impl Inference {
    /// On that device, in f32.
    pub fn on(device: DeviceSpec) -> Result<Self, TrainError> {
        let device = device.resolve()?;
        let context = context(&device, Precision::F32)?;
        Ok(Self { device, context })
    }

    /// In another precision from now on.
    pub fn set(&mut self, precision: Precision) -> Result<(), TrainError> {
        self.context = context(&self.device, precision)?;
        Ok(())
    }
}

/// Refuses a micro-batch that is yet to be found.
pub(crate) fn settled(micro_batch: Option<MicroBatch>) -> Result<(), TrainError> {
    if micro_batch == Some(MicroBatch::Auto) {
        return Err(TrainError::Setting {
            message: "the micro-batch is to be found first, by trials".into(),
            hint: "give a number of rows with --micro-batch".into(),
        });
    }
    Ok(())
}

/// What a run says of its precision, if it is not the usual one.
pub(crate) fn precision_line(devices: &Devices, precision: Precision) -> Option<(String, String)> {
    let emulated = if is_cpu(&devices.first.device) {
        "; the CPU rounds and multiplies in f32, slower than f32 alone"
    } else {
        ""
    };
    (precision != Precision::F32).then(|| {
        let text = format!("{precision} products, all else f32{emulated}");
        ("precision".into(), text)
    })
}

/// What is written to `environment.json`; `data` are files with their SHA-256.
pub(crate) fn environment<'a>(
    devices: &Devices,
    precision: Precision,
    seed: u64,
    data: impl Iterator<Item = (&'a Path, &'a str)>,
    command: &[String],
) -> Value {
    let files: Vec<_> = data
        .map(|(path, hash)| json!({"path": path, "sha256": hash}))
        .collect();
    json!({
        "bertkit": env!("CARGO_PKG_VERSION"),
        "commit": env!("BERTKIT_COMMIT"),
        "burn": "0.22.1",
        "device": devices.describe(),
        "precision": precision,
        "threads": rayon::current_num_threads(),
        "seed": seed,
        "data": files,
        "command": command,
    })
}

/// Tokens a second and memory, from two timed steps on a copy of the model (after one that warms up).
///
/// `whole` gives the seconds that the run will take at a number of tokens a second.
pub(crate) fn estimate<T: Task>(
    mut trainer: Trainer<'_, T>,
    model: T::Model,
    parameters: usize,
    whole: impl FnOnce(f64) -> f64,
) -> Result<Estimate, TrainError> {
    let task = trainer.task;
    let stage = task.stage(0, 0.0);
    let pass = task.pass(stage, 0)?;
    let batches = task.batches(&pass);
    let accumulation = task.accumulation(stage);
    let split = trainer.split();
    let (mut seconds, mut tokens) = (0.0, 0);
    let mut next_batch = 0;
    let groups = (0..3).map(|_| {
        let last = (next_batch + accumulation).min(batches);
        let group = (next_batch..last).flat_map(|n| split.micro_batches(task, &pass, n));
        let group = group.collect();
        next_batch = if last == batches { 0 } else { last };
        group
    });
    let mut warm = false;
    trainer.updates(model, groups, |update, of_update| {
        if warm {
            seconds += of_update;
            tokens += update.tokens;
        }
        warm = true;
    })?;
    let rate = tokens as f64 / f64::max(seconds, 1e-9);
    // Weights, gradients and two moments, in f32, are the least.
    let least = parameters as u64 * 16;
    Ok(Estimate {
        seconds: whole(rate),
        tokens_per_second: rate,
        memory_bytes: peak_memory().unwrap_or(0).max(least),
    })
}

/// The most rows that any batch has, of those that are looked at.
pub(crate) fn most_rows<T: Task>(task: &T) -> Result<usize, TrainError> {
    let mut most = 1;
    for stage in 0..=task.stage(u64::MAX, 1.0) {
        let pass = task.pass(stage, 0)?;
        let batches = task.batches(&pass).min(LOOKED_AT);
        let rows = (0..batches).map(|number| task.rows(&pass, number));
        most = most.max(rows.max().unwrap_or(1));
    }
    Ok(most)
}

/// Batches of a pass that are looked at to find the largest.
const LOOKED_AT: usize = 512;

/// Two updates on the micro-batches that need the most memory, of those that are looked at.
pub(crate) fn try_largest<T: Task>(
    mut trainer: Trainer<'_, T>,
    model: T::Model,
) -> Result<(), TrainError> {
    let (task, split) = (trainer.task, trainer.split());
    let devices = 1 + split.more_devices;
    let last = task.stage(u64::MAX, 1.0);
    let passes: Vec<T::Pass> = (0..=last)
        .map(|stage| task.pass(stage, 0))
        .collect::<Result<_, _>>()?;
    // Activations grow with the tokens, attention with rows times the square of the longest.
    let mut largest = [(0, 0, 0); 2];
    for (stage, pass) in passes.iter().enumerate() {
        for number in 0..task.batches(pass).min(LOOKED_AT) {
            for batch in split.micro_batches(task, pass, number) {
                let sizes = [task.tokens(&batch), task.attended(&batch)];
                for (largest, size) in largest.iter_mut().zip(sizes) {
                    *largest = (*largest).max((size, stage, number));
                }
            }
        }
    }
    let groups = largest.into_iter().map(|(_, stage, number)| {
        let mut batches = split.micro_batches(task, &passes[stage], number);
        // One for each device is what is there at once.
        let start = (0..batches.len())
            .max_by_key(|&i| (task.tokens(&batches[i]), task.attended(&batches[i])))
            .unwrap_or(0);
        let start = start.min(batches.len().saturating_sub(devices));
        batches.drain(start..).take(devices).collect()
    });
    let model = trainer.updates(model, groups, |_, _| ())?;
    // Handed over is not done.
    drop(model);
    for device in trainer.place.devices() {
        device.sync().map_err(|error| TrainError::Setting {
            message: format!("the device gave up: {error}"),
            hint: "use a smaller --micro-batch".into(),
        })?;
    }
    Ok(())
}

impl Launch {
    /// Trains to the end and writes the model; the trainer is made of the task, which settles its
    /// last choices afterwards.
    pub fn run<T: Task>(
        self,
        task: &mut T,
        model: T::Model,
        trainer: impl FnOnce(&T) -> Trainer<'_, T>,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<Finished, TrainError> {
        if self.policy == DirectoryPolicy::DryRun {
            return Err(TrainError::Setting {
                message: "a dry run does not train".into(),
                hint: "leave --dry-run out".into(),
            });
        }
        let existed = self.directory.path().exists();
        if let Err(error) = self.begin() {
            if self.policy != DirectoryPolicy::Resume {
                self.directory.abandon(existed);
            }
            return Err(error);
        }
        let directory = &self.directory;
        let mut trainer = trainer(task);
        let context = trainer.place.context;
        observer.event(&Event::Started {
            summary: self.summary.clone(),
            from_step: trainer.progress.step,
        });
        let (model, best) = trainer.run(model, directory, observer, interrupt)?;
        let (steps, seconds) = (trainer.progress.step, trainer.progress.seconds);
        let profile = trainer.watch.as_ref().map(|watch| watch.profile);

        let folder = task.export(model.valid(), directory, context)?;
        directory.rotate_checkpoints(0, &[])?;
        for pointer in ["latest", "best"] {
            let _ = std::fs::remove_file(directory.path().join("checkpoints").join(pointer));
        }
        let _ = std::fs::remove_dir(directory.path().join("checkpoints"));
        observer.event(&Event::Finished {
            model: folder.clone(),
            seconds,
        });
        Ok(Finished {
            model: folder,
            steps,
            seconds,
            best,
            profile,
        })
    }

    /// Makes the directory, and writes into it what is known before the first step.
    fn begin(&self) -> Result<(), TrainError> {
        self.directory.create(self.policy)?;
        self.directory.sweep()?;
        self.directory.write("config.toml", &self.config)?;
        let environment = format!("{:#}\n", self.environment);
        self.directory.write("environment.json", &environment)
    }
}
