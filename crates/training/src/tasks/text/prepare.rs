//! Prepares a run that learns classes, several labels or a number for each text.

use std::path::Path;

use bertkit_data::examples::RawExample;
use bertkit_data::labels::LabelKind;
use bertkit_data::relations::MarkStyle;
use bertkit_data::tokenizer::TextTokenizer;
use bertkit_model::heads::SectionAttention;
use bertkit_model::{EncoderConfig, Initializer, ModelError, ProblemType, SequenceModel};
use burn::module::Module;
use burn::tensor::Device;

use super::data::{Inputs, fold_rows, read_inputs, split};
use super::info::{DocumentInfo, TaskInfo};
use super::labels::{
    Labels, check_averaged, check_calibration, check_loss, check_threshold, class_weights,
    infer_labels, mean_and_deviation, targets, thresholds,
};
use super::rows::{Rows, Targets};
use super::task::SequenceTask;
use crate::config::{FinetuneConfig, Pool};
use crate::engine::observer::{Event, Observer, Summary};
use crate::engine::param_groups::freeze;
use crate::engine::task::Task;
use crate::error::{TrainError, setting};
use crate::run::context::{RunContext, TextEncoder};
use crate::run::finetune::{FinetuneRun, total_steps};
use crate::run::selection::selection_metric;
use crate::run::summary::{chooser_line, model_line, running_lines};
use bertkit_data::sources::Format;

/// Reads the data, infers the labels, and prepares tokenizer, rows, model and task.
pub(crate) fn prepare(
    mut context: RunContext,
    observer: &mut dyn Observer,
) -> Result<FinetuneRun, TrainError> {
    let config = context.config.clone();
    let path = config.data.train.clone().unwrap_or_default();
    let reads_groups = config.data.fold.is_some()
        || (config.data.valid.is_none() && config.data.valid_fraction > 0.0);
    let inputs = read_inputs(&path, &config, reads_groups, observer)?;
    let labels = infer_labels(&config, &inputs.examples)?;
    let (all, _, _) = targets(&labels, &inputs.examples)?;
    let rows = fold_rows(&mut context, &labels, &inputs.examples, &all, observer)?;
    let (train, held_out) = split(&config, &inputs.examples, &all, rows)?;

    let mut text_encoder = context.text_encoder(inputs.texts(&train), observer)?;
    let mut new_words = 0;
    if let Some(style) = config.data.entities {
        let tokens = marker_tokens(style, &inputs);
        text_encoder.tokenizer = text_encoder.tokenizer.with_added_tokens(&tokens)?;
        let words = text_encoder.tokenizer.vocab_size();
        new_words = words.saturating_sub(text_encoder.encoder.vocab_size);
    }
    let TextEncoder {
        tokenizer,
        mut encoder,
        max_length,
    } = text_encoder;
    check_overlap(&config, max_length)?;

    let outputs = labels.outputs();
    let mut encode = |rows: &[usize]| {
        let targets = all.select(rows, outputs);
        inputs.encode(rows, targets, &tokenizer, max_length, &config, observer)
    };
    let train = encode(&train)?;
    let held_out = encode(&held_out)?;
    let valid = match &config.data.valid {
        None => held_out,
        Some(path) => validation_rows(path, &config, &labels, &tokenizer, max_length, observer)?,
    };

    let scale = match &train.targets {
        Targets::Scores(scores) => mean_and_deviation(scores)?,
        _ => (0.0, 1.0),
    };
    let class_weights = class_weights(&config, &labels, &train.targets)?;
    check_averaged(&config, &labels)?;
    let best_metric = selection_metric(&config, labels.predictions())?;
    check_threshold(&config, labels.predictions(), valid.len())?;
    check_calibration(&config, labels.kind, valid.len())?;
    check_loss(&config, labels.kind, valid.len())?;
    if config.data.group.is_some() && !reads_groups {
        observer.event(&Event::Note(
            "`data.group` is not used: no rows are held out of the training file".into(),
        ));
    }

    let info = info(&config, &labels, max_length);
    let model = model(&mut context, &mut encoder, &labels, new_words)?;
    let task = SequenceTask {
        info,
        model_config: encoder,
        tokenizer,
        train,
        valid,
        class_weights,
        loss: config.task.loss.clone(),
        threshold: config.task.threshold,
        calibrate: config.task.calibrate,
        best_metric,
        scale,
        seed: config.seed,
        training: config.training.clone(),
        layer_decay: config.optimizer.layer_decay,
        piece_tokens: config
            .task
            .documents
            .as_ref()
            .map_or(usize::MAX, |settings| settings.piece_tokens),
    };
    let model = freeze(model, |path| task.param_group(path));
    let summary = summarise(&mut context, &task, &model, &labels)?;
    context.finish(task, model, summary)
}

