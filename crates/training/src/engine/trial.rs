//! Updates outside of a run: an estimate of time and memory, and a trial of the largest micro-batches.

use crate::engine::observer::Estimate;
use crate::engine::profile::peak_memory;
use crate::engine::task::Task;
use crate::engine::trainer::Trainer;
use crate::error::TrainError;

/// Tokens per second and memory, from two timed updates on a copy of the model, after one to warm up.
///
/// `whole` gives the seconds of the whole run at a number of tokens per second.
///
/// # Errors
/// A number is not finite.
pub(crate) fn estimate<T: Task>(
    mut trainer: Trainer<'_, T>,
    model: T::Model,
    parameters: usize,
    whole: impl FnOnce(f64) -> f64,
) -> Result<Estimate, TrainError> {
    let task = trainer.task;
    let stage = task.stage(0, 0.0);
    let epoch = task.epoch(stage, 0)?;
    let batches = task.batches(&epoch);
    let accumulation = task.accumulation(stage);
    let split = trainer.split();
    let (mut seconds, mut tokens) = (0.0, 0);
    let mut next_batch = 0;
    let groups = (0..3).map(|_| {
        let last = (next_batch + accumulation).min(batches);
        let group = (next_batch..last).flat_map(|n| split.micro_batches(task, &epoch, n));
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
    // The minimum: weights, gradients and two moments in f32.
    let least = parameters as u64 * 16;
    Ok(Estimate {
        seconds: whole(rate),
        tokens_per_second: rate,
        memory_bytes: peak_memory().unwrap_or(0).max(least),
    })
}

/// The largest number of rows in a batch, among the first [`LOOKED_AT`] of each stage.
///
/// # Errors
/// The settings do not fit the data.
pub(crate) fn most_rows<T: Task>(task: &T) -> Result<usize, TrainError> {
    let mut most = 1;
    for stage in 0..=task.stage(u64::MAX, 1.0) {
        let epoch = task.epoch(stage, 0)?;
        let batches = task.batches(&epoch).min(LOOKED_AT);
        let rows = (0..batches).map(|number| task.rows(&epoch, number));
        most = most.max(rows.max().unwrap_or(1));
    }
    Ok(most)
}

/// Batches of an epoch that are searched for the largest.
const LOOKED_AT: usize = 512;

/// Two updates on the micro-batches that need the most memory, among the first [`LOOKED_AT`] of each stage.
///
/// # Errors
/// A number is not finite, or the device fails.
pub(crate) fn try_largest<T: Task>(
    mut trainer: Trainer<'_, T>,
    model: T::Model,
) -> Result<(), TrainError> {
    let (task, split) = (trainer.task, trainer.split());
    let devices = 1 + split.more_devices;
    let last = task.stage(u64::MAX, 1.0);
    let epochs: Vec<T::Epoch> = (0..=last)
        .map(|stage| task.epoch(stage, 0))
        .collect::<Result<_, _>>()?;
    // Activations grow with the tokens, attention with rows times the square of the longest.
    let mut largest = [(0, 0, 0); 2];
    for (stage, epoch) in epochs.iter().enumerate() {
        for number in 0..task.batches(epoch).min(LOOKED_AT) {
            for batch in split.micro_batches(task, epoch, number) {
                let sizes = [task.tokens(&batch), task.attended(&batch)];
                for (largest, size) in largest.iter_mut().zip(sizes) {
                    *largest = (*largest).max((size, stage, number));
                }
            }
        }
    }
    let groups = largest.into_iter().map(|(_, stage, number)| {
        let mut batches = split.micro_batches(task, &epochs[stage], number);
        // As many as are in memory at once: one per device.
        let start = (0..batches.len())
            .max_by_key(|&i| (task.tokens(&batches[i]), task.attended(&batches[i])))
            .unwrap_or(0);
        let start = start.min(batches.len().saturating_sub(devices));
        batches.drain(start..).take(devices).collect()
    });
    let model = trainer.updates(model, groups, |_, _| ())?;
    // Wait until everything that was queued is done.
    drop(model);
    for device in trainer.placement.devices() {
        device.sync().map_err(|error| TrainError::Setting {
            message: format!("the device gave up: {error}"),
            hint: "use a smaller [training.micro_batch]".into(),
        })?;
    }
    Ok(())
}
