//! Tagged words.

use std::path::Path;

use bertkit_data::sources::tagged::{TagPolicy, read_tagged};
use bertkit_data::splits;
use bertkit_data::tagging::Scheme;
use bertkit_data::tagging::alignment::LabelledTokens;
use bertkit_data::tagging::{TaggedCorpus, TaggedSentence};
use bertkit_evaluation::TaskKind as MetricTask;
use bertkit_model::heads::Crf;
use bertkit_model::{ModelError, TokenModel};
use burn::module::Module;

use super::{
    Learner, Prepared, Reader, RunContext, TrainableRun, check_choosing, chooser_line, model_line,
    running_lines, setting, settle_metric, total_steps,
};
use crate::config::{NerConfig, Sampler, TagHead};
use crate::engine::observer::{Event, Observer, Summary};
use crate::engine::param_groups::freeze;
use crate::engine::task::Task;
use crate::error::TrainError;
use crate::folds;
use crate::tasks::{TagColumns, TagInfo, TagTask, TagTaskName, TaggedRows};

/// A quarter of the window is shared with the next one, unless something else is asked for.
const OVERLAP: usize = 4;

/// Reads tagged words, and tells what was put right and left out.
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

/// Sentences to learn from, and those to choose by, out of all that the fold leaves.
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
    let documents = by_document.then(|| folds::documents(corpus));
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

/// Reads the data, settles the tags, and brings tokenizer and model.
pub(super) fn prepare(
    mut context: RunContext,
    observer: &mut dyn Observer,
) -> Result<Prepared, TrainError> {
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
    check_choosing(&config, valid.len())?;
    let best_metric = settle_metric(&config, MetricTask::Entities)?;

    let texts = train.iter().map(|sentence| sentence.text.as_str());
    let Reader {
        tokenizer,
        mut encoder,
        max_length,
    } = context.reader(texts, observer)?;
    let info = TagInfo {
        task: TagTaskName::Ner,
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
            // They were unused by the model without them.
            context.lines.retain(|(name, text)| {
                name != "not used" || !text.split(", ").all(|name| name.starts_with("crf."))
            });
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
    let learner = Learner::Tags(Box::new(TrainableRun { task, model }));
    context.ready(learner, summary)
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
    let scheme = match ner.scheme {
        Scheme::Bio => "BIO",
        Scheme::Iob1 => "IOB1",
        Scheme::Bioes => "BIOES",
        Scheme::Bilou => "BILOU",
    };
    say(
        "entities",
        format!(
            "{} as {} tags of {scheme}, on {} of each word",
            tags.types().join(", "),
            tags.len(),
            match ner.label {
                LabelledTokens::First => "the first token",
                LabelledTokens::All => "all tokens",
            },
        ),
    );
    let cut = |rows: &TaggedRows| match rows.windows.cut_sentences {
        0 => String::new(),
        cut => format!(
            "; {cut} longer than {} tokens, read in windows that share {} or more",
            task.info.max_length, task.info.overlap
        ),
    };
    let words = |rows: &TaggedRows| {
        rows.sentences
            .iter()
            .map(TaggedSentence::len)
            .sum::<usize>()
    };
    let tokens = task.train_tokens();
    let train = config.data.train.as_deref().unwrap_or(Path::new(""));
    say(
        "training rows",
        format!(
            "{} sentences of {} words from {}, {tokens} tokens{}",
            task.train.sentences.len(),
            words(&task.train),
            train.display(),
            cut(&task.train)
        ),
    );
    let valid = &task.valid;
    let (count, of_words) = (valid.sentences.len(), words(valid));
    say(
        "validation rows",
        match (&config.data.valid, count) {
            (_, 0) => {
                "none: the last weights are kept, and nothing is chosen by validation".to_owned()
            }
            (Some(path), _) => format!(
                "{count} sentences of {of_words} words from {}{}",
                path.display(),
                cut(valid)
            ),
            (None, _) => format!(
                "{count} sentences of {of_words} words held out{}{}",
                match config.data.group {
                    Some(_) => ", whole documents",
                    None => " at random",
                },
                cut(valid)
            ),
        },
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
