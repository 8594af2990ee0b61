//! Prepares a run of multiple choice.

use std::path::Path;

use bertkit_data::sources::read_table;
use bertkit_data::splits;
use bertkit_evaluation::TaskKind as PredictionKind;
use bertkit_model::{ChoiceModel, EncoderConfig};
use burn::module::Module;

use super::config::ChoiceConfig;
use super::data::{ChoiceRow, Reading, label_style, labels, resolve_columns};
use super::info::{ChoiceInfo, LabelStyle};
use super::rows::EncodedRows;
use super::task::ChoiceTask;
use crate::config::FinetuneConfig;
use crate::engine::observer::{Event, Observer, Summary};
use crate::engine::param_groups::freeze;
use crate::engine::task::Task;
use crate::error::TrainError;
use crate::run::context::{RunContext, TextEncoder};
use crate::run::finetune::{FinetuneRun, total_steps};
use crate::run::selection::{check_validation, selection_metric};
use crate::run::summary::{chooser_line, model_line, running_lines};
use crate::run::tables::read_options;
use crate::tasks::folds;
use crate::tasks::kind::TaskKind;

/// Reads the tables, and prepares tokenizer, rows, model and task.
pub(crate) fn prepare(
    mut context: RunContext,
    observer: &mut dyn Observer,
) -> Result<FinetuneRun, TrainError> {
    let config = context.config.clone();
    let settings = config.task.choice.clone().unwrap_or_default();
    let path = config.data.train.clone().unwrap_or_default();
    let reads_groups = config.data.fold.is_some()
        || (config.data.valid.is_none() && config.data.valid_fraction > 0.0);
    let (rows, columns) = read(&path, &config, &settings, reads_groups, observer)?;
    let style = label_style(&rows);
    // An error in any row is reported, whether it is used for training or held out.
    labels(&rows, style, &path)?;
    let rows = outside_fold(&mut context, rows)?;
    let (train, mut valid) = split(&config, rows)?;
    if let Some(path) = &config.data.valid {
        valid = read(path, &config, &columns, false, observer)?.0;
    }
    check_validation(&config, valid.len())?;
    let best_metric = selection_metric(&config, PredictionKind::Choices)?;

    let texts: Vec<(String, String)> = train.iter().flat_map(ChoiceRow::texts).collect();
    let texts = texts.iter().flat_map(|(a, b)| [a.as_str(), b.as_str()]);
    let TextEncoder {
        tokenizer,
        mut encoder,
        max_length,
    } = context.text_encoder(texts, observer)?;
    let train_labels = labels_among_choices(&train, style, &path)?;
    let file = config.data.valid.as_ref().unwrap_or(&path);
    let valid_labels = labels_among_choices(&valid, style, file)?;
    let train = EncodedRows::new(&train, &tokenizer, max_length)?;
    let valid = EncodedRows::new(&valid, &tokenizer, max_length)?;

    let model = model(&mut context, &mut encoder)?;
    let task = ChoiceTask {
        info: ChoiceInfo {
            task: TaskKind::MultipleChoice,
            max_length,
            columns,
            label: config.data.label.clone(),
            labels: style,
            header: config.data.header,
        },
        model_config: encoder,
        tokenizer,
        train,
        train_labels,
        valid,
        valid_labels,
        best_metric,
        seed: config.seed,
        training: config.training.clone(),
        layer_decay: config.optimizer.layer_decay,
    };
    let model = freeze(model, |path| task.param_group(path));
    let summary = summarise(&mut context, &task, &model)?;
    context.finish(task, model, summary)
}

/// The labelled rows of a file, and its columns.
fn read(
    path: &Path,
    config: &FinetuneConfig,
    columns: &ChoiceConfig,
    group: bool,
    observer: &mut dyn Observer,
) -> Result<(Vec<ChoiceRow>, ChoiceConfig), TrainError> {
    let table = read_table(path, &read_options(&config.data)?)?;
    let columns = resolve_columns(columns, &table)?;
    let reading = Reading {
        columns: &columns,
        label: Some(&config.data.label),
        group: config.data.group.as_deref().filter(|_| group),
        missing: config.data.missing,
    };
    let (rows, dropped) = reading.rows(&table)?;
    if let Some(dropped) = dropped {
        observer.event(&Event::Note(format!("{}: {dropped}", path.display())));
    }
    Ok((rows, columns))
}

