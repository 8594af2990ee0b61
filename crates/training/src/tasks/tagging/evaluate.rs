//! Evaluation of a tagger on a file of tagged words.

use std::path::PathBuf;

use bertkit_data::perturb::Perturbation;
use bertkit_data::sources::tagged::{TagPolicy, read_tagged};
use bertkit_data::tagging::DEFAULT_TYPE;
use bertkit_data::tagging::{TaggedCorpus, TaggedSentence};
use bertkit_evaluation::{BootstrapOptions, Predictions, Report};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::folds::documents;
use super::info::{TagColumns, TagInfo};
use super::predict::Tagger;
use crate::config::FoldConfig;
use crate::error::{TrainError, setting};
use crate::tasks::descriptor::UnseenData;
use crate::tasks::evaluation::{
    Perturbed, add_findings, bootstrap_with, measure_again, name_of, write_evaluation,
};
use crate::tasks::folds;

/// What to evaluate a tagger on, and how.
#[derive(Debug, Clone)]
pub struct TagEvalOptions {
    /// The tagged file.
    pub data: PathBuf,
    /// How the file is read, if differently from training.
    pub columns: TagColumns,
    /// Whether to resample whole documents instead of sentences.
    pub by_document: bool,
    /// Whether entity types not seen in training are an error instead of being scored as missed.
    pub strict: bool,
    /// Resamples, confidence and seed of the intervals.
    pub bootstrap: BootstrapOptions,
    /// Perturbations of the words; the tagger is evaluated again under each. The seed is that of `bootstrap`.
    pub perturbations: Vec<Perturbation>,
    /// The name of the files under `eval/`; the data file's stem if not given.
    pub name: Option<String>,
    /// Evaluates only the sentences that this fold of the file holds out; by whole documents if `by_document`.
    pub fold: Option<FoldConfig>,
}

/// The predicted tags of one sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagRow {
    /// The line where the sentence begins.
    pub line: u64,
    /// Its words.
    pub words: Vec<String>,
    /// The true tag of each, in BIO.
    pub gold: Vec<String>,
    /// The predicted tag of each.
    pub predicted: Vec<String>,
    /// Its document, if the file has documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// An evaluation of a tagger.
#[derive(Debug, Clone)]
pub struct TagEvaluation {
    /// Metrics with intervals: entities as in seqeval's default mode, in strict IOB2, and as in conlleval.
    pub report: Report,
    /// The effect of each perturbation.
    pub perturbed: Vec<Perturbed>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// The result of each sentence, in the order of the file.
    pub rows: Vec<TagRow>,
    /// Where report and rows were written, if a run directory was evaluated.
    pub written: Option<(PathBuf, PathBuf)>,
}

impl TagEvaluation {
    /// The report as JSON, with perturbations and notes.
    pub fn to_json(&self) -> Value {
        let mut value = json!(self.report);
        add_findings(&mut value, &self.perturbed, &self.notes);
        value
    }
}

/// Renames the entity type of the file to that of the model if both have exactly one type and one of them does
/// not name it (bare `B` and `I`).
fn align_types(corpus: &mut TaggedCorpus, info: &TagInfo) {
    corpus.adopt_type(&info.tags);
    let [known] = info.tags.types() else { return };
    let bare = known == DEFAULT_TYPE && info.columns.type_name.is_none();
    let one_type = {
        let mut kinds = corpus.entities().map(|entity| &entity.kind);
        let first = kinds.next();
        kinds.all(|kind| Some(kind) == first)
    };
    if bare && one_type {
        let sentences = corpus.sentences.iter_mut();
        for entity in sentences.flat_map(|sentence| sentence.entities.iter_mut().flatten()) {
            entity.kind.clone_from(known);
        }
    }
}

