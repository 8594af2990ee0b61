//! Prepares a run of named-entity recognition.

use std::path::Path;

use bertkit_data::sources::tagged::{TagPolicy, read_tagged};
use bertkit_data::splits;
use bertkit_data::tagging::alignment::LabelledTokens;
use bertkit_data::tagging::{Scheme, TagSet, TaggedCorpus, TaggedSentence};
use bertkit_evaluation::TaskKind as PredictionKind;
use bertkit_model::heads::Crf;
use bertkit_model::{ModelError, TokenModel};
use burn::module::Module;

use super::folds::documents;
use super::info::{TagColumns, TagInfo};
use super::task::{TagTask, TaggedRows};
use crate::config::{FinetuneConfig, NerConfig, Sampler, TagHead};
use crate::engine::observer::{Event, Observer, Summary};
use crate::engine::param_groups::freeze;
use crate::engine::task::Task;
use crate::error::{TrainError, setting};
use crate::run::context::{RunContext, TextEncoder};
use crate::run::finetune::{FinetuneRun, total_steps};
use crate::run::selection::{check_validation, selection_metric};
use crate::run::summary::{chooser_line, model_line, running_lines};
use crate::tasks::folds;
use crate::tasks::kind::TaskKind;

/// The inverse of the default overlap of windows: a quarter of their length.
const OVERLAP: usize = 4;

/// Reads tagged words; the observer receives notes about repairs and dropped sentences.
fn read(
    path: &Path,
    columns: &TagColumns,
    observer: &mut dyn Observer,
) -> Result<TaggedCorpus, TrainError> {
    let mut corpus = read_tagged(path, &columns.options(TagPolicy::Required)?)?;
    let mut note =
        |what: String| observer.event(&Event::Note(format!("{}: {what}", path.display())));
    if let Some(summary) = corpus.repairs.summary() {
        note(summary);
    }
    let all = corpus.sentences.len();
    corpus
        .sentences
        .retain(|sentence| sentence.entities.is_some());
    if corpus.sentences.len() < all {
        let left = all - corpus.sentences.len();
        note(format!("{left} of {all} sentences left out: no tags"));
    }
    Ok(corpus)
}

/// Splits the sentences outside the held-out fold into training and validation sentences.
fn split(
    context: &mut RunContext,
    corpus: &TaggedCorpus,
) -> Result<(Vec<TaggedSentence>, Vec<TaggedSentence>), TrainError> {
    let data = &context.config.data;
    let by_document = match data.group.as_deref() {
        None => false,
        Some("document") if corpus.documents.is_empty() => {
            return Err(setting(
                format!(
                    "the sentences of `{}` are not divided into documents",
                    corpus.name
                ),
                "leave [data.group] out: sentences are then held out one by one",
            ));
        }
        Some("document") => true,
        Some(other) => {
            return Err(setting(
                format!("`{other}` is nothing that tagged sentences are grouped by"),
                "use [data.group=document], or leave it out",
            ));
        }
    };
    let sentences = &corpus.sentences;
    let documents = by_document.then(|| documents(corpus));
    let rows: Vec<usize> = match data.fold {
        None => (0..sentences.len()).collect(),
        Some(fold) => {
            let all = sentences.len();
            let split = folds::divide(fold, all, None, documents.as_deref())?;
            let line = fold.line(split.held_out.len(), all, "sentences");
            context.lines.push(line);
            split.train
        }
    };
    let those = |rows: &mut dyn Iterator<Item = usize>| -> Vec<TaggedSentence> {
        rows.map(|row| sentences[row].clone()).collect()
    };
    if data.valid.is_some() || data.valid_fraction == 0.0 {
        return Ok((those(&mut rows.into_iter()), Vec::new()));
    }
    let (fraction, seed) = (data.valid_fraction, context.config.seed);
    let split = match documents {
        Some(documents) => {
            let groups: Vec<&str> = rows.iter().map(|&row| documents[row]).collect();
            splits::grouped(&groups, None, fraction, seed)?
        }
        None => splits::random(rows.len(), fraction, seed)?,
    };
    let within = |places: Vec<usize>| those(&mut places.into_iter().map(|at| rows[at]));
    Ok((within(split.train), within(split.held_out)))
}

