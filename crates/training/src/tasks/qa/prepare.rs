//! Prepares a run of extractive question answering.

use std::collections::HashSet;
use std::path::Path;

use bertkit_data::examples::MissingPolicy;
use bertkit_data::qa::Question;
use bertkit_data::sources::questions::{QuestionOptions, read_questions};
use bertkit_data::splits;
use bertkit_evaluation::TaskKind as PredictionKind;
use bertkit_model::heads::{Answerable, JointSpan};
use bertkit_model::{EncoderConfig, Initializer, ModelError, SpanModel};
use burn::module::Module;
use burn::tensor::Device;

use super::folds::of_questions;
use super::info::{QuestionInfo, question_options};
use super::task::{QuestionRows, QuestionTask};
use crate::config::{FinetuneConfig, QuestionHead};
use crate::engine::observer::{Event, Observer, Summary};
use crate::engine::param_groups::freeze;
use crate::engine::task::Task;
use crate::error::{TrainError, setting};
use crate::run::context::{RunContext, TextEncoder};
use crate::run::finetune::{FinetuneRun, total_steps};
use crate::run::selection::selection_metric;
use crate::run::summary::{chooser_line, model_line, running_lines};
use crate::run::tables::read_options;
use crate::tasks::folds;

/// The questions of a file that have a known answer; notes about the others go to the observer.
fn read(
    path: &Path,
    options: &QuestionOptions,
    observer: &mut dyn Observer,
) -> Result<Vec<Question>, TrainError> {
    let read = read_questions(path, options)?;
    let mut note = |text: String| {
        observer.event(&Event::Note(format!("{}: {text}", path.display())));
    };
    if let Some(repairs) = read.repairs.summary() {
        note(repairs);
    }
    let all = read.items.len();
    let mut questions = read.items;
    questions.retain(|question| question.labelled);
    if questions.is_empty() {
        return Err(setting(
            format!("no question of `{}` says what is right", path.display()),
            "give a file with answers, or name their column with [task.qa.answer]",
        ));
    }
    if questions.len() < all {
        let left = all - questions.len();
        note(format!(
            "{left} of {all} questions say nothing of what is right: left out"
        ));
    }
    Ok(questions)
}

/// Holds out whole texts with all their questions for validation, unless there is a validation file.
fn split(
    config: &FinetuneConfig,
    questions: Vec<Question>,
) -> Result<(Vec<Question>, Vec<Question>), TrainError> {
    let fraction = config.data.valid_fraction;
    if config.data.valid.is_some() || fraction == 0.0 {
        return Ok((questions, Vec::new()));
    }
    let texts: Vec<&str> = questions.iter().map(|q| &*q.context).collect();
    let split = splits::grouped(&texts, None, fraction, config.seed)?;
    let held: HashSet<usize> = split.held_out.into_iter().collect();
    let numbered = questions.into_iter().enumerate();
    let (held_out, train): (Vec<_>, Vec<_>) = numbered.partition(|(row, _)| held.contains(row));
    let questions = |part: Vec<(usize, Question)>| part.into_iter().map(|(_, q)| q).collect();
    Ok((questions(train), questions(held_out)))
}

/// Reads the questions, and prepares tokenizer, windows, model and task.
pub(crate) fn prepare(
    mut context: RunContext,
    observer: &mut dyn Observer,
) -> Result<FinetuneRun, TrainError> {
    let config = context.config.clone();
    let settings = config.task.qa.clone().unwrap_or_default();
    let strict = config.data.missing == MissingPolicy::Refuse;
    let options = question_options(read_options(&config.data)?, &settings, strict);
    let train_path = config.data.train.clone().unwrap_or_default();
    let questions = read(&train_path, &options, observer)?;
    let questions = match config.data.fold {
        None => questions,
        Some(fold) => {
            let split = of_questions(fold, &questions)?;
            let line = fold.line(split.held_out.len(), questions.len(), "questions");
            context.lines.push(line);
            folds::choose(questions, &split.train)
        }
    };
    let (train, mut valid) = split(&config, questions)?;
    if let Some(path) = &config.data.valid {
        valid = read(path, &options, observer)?;
    }

    let TextEncoder {
        tokenizer,
        mut encoder,
        max_length,
    } = context.text_encoder(tokenizer_texts(&train), observer)?;

    let unanswerable = |questions: &[Question]| questions.iter().any(|q| q.impossible);
    let some_without = unanswerable(&train) || unanswerable(&valid);
    let choose_threshold = some_without && settings.null_threshold.is_none() && !valid.is_empty();
    let mut info = QuestionInfo::new(max_length, settings, config.data.header);
    if some_without && info.settings.null_threshold.is_none() {
        info.settings.null_threshold = Some(0.0);
        info.null_threshold_origin = "0, as there are no validation questions to choose by".into();
    }
    let train = QuestionRows::new(train, &tokenizer, &info.features())?;
    let valid = QuestionRows::new(valid, &tokenizer, &info.features())?;
    if train.windows.is_empty() {
        return Err(setting(
            format!(
                "nobody knows where the answers of `{}` are in their texts",
                train_path.display()
            ),
            "correct the answers, or say where they begin in the column of [task.qa.start]",
        ));
    }
    let metric_task = match valid.questions.iter().any(|q| q.impossible) {
        true => PredictionKind::AnswersOrNone,
        false => PredictionKind::Answers,
    };
    let best_metric = selection_metric(&config, metric_task)?;
    check_validation(&config, &valid)?;
    // The head has two outputs, regardless of the classes in the checkpoint.
    encoder.labels = None;
    encoder.num_labels = None;
    encoder.problem_type = None;
    let device = context.devices.training();
    let mut model: SpanModel = context.model(&encoder, 0, true, &device)?;
    if info.settings.head == QuestionHead::Joint {
        model.head.joint = Some(joint(&mut context, &encoder, some_without, &device)?);
    }
    let task = QuestionTask {
        info,
        model_config: encoder,
        tokenizer,
        train,
        valid,
        choose_threshold,
        best_metric,
        seed: config.seed,
        training: config.training.clone(),
        layer_decay: config.optimizer.layer_decay,
    };
    let model = freeze(model, |path| task.param_group(path));
    let summary = summarise(&mut context, &task, &model)?;
    context.finish(task, model, summary)
}