/// Evaluates a tagger on a tagged file. `progress` receives windows done and windows in total.
///
/// If a run directory was opened, the reports are written there: `eval/NAME.json` and
/// `eval/NAME.predictions.jsonl`.
///
/// # Errors
/// The file cannot be used, types are unseen under `strict`, or a report cannot be written.
pub fn evaluate_tags(
    tagger: &Tagger,
    options: &TagEvalOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<TagEvaluation, TrainError> {
    let info = tagger.info();
    let (mut corpus, mut notes) = read(info, options)?;
    if let Some(fold) = options.fold {
        let documents = options.by_document.then(|| documents(&corpus));
        let all = corpus.sentences.len();
        let split = folds::divide(fold, all, None, documents.as_deref())?;
        corpus.sentences = folds::choose(corpus.sentences, &split.held_out);
    }
    let document = |at: Option<usize>| at.map(|at| corpus.documents[at].clone());
    let sentences = &corpus.sentences;
    let groups = match options.by_document {
        false => None,
        true if corpus.documents.is_empty() => {
            return Err(setting(
                format!(
                    "the sentences of `{}` are not divided into documents",
                    options.data.display()
                ),
                "leave [option.group] out: intervals are then found by sentence",
            ));
        }
        true => {
            let beyond = corpus.documents.len();
            let group = sentences.iter().map(|s| s.document.unwrap_or(beyond));
            Some(group.collect())
        }
    };
    let passes = 1 + options.perturbations.len();
    let found = tagger.tag(sentences, &mut |done, all| progress(done, passes * all))?;
    if found.cut_sentences > 0 {
        notes.push(format!(
            "{} of {} sentences were longer than {} tokens, and read in windows",
            found.cut_sentences,
            sentences.len(),
            info.max_length
        ));
    }
    let predictions = info.predictions(sentences, &found.tags);
    let tags = predictions.gold.iter().zip(&predictions.predicted);
    let rows = sentences
        .iter()
        .zip(tags)
        .map(|(sentence, (gold, predicted))| TagRow {
            line: sentence.line,
            words: (0..sentence.len())
                .map(|word| sentence.word(word).to_owned())
                .collect(),
            gold: gold.clone(),
            predicted: predicted.clone(),
            group: document(sentence.document),
        });
    let rows = rows.collect();
    let predictions = Predictions::Entities(predictions);
    let bootstrap = bootstrap_with(&options.bootstrap, groups, predictions.rows())?;
    let report = bertkit_evaluation::evaluate(&predictions, &bootstrap);
    let tag_again = |pass: usize, perturbation: &Perturbation| {
        let (changed, others) = perturb(perturbation, bootstrap.seed, sentences);
        let found = tagger.tag(&others, &mut |done, all| {
            progress(pass * all + done, passes * all);
        })?;
        let again = info.predictions(sentences, &found.tags);
        Ok((changed, Predictions::Entities(again)))
    };
    let perturbed = measure_again(&options.perturbations, &predictions, &bootstrap, tag_again)?;
    let mut evaluation = TagEvaluation {
        report,
        perturbed,
        notes,
        rows,
        written: None,
    };
    if let Some(run) = tagger.run_directory() {
        let name = name_of(options.name.as_deref(), &options.data);
        let written = write_evaluation(run, &name, &evaluation.to_json(), &evaluation.rows)?;
        evaluation.written = Some(written);
    }
    Ok(evaluation)
}

/// The tagged sentences of the file, and notes about it.
fn read(
    info: &TagInfo,
    options: &TagEvalOptions,
) -> Result<(TaggedCorpus, Vec<String>), TrainError> {
    let columns = options.columns.clone().or(&info.columns);
    let mut corpus = read_tagged(&options.data, &columns.options(TagPolicy::Required)?)?;
    let mut notes: Vec<String> = corpus.repairs.summary().into_iter().collect();
    let all = corpus.sentences.len();
    corpus
        .sentences
        .retain(|sentence| sentence.entities.is_some());
    if corpus.sentences.len() < all {
        let left = all - corpus.sentences.len();
        notes.push(format!("{left} of {all} sentences left out: no tags"));
    }
    align_types(&mut corpus, info);
    if let Some(unseen) = corpus.unseen(&info.tags).summary() {
        if options.strict {
            return Err(setting(
                unseen,
                "correct those types, or leave [option.strict] out to score them as missed",
            ));
        }
        notes.push(format!("{unseen}; scored as missed"));
    }
    Ok((corpus, notes))
}

/// Evaluates a finished run on data that it was not trained on.
///
/// # Errors
/// As for [`evaluate_tags`], or the model cannot be opened.
pub(crate) fn evaluate_unseen(
    unseen: &UnseenData<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), TrainError> {
    let options = TagEvalOptions {
        data: unseen.data.into(),
        columns: TagColumns::default(),
        by_document: unseen.is_grouped(),
        strict: false,
        bootstrap: unseen.bootstrap.clone(),
        perturbations: Vec::new(),
        name: Some(unseen.name.into()),
        fold: unseen.config.data.fold,
    };
    let tagger = Tagger::open(unseen.run, unseen.device)?;
    evaluate_tags(&tagger, &options, progress).map(drop)
}

/// The number of sentences that a perturbation changes, and the changed sentences. Each word is perturbed separately, so
/// that it keeps its tag.
fn perturb(
    perturbation: &Perturbation,
    seed: u64,
    sentences: &[TaggedSentence],
) -> (usize, Vec<TaggedSentence>) {
    let mut number = 0;
    let change = |sentence: &TaggedSentence| {
        sentence.map_words(|_, word| {
            number += 1;
            perturbation.apply(word, seed, number)
        })
    };
    let changed: Vec<_> = sentences.iter().map(change).collect();
    let both = sentences.iter().zip(&changed);
    let differ = both.filter(|(old, new)| old.text != new.text).count();
    (differ, changed)
}
