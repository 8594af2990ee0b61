//! The stages of a run: parts with their own sequence length and batch size.

use bertkit_data::pretraining::sequences::SequenceSettings;

use crate::config::pretrain::PretrainingConfig;
use crate::engine::schedule::Length;

/// A part of a run with its own sequence length and batch size.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Where it ends.
    pub end: End,
    pub settings: SequenceSettings,
    pub batch_size: usize,
    pub accumulation: usize,
}

/// Where a stage ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// After this many updates of the run.
    Step(u64),
    /// At this share of the run's time.
    Share(f64),
}

/// The consecutive stages of a run of this length; at least one.
pub(crate) fn stages(
    training: &PretrainingConfig,
    settings: &SequenceSettings,
    length: Length,
) -> Vec<Stage> {
    let (mut steps, mut share) = (0, 0.0);
    let mut stages: Vec<Stage> = training
        .stages
        .iter()
        .map(|stage| {
            steps += stage.steps.unwrap_or(0);
            share += stage.share.unwrap_or(0.0);
            let end = match (length, stage.steps) {
                (_, Some(_)) => End::Step(steps),
                (Length::Steps(all), None) => End::Step((all as f64 * share).round() as u64),
                (Length::Seconds(_), None) => End::Share(share),
            };
            Stage {
                end,
                settings: SequenceSettings {
                    max_length: stage.max_length.unwrap_or(settings.max_length),
                    ..settings.clone()
                },
                batch_size: stage.batch_size.unwrap_or(training.batch_size),
                accumulation: stage
                    .gradient_accumulation
                    .unwrap_or(training.gradient_accumulation),
            }
        })
        .collect();
    if stages.is_empty() {
        stages.push(Stage {
            end: End::Share(1.0),
            settings: settings.clone(),
            batch_size: training.batch_size,
            accumulation: training.gradient_accumulation,
        });
    }
    stages
}