/// The texts that a tokenizer is trained on: each context once, then the questions, in the order of the file, so that the
/// vocabulary is the same each time.
fn tokenizer_texts(questions: &[Question]) -> impl Iterator<Item = &str> {
    let mut seen = HashSet::new();
    let new = move |question: &&Question| seen.insert(question.context.as_ptr());
    let contexts = questions.iter().filter(new);
    let contexts = contexts.map(|question| &*question.context);
    contexts.chain(questions.iter().map(|question| question.question.as_str()))
}

/// Refuses settings that need validation questions if there are none.
fn check_validation(config: &FinetuneConfig, valid: &QuestionRows) -> Result<(), TrainError> {
    let give = "give some with [data.valid=FILE] or [data.valid_fraction=0.1]";
    if valid.questions.is_empty() && config.training.early_stopping > 0 {
        return Err(setting(
            "early stopping is decided on validation questions, and there are none",
            give,
        ));
    }
    if valid.questions.is_empty() && config.training.best_metric.is_some() {
        return Err(setting(
            "the best weights are chosen on validation questions, and there are none",
            give,
        ));
    }
    Ok(())
}

/// The head that scores ends given starts: loaded from the model folder, or fresh; `some_without` is whether some questions
/// have no answer.
fn joint(
    context: &mut RunContext,
    encoder: &EncoderConfig,
    some_without: bool,
    device: &Device,
) -> Result<JointSpan, TrainError> {
    let h = encoder.hidden_size;
    // A different seed: with that of the run, the same numbers would be drawn as for the other weights.
    let seed = context.config.seed ^ 0x7019_7b0e;
    let mut init = Initializer::added(device, seed, encoder.initializer_range);
    let fresh = JointSpan::new(h, some_without, &mut init);
    let folder = context.folder.as_ref();
    let known = folder.map(|folder| JointSpan::read(&folder.checkpoint, h, &init));
    let Some(mut known) = known.transpose().map_err(ModelError::from)?.flatten() else {
        return Ok(fresh);
    };
    context.mark_as_used("joint.");
    let answerable: Option<Answerable> = match some_without {
        true => known.answerable.or(fresh.answerable),
        false => None,
    };
    known.answerable = answerable;
    Ok(known)
}

fn summarise(
    context: &mut RunContext,
    task: &QuestionTask,
    model: &SpanModel,
) -> Result<Summary, TrainError> {
    let config = context.config.clone();
    let steps = total_steps(task, &config.training)?;
    let rows = &task.train;
    let tokens: u64 = rows.lengths.iter().map(|&n| n as u64).sum();
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut say = |name: &str, text: String| lines.push((name.into(), text));
    let without = rows.questions.iter().filter(|q| q.impossible).count();
    let some = match without {
        0 => String::new(),
        n => format!("; {n} of the training questions have no answer"),
    };
    let head = match task.info.settings.head {
        QuestionHead::Linear => "",
        QuestionHead::Joint => ", ends scored after starts",
    };
    say("task", format!("answers found in texts{head}{some}"));
    let train = config.data.train.as_deref().unwrap_or(Path::new(""));
    let cut = match rows.features.shortened() {
        0 => String::new(),
        n => format!(
            "; {n} questions cut at {} tokens",
            task.info.settings.max_question_length
        ),
    };
    say(
        "training rows",
        format!(
            "{} questions from {} in {} windows, {tokens} tokens, {:.1} a window{cut}",
            rows.questions.len(),
            train.display(),
            rows.windows.len(),
            tokens as f64 / rows.windows.len() as f64,
        ),
    );
    let valid = match (&config.data.valid, task.valid.questions.len()) {
        (_, 0) => "none: the last weights are kept, and nothing is chosen by validation".to_owned(),
        (Some(path), n) => format!("{n} questions from {}", path.display()),
        (None, n) => format!("{n} questions held out, whole texts"),
    };
    say("validation rows", valid);
    let parameters = model.num_params();
    lines.push(model_line(&config, &task.model_config, parameters));
    lines.append(&mut context.lines);
    lines.extend(running_lines(&config, &context.devices, steps));
    if !task.valid.questions.is_empty() {
        lines.push(chooser_line(task.best_metric));
    }
    Ok(Summary {
        lines,
        train_rows: rows.windows.len(),
        valid_rows: task.valid.questions.len(),
        parameters,
        steps,
        tokens_per_epoch: tokens,
    })
}