/// Reads the data, infers the tags, and prepares tokenizer, windows, model and task.
pub(crate) fn prepare(
    mut context: RunContext,
    observer: &mut dyn Observer,
) -> Result<FinetuneRun, TrainError> {
    let config = context.config.clone();
    let ner = config.task.ner.clone().unwrap_or_default();
    if config.training.sampler == Sampler::Balanced {
        return Err(setting(
            "the balanced sampler needs one class a row",
            "use `[training.sampler=shuffle]` for this task",
        ));
    }
    let columns = TagColumns::from(&config.data);
    let path = config.data.train.clone().unwrap_or_default();
    let corpus = read(&path, &columns, observer)?;
    let tags = corpus.tag_set(ner.scheme)?;
    let (train, mut valid) = split(&mut context, &corpus)?;
    if let Some(path) = &config.data.valid {
        let mut corpus = read(path, &columns, observer)?;
        corpus.adopt_type(&tags);
        if let Some(unseen) = corpus.unseen(&tags).summary() {
            observer.event(&Event::Note(format!("{unseen}; scored as missed")));
        }
        valid = corpus.sentences;
    }
    check_validation(&config, valid.len())?;
    let best_metric = selection_metric(&config, PredictionKind::Entities)?;

    let texts = train.iter().map(|sentence| sentence.text.as_str());
    let TextEncoder {
        tokenizer,
        mut encoder,
        max_length,
    } = context.text_encoder(texts, observer)?;
    let info = TagInfo {
        task: TaskKind::Ner,
        scheme: ner.scheme,
        head: ner.head,
        label: ner.label,
        overlap: ner.overlap.unwrap_or(max_length / OVERLAP),
        max_length,
        columns,
        tags,
    };
    let train = TaggedRows::new(train, &info, &tokenizer)?;
    let valid = TaggedRows::new(valid, &info, &tokenizer)?;
    let windows = train.windows.windows.iter().enumerate();
    let learnt: Vec<usize> = windows
        .filter(|(_, window)| window.targets.iter().any(Option::is_some))
        .map(|(at, _)| at)
        .collect();
    if learnt.is_empty() {
        return Err(setting(
            format!("no word of `{}` has a token to learn from", path.display()),
            "the tokenizer drops all of its characters: take another model or tokenizer",
        ));
    }

    let old_labels = encoder.labels.replace(info.tags.names().to_vec());
    encoder.problem_type = None;
    encoder.num_labels = None;
    let device = context.devices.training();
    let same = old_labels == encoder.labels;
    let outputs = info.tags.len();
    let mut model: TokenModel = context.model(&encoder, outputs, same, &device)?;
    if info.head == TagHead::Crf {
        let known = match (&context.folder, same) {
            (Some(folder), true) => {
                Crf::read(&folder.checkpoint, outputs, &device).map_err(ModelError::from)?
            }
            _ => None,
        };
        if known.is_some() {
            context.mark_as_used("crf.");
        }
        model.head.crf = Some(known.unwrap_or_else(|| Crf::zeros(outputs, &device)));
    }
    let task = TagTask {
        info,
        model_config: encoder,
        tokenizer,
        train,
        learnt,
        valid,
        loss: config.task.loss.clone(),
        crf_rate: ner.crf_rate,
        best_metric,
        seed: config.seed,
        training: config.training.clone(),
        layer_decay: config.optimizer.layer_decay,
    };
    let model = freeze(model, |path| task.param_group(path));
    let summary = summarise(&context, &ner, &task, &model)?;
    context.finish(task, model, summary)
}

fn summarise(
    context: &RunContext,
    ner: &NerConfig,
    task: &TagTask,
    model: &TokenModel,
) -> Result<Summary, TrainError> {
    let config = &context.config;
    let steps = total_steps(task, &config.training)?;
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut say = |name: &str, text: String| lines.push((name.into(), text));
    let tags = &task.info.tags;
    let head = match ner.head {
        TagHead::Linear => "a tag for each word by itself",
        TagHead::Crf => "the tags of a sentence together, by a CRF",
    };
    say("task", format!("named entities ({head})"));
    say("entities", entities_line(ner, tags));
    let tokens = task.train_tokens();
    let train = config.data.train.as_deref().unwrap_or(Path::new(""));
    say(
        "training rows",
        format!(
            "{} sentences of {} words from {}, {tokens} tokens{}",
            task.train.sentences.len(),
            words(&task.train),
            train.display(),
            cut_note(&task.train, &task.info)
        ),
    );
    let valid = &task.valid;
    let count = valid.sentences.len();
    say(
        "validation rows",
        validation_line(config, valid, &task.info),
    );
    let lost = task.train.windows.words_without_token + valid.windows.words_without_token;
    if lost > 0 {
        say(
            "words",
            format!("{lost} without a token of their own: tagged as those around them"),
        );
    }
    let parameters = model.num_params();
    lines.push(model_line(config, &task.model_config, parameters));
    lines.extend(context.lines.iter().cloned());
    lines.extend(running_lines(config, &context.devices, steps));
    if count > 0 {
        lines.push(chooser_line(task.best_metric));
    }
    Ok(Summary {
        lines,
        train_rows: task.learnt.len(),
        valid_rows: count,
        parameters,
        steps,
        tokens_per_epoch: tokens,
    })
}

/// The entity types, and how their tags are learned.
fn entities_line(ner: &NerConfig, tags: &TagSet) -> String {
    let scheme = match ner.scheme {
        Scheme::Bio => "BIO",
        Scheme::Iob1 => "IOB1",
        Scheme::Bioes => "BIOES",
        Scheme::Bilou => "BILOU",
    };
    format!(
        "{} as {} tags of {scheme}, on {} of each word",
        tags.types().join(", "),
        tags.len(),
        match ner.label {
            LabelledTokens::First => "the first token",
            LabelledTokens::All => "all tokens",
        },
    )
}

/// Number of words.
fn words(rows: &TaggedRows) -> usize {
    rows.sentences.iter().map(TaggedSentence::len).sum()
}

/// How many sentences are split into windows; empty if none is.
fn cut_note(rows: &TaggedRows, info: &TagInfo) -> String {
    match rows.windows.cut_sentences {
        0 => String::new(),
        cut => format!(
            "; {cut} longer than {} tokens, read in windows that share {} or more",
            info.max_length, info.overlap
        ),
    }
}

/// The validation sentences and where they come from.
fn validation_line(config: &FinetuneConfig, valid: &TaggedRows, info: &TagInfo) -> String {
    let (count, words) = (valid.sentences.len(), words(valid));
    let cut = cut_note(valid, info);
    match (&config.data.valid, count) {
        (_, 0) => "none: the last weights are kept, and nothing is chosen by validation".into(),
        (Some(path), _) => format!(
            "{count} sentences of {words} words from {}{cut}",
            path.display()
        ),
        (None, _) => {
            let how = match config.data.group {
                Some(_) => ", whole documents",
                None => " at random",
            };
            format!("{count} sentences of {words} words held out{how}{cut}")
        }
    }
}