/// The marker tokens for the largest number of entities in a text, at least two.
fn marker_tokens(style: MarkStyle, inputs: &Inputs) -> Vec<String> {
    let text = |row: &RawExample| row.text.clone();
    let texts: Vec<String> = match &inputs.documents {
        Some(documents) => documents.concat(),
        None => inputs.examples.rows.iter().map(text).collect(),
    };
    let shown = |tokens: &[String]| tokens.iter().any(|t| texts.iter().any(|x| x.contains(t)));
    let mut entities = 2;
    while shown(&style.tokens(entities + 1)[style.tokens(entities).len()..]) {
        entities += 1;
    }
    style.tokens(entities)
}

/// Refuses an overlap of sections that leaves no room for new tokens.
fn check_overlap(config: &FinetuneConfig, max_length: usize) -> Result<(), TrainError> {
    let Some(settings) = &config.task.documents else {
        return Ok(());
    };
    // Two or three are special tokens; a window must advance.
    let room = max_length.saturating_sub(2);
    if settings.overlap >= room {
        return Err(setting(
            format!(
                "neighbouring sections are to share {} tokens, but a section has room for {room}",
                settings.overlap
            ),
            "lower [task.documents.overlap], or raise [data.max_length]",
        ));
    }
    Ok(())
}

/// The rows of a validation file whose labels occur in training.
fn validation_rows(
    path: &Path,
    config: &FinetuneConfig,
    labels: &Labels,
    tokenizer: &TextTokenizer,
    max_length: usize,
    observer: &mut dyn Observer,
) -> Result<Rows, TrainError> {
    let inputs = read_inputs(path, config, false, observer)?;
    let (targets, rows, unseen) = targets(labels, &inputs.examples)?;
    if let Some(unseen) = unseen {
        observer.event(&Event::Note(format!(
            "{}: {unseen}; left out of validation",
            path.display()
        )));
    }
    if rows.is_empty() {
        return Err(setting(
            format!(
                "no row of `{}` has a label that training knows",
                path.display()
            ),
            "check that both files use the same labels and columns",
        ));
    }
    // `targets` holds only these rows.
    inputs.encode(&rows, targets, tokenizer, max_length, config, observer)
}

/// The description written next to the weights.
fn info(config: &FinetuneConfig, labels: &Labels, max_length: usize) -> TaskInfo {
    let (thresholds, threshold_origin) = thresholds(config, labels);
    TaskInfo {
        kind: labels.kind,
        classes: labels.names(),
        positive: labels.positive,
        thresholds,
        threshold_origin,
        temperature: None,
        max_length,
        text: config.data.text.clone(),
        text_pair: config.data.text_pair.clone(),
        label: config.data.label.clone(),
        label_separator: config.data.label_separator.clone(),
        header: config.data.header,
        documents: config.task.documents.as_ref().map(|settings| DocumentInfo {
            pool: settings.pool,
            sections: settings.policy(),
            group_by: config.data.group_by.clone(),
        }),
        entities: config.data.entities,
        relations: config.data.format == Some(Format::Relations),
        averaged: config.task.averaged.clone(),
    }
}