/// The rows outside the held-out fold; all rows without a fold.
fn outside_fold(
    context: &mut RunContext,
    rows: Vec<ChoiceRow>,
) -> Result<Vec<ChoiceRow>, TrainError> {
    let data = &context.config.data;
    let Some(fold) = data.fold else {
        return Ok(rows);
    };
    let groups = groups(&rows, data.group.is_some());
    let split = folds::divide(fold, rows.len(), None, groups.as_deref())?;
    let line = fold.line(split.held_out.len(), rows.len(), "rows");
    context.lines.push(line);
    Ok(folds::choose(rows, &split.train))
}

/// The group of each row, if groups are kept together.
pub(crate) fn groups(rows: &[ChoiceRow], grouped: bool) -> Option<Vec<String>> {
    let group = |row: &ChoiceRow| row.group.clone().unwrap_or_default();
    grouped.then(|| rows.iter().map(group).collect())
}

/// Training rows and validation rows.
fn split(
    config: &FinetuneConfig,
    rows: Vec<ChoiceRow>,
) -> Result<(Vec<ChoiceRow>, Vec<ChoiceRow>), TrainError> {
    let (data, fraction) = (&config.data, config.data.valid_fraction);
    if data.valid.is_some() || fraction == 0.0 {
        return Ok((rows, Vec::new()));
    }
    let split = match groups(&rows, data.group.is_some()) {
        Some(groups) => {
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            splits::grouped(&groups, None, fraction, config.seed)?
        }
        None => splits::random(rows.len(), fraction, config.seed)?,
    };
    let those = |places: &[usize]| places.iter().map(|&at| rows[at].clone()).collect();
    Ok((those(&split.train), those(&split.held_out)))
}

/// The correct answer of each row, counted among its non-empty answers.
pub(crate) fn labels_among_choices(
    rows: &[ChoiceRow],
    style: LabelStyle,
    file: &Path,
) -> Result<Vec<usize>, TrainError> {
    let all = labels(rows, style, file)?;
    let among =
        |(row, label): (&ChoiceRow, usize)| row.choices().take_while(|&at| at < label).count();
    Ok(rows.iter().zip(all).map(among).collect())
}

/// The model that the run starts from. A classification head is for another task, and is not kept.
fn model(context: &mut RunContext, encoder: &mut EncoderConfig) -> Result<ChoiceModel, TrainError> {
    let class = encoder.architectures.first();
    let same_head = class.is_some_and(|class| class.ends_with("ForMultipleChoice"));
    encoder.labels = None;
    encoder.num_labels = None;
    encoder.problem_type = None;
    let device = context.devices.training();
    context.model(encoder, 1, same_head, &device)
}

fn summarise(
    context: &mut RunContext,
    task: &ChoiceTask,
    model: &ChoiceModel,
) -> Result<Summary, TrainError> {
    let config = &context.config;
    let steps = total_steps(task, &config.training)?;
    let tokens: u64 = task.train.lengths.iter().map(|&n| n as u64).sum();
    let (rows, answers) = (task.train.len(), task.train.encodings.len());
    let columns = &task.info.columns.answers;
    let cut = match task.train.truncated() {
        0 => String::new(),
        cut => format!("; {cut} cut at {} tokens", task.info.max_length),
    };
    let train = config.data.train.as_deref().unwrap_or(Path::new(""));
    let valid = match (&config.data.valid, task.valid.len()) {
        (_, 0) => "none: the last weights are kept, and nothing is chosen by validation".into(),
        (Some(path), n) => format!("{n} from {}", path.display()),
        (None, n) => match &config.data.group {
            Some(group) => format!("{n} held out, whole groups of `{group}`"),
            None => format!("{n} held out at random"),
        },
    };
    let parameters = model.num_params();
    let labels = task.info.labels.describe(columns.len());
    let mut lines: Vec<(String, String)> = vec![
        ("task".into(), "multiple choice".into()),
        ("answers".into(), columns.join(", ")),
        ("labels".into(), labels),
        (
            "training rows".into(),
            format!(
                "{rows} from {}, {answers} answers, {tokens} tokens, {:.1} a row{cut}",
                train.display(),
                tokens as f64 / rows.max(1) as f64
            ),
        ),
        ("validation rows".into(), valid),
        model_line(config, &task.model_config, parameters),
    ];
    lines.append(&mut context.lines);
    lines.extend(running_lines(config, &context.devices, steps));
    if task.valid.len() > 0 {
        lines.push(chooser_line(task.best_metric));
    }
    Ok(Summary {
        lines,
        train_rows: rows,
        valid_rows: task.valid.len(),
        parameters,
        steps,
        tokens_per_epoch: tokens,
    })
}