/// The model that the run starts from; adds the labels and `new_words` words to `encoder`.
fn model(
    context: &mut RunContext,
    encoder: &mut EncoderConfig,
    labels: &Labels,
    new_words: usize,
) -> Result<SequenceModel, TrainError> {
    let old_labels = encoder.labels.take();
    let names = labels.names();
    encoder.labels = Some(if names.is_empty() {
        vec!["LABEL_0".into()]
    } else {
        names
    });
    encoder.problem_type = Some(match labels.kind {
        LabelKind::Classification => ProblemType::SingleLabelClassification,
        LabelKind::MultiLabel => ProblemType::MultiLabelClassification,
        LabelKind::Regression => ProblemType::Regression,
    });
    encoder.num_labels = None;

    let device = context.devices.training();
    let same_head = old_labels == encoder.labels;
    let mut model: SequenceModel = context.model(encoder, labels.outputs(), same_head, &device)?;
    if new_words > 0 {
        // A different seed: with that of the run, the same numbers would be drawn as for the other weights.
        let seed = context.config.seed ^ 0x6d61_726b;
        let mut init = Initializer::added(&device, seed, encoder.initializer_range);
        model.encoder.embeddings = model
            .encoder
            .embeddings
            .with_more_words(new_words, &mut init);
        encoder.vocab_size += new_words;
        let added = format!("{new_words} tokens added, for markers");
        context.lines.push(("vocabulary".into(), added));
    }
    let documents = context.config.task.documents.as_ref();
    if documents.map(|documents| documents.pool) == Some(Pool::Attention) {
        model.head.sections = Some(section_attention(context, encoder, same_head, &device)?);
    }
    Ok(model)
}

/// Attention weights of sections: those of the model folder if its head is kept, otherwise fresh ones.
fn section_attention(
    context: &mut RunContext,
    encoder: &EncoderConfig,
    same_head: bool,
    device: &Device,
) -> Result<SectionAttention, TrainError> {
    let h = encoder.hidden_size;
    // A different seed: with that of the run, the same numbers would be drawn as for the other weights.
    let seed = context.config.seed ^ 0x5ec7_1045;
    let mut init = Initializer::added(device, seed, encoder.initializer_range);
    let known = match (&context.folder, same_head) {
        (Some(folder), true) => {
            SectionAttention::read(&folder.checkpoint, h, &mut init).map_err(ModelError::from)?
        }
        _ => None,
    };
    if known.is_some() {
        context.mark_as_used("section_attention.");
    }
    Ok(known.unwrap_or_else(|| SectionAttention::new(h, &mut init)))
}

fn summarise(
    context: &mut RunContext,
    task: &SequenceTask,
    model: &SequenceModel,
    labels: &Labels,
) -> Result<Summary, TrainError> {
    let config = &context.config;
    let steps = total_steps(task, &config.training)?;
    let tokens: u64 = task.train.lengths.iter().map(|&n| n as u64).sum();
    let cut = task
        .train
        .encodings
        .iter()
        .filter(|encoding| encoding.truncated)
        .count();
    let sections = task.train.encodings.len();
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut say = |name: &str, text: String| lines.push((name.into(), text));
    let kind = match labels.kind {
        LabelKind::Classification => "classification",
        LabelKind::MultiLabel => "multi-label classification",
        LabelKind::Regression => "regression",
    };
    say("task", format!("{kind} ({})", labels.reason));
    if let Some(positive) = labels.positive {
        say("positive class", task.info.classes[positive].clone());
    }
    let train = config
        .data
        .train
        .as_deref()
        .unwrap_or(Path::new(""))
        .display();
    say(
        "training rows",
        format!(
            "{} from {train}, {} tokens, {:.1} a row{}",
            task.train.len(),
            tokens,
            tokens as f64 / task.train.len().max(1) as f64,
            if cut > 0 {
                format!("; {cut} cut at {} tokens", task.info.max_length)
            } else if task.info.documents.is_some() {
                format!(
                    "; {sections} sections of at most {} tokens",
                    task.info.max_length
                )
            } else {
                String::new()
            }
        ),
    );
    let valid = match (&config.data.valid, task.valid.len()) {
        (_, 0) => "none: the last weights are kept, and nothing is chosen by validation".to_owned(),
        (Some(path), n) => format!("{n} from {}", path.display()),
        (None, n) => match &config.data.group {
            Some(group) => format!("{n} held out, whole groups of `{group}`"),
            None => format!("{n} held out at random, stratified where there are classes"),
        },
    };
    say("validation rows", valid);
    lines.push(model_line(config, &task.model_config, model.num_params()));
    lines.append(&mut context.lines);
    lines.extend(running_lines(config, &context.devices, steps));
    if !task.valid.is_empty() {
        lines.push(chooser_line(task.best_metric));
    }
    Ok(Summary {
        lines,
        train_rows: task.train.len(),
        valid_rows: task.valid.len(),
        parameters: model.num_params(),
        steps,
        tokens_per_epoch: tokens,
    })
}
