//! Evaluation of a question-answering model on a file of questions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use bertkit_data::perturb::Perturbation;
use bertkit_data::qa::{BioasqQuestion, Prediction, Question, QuestionType};
use bertkit_data::sources::ReadOptions;
use bertkit_data::sources::questions::{QuestionOptions, read_questions};
use bertkit_evaluation::{
    AnswerPredictions, BootstrapOptions, FactoidPredictions, Predictions, RankedAnswers, Report,
    pool_snippets,
};
use serde_json::{Value, json};

use super::bioasq;
use super::folds::of_questions;
use super::info::question_options;
use super::predict::QuestionAnswerer;
use super::results::{Proposal, QuestionResult, proposals};
use super::task::{no_answer_score, predictions};
use crate::config::FoldConfig;
use crate::error::{TrainError, setting};
use crate::run::evaluations::write_evaluation_files;
use crate::run::tables::read_options;
use crate::tasks::descriptor::UnseenData;
use crate::tasks::evaluation::{Perturbed, add_findings, bootstrap_with, measure_again, name_of};
use crate::tasks::folds;

/// The questions that are resampled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionGroup {
    /// All questions about the same text.
    Context,
    /// All questions about texts with the same title.
    Title,
}

/// What to evaluate on, and how.
#[derive(Debug, Clone)]
pub struct QuestionEvalOptions {
    /// The file of questions.
    pub data: PathBuf,
    /// How a table is read.
    pub read: ReadOptions,
    /// Column of a table with the question; that of training if not given.
    pub question: Option<String>,
    /// Column with the text, likewise.
    pub context: Option<String>,
    /// Column with the answer, likewise.
    pub answer: Option<String>,
    /// Column with the start of the answer, likewise.
    pub start: Option<String>,
    /// Column with the id of the question, likewise.
    pub id: Option<String>,
    /// Whether an answer that is not in its text is an error.
    pub strict: bool,
    /// Whether questions are pooled by the first 24 digits of their ids, as for BioASQ's factoid questions.
    pub pool_snippets: bool,
    /// For a file in BioASQ's format, the type of the questions that are scored; inferred if the file has only one.
    pub question_type: Option<QuestionType>,
    /// For BioASQ's list questions, the probability above which an answer is listed.
    pub list_threshold: f64,
    /// The groups that are resampled; single questions if not given.
    pub group: Option<QuestionGroup>,
    /// Resamples, confidence and seed of the intervals; groups come from `group`.
    pub bootstrap: BootstrapOptions,
    /// Perturbations of the questions, with the seed of `bootstrap`; the texts are unchanged, because they contain the answers.
    pub perturbations: Vec<Perturbation>,
    /// The name of the files under `eval/`; the data file's stem if not given.
    pub name: Option<String>,
    /// Evaluates only the questions that this fold of the file holds out.
    pub fold: Option<FoldConfig>,
}

impl QuestionEvalOptions {
    /// The probability above which an answer is listed, as in BioBERT (Yoon et al. 2020).
    pub const LIST_THRESHOLD: f64 = 0.42;
}

/// An evaluation on questions.
#[derive(Debug, Clone)]
pub struct QuestionEvaluation {
    /// Metrics with intervals.
    pub report: Report,
    /// The effect of each perturbation.
    pub perturbed: Vec<Perturbed>,
    /// The score above which a question has no answer, and how it was chosen; `None` if every question is answered.
    pub null_threshold: Option<(f64, String)>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// The result of each question, in the order of the file.
    pub rows: Vec<QuestionResult>,
    /// Where report, rows and answers by id were written, if a run directory was evaluated.
    pub written: Option<[PathBuf; 3]>,
}

impl QuestionEvaluation {
    /// The report as JSON, with the threshold, perturbations and notes.
    pub fn to_json(&self) -> Value {
        let mut value = json!(self.report);
        if let (Some(object), Some((at, origin))) = (value.as_object_mut(), &self.null_threshold) {
            let threshold = json!({"value": at, "origin": origin});
            object.insert("null_threshold".into(), threshold);
        }
        add_findings(&mut value, &self.perturbed, &self.notes);
        value
    }

    /// The answers by question id, in the format of SQuAD's script.
    pub fn by_id(&self) -> BTreeMap<&str, &str> {
        let rows = self.rows.iter();
        rows.map(|row| (row.id.as_str(), row.prediction.as_str()))
            .collect()
    }
}

/// Evaluates a model on a file of questions. `progress` receives questions done and questions in total, perturbed
/// repetitions included.
///
/// If a run directory was opened, the report is written there as `eval/NAME.json`, each question's answers as
/// `eval/NAME.predictions.jsonl`, and the answers by id, in the format of SQuAD's script, as `eval/NAME.predictions.json`.
///
/// # Errors
/// The file cannot be used, no question has a true answer, or a report cannot be written.
pub fn evaluate_questions(
    answerer: &QuestionAnswerer,
    options: &QuestionEvalOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<QuestionEvaluation, TrainError> {
    if options.pool_snippets && options.group.is_some() {
        return Err(setting(
            "[option.pool-snippets] makes one row of all texts of a question, so there are no groups to draw",
            "leave [option.group] out",
        ));
    }
    if options.pool_snippets && !options.perturbations.is_empty() {
        return Err(setting(
            "[option.perturb] compares question by question, and [option.pool-snippets] takes several as one",
            "leave one of them out",
        ));
    }
    let read = read_questions(&options.data, &reading(answerer, options))?;
    let mut notes: Vec<String> = read.repairs.summary().into_iter().collect();
    let asked = asked(&read.bioasq, options, &mut notes)?;
    let questions = scored_questions(read.items, asked.as_ref(), options, &mut notes)?;
    let total = questions.len();
    let passes = 1 + options.perturbations.len();
    let answers = answerer.answer(&questions, &mut |done| progress(done, passes * total))?;
    let threshold = answerer.info.settings.null_threshold;
    let groups = options.group.map(|group| group_numbers(&questions, group));
    let rows = results(&questions, &answers, threshold, groups.as_deref());
    let (predictions, rows) = match (&asked, options.pool_snippets) {
        (Some((kind, asked)), _) => bioasq::pooled(asked, *kind, options.list_threshold, &rows),
        (None, true) => {
            let (predictions, rows) = pooled(&rows);
            (Predictions::Factoid(predictions), rows)
        }
        (None, false) => {
            let found = as_given(&questions, &answers, threshold);
            (Predictions::Answers(found), rows)
        }
    };
    let bootstrap = bootstrap_with(&options.bootstrap, groups, predictions.rows())?;
    let report = bertkit_evaluation::evaluate(&predictions, &bootstrap);
    let ask_again = |pass: usize, perturbation: &Perturbation| {
        let (changed, others) = perturb(perturbation, bootstrap.seed, &questions);
        let answers = answerer.answer(&others, &mut |done| {
            progress(pass * total + done, passes * total);
        })?;
        let again = as_given(&others, &answers, threshold);
        Ok((changed, Predictions::Answers(again)))
    };
    let perturbed = measure_again(&options.perturbations, &predictions, &bootstrap, ask_again)?;
    let origin = answerer.info.null_threshold_origin.clone();
    let mut evaluation = QuestionEvaluation {
        report,
        perturbed,
        null_threshold: threshold.map(|at| (at, origin)),
        notes,
        rows,
        written: None,
    };
    evaluation.written = write(answerer, options, &evaluation)?;
    Ok(evaluation)
}

/// How the file is read: as in training, unless columns are given.
fn reading(answerer: &QuestionAnswerer, options: &QuestionEvalOptions) -> QuestionOptions {
    let mut settings = answerer.info.settings.clone();
    let given = [
        (&mut settings.answer, &options.answer),
        (&mut settings.start, &options.start),
        (&mut settings.id, &options.id),
    ];
    for (setting, given) in given {
        *setting = given.clone().or(setting.take());
    }
    settings.question = options.question.clone().unwrap_or(settings.question);
    settings.context = options.context.clone().unwrap_or(settings.context);
    question_options(options.read.clone(), &settings, options.strict)
}

/// The questions that are scored: those with a known answer, or every snippet of the chosen BioASQ questions; with a fold,
/// only those that it holds out.
fn scored_questions(
    mut questions: Vec<Question>,
    asked: Option<&(QuestionType, Vec<&BioasqQuestion>)>,
    options: &QuestionEvalOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<Question>, TrainError> {
    let all = questions.len();
    match asked {
        None => questions.retain(|question| question.labelled),
        // Any snippet may be answered, whether it contains the answer or not.
        Some((_, asked)) => {
            let chosen: HashSet<&str> = asked.iter().map(|asked| asked.id.as_str()).collect();
            let of = |id: &str| id.rfind('_').is_some_and(|at| chosen.contains(&id[..at]));
            questions.retain(|question| of(&question.id));
        }
    }
    if questions.is_empty() {
        return Err(setting(
            format!(
                "no question of `{}` says what is right",
                options.data.display()
            ),
            "give a file with answers; for one without use `bertkit predict`",
        ));
    }
    if asked.is_none() && questions.len() < all {
        let left = all - questions.len();
        notes.push(format!(
            "{left} of {all} questions say nothing of what is right: left out"
        ));
    }
    if let Some(fold) = options.fold {
        let split = of_questions(fold, &questions)?;
        questions = folds::choose(questions, &split.held_out);
    }
    Ok(questions)
}

/// The model's answers to each question.
fn results(
    questions: &[Question],
    answers: &[Prediction],
    threshold: Option<f64>,
    groups: Option<&[usize]>,
) -> Vec<QuestionResult> {
    let both = questions.iter().zip(answers).enumerate();
    let result = |(row, (question, answer)): (usize, (&Question, &Prediction))| QuestionResult {
        id: question.id.clone(),
        line: question.line,
        question: question.question.clone(),
        answers: question.answers.iter().map(|a| a.text.clone()).collect(),
        prediction: answer.text(threshold).into(),
        no_answer_score: Some(no_answer_score(answer)),
        n_best: proposals(answer),
        group: groups.map(|groups| groups[row]),
    };
    both.map(result).collect()
}

/// Evaluates a finished run on data that it was not trained on.
///
/// # Errors
/// As for [`evaluate_questions`], or the model cannot be opened.
pub(crate) fn evaluate_unseen(
    unseen: &UnseenData<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), TrainError> {
    let config = &unseen.config.data;
    let options = QuestionEvalOptions {
        question_type: None,
        list_threshold: QuestionEvalOptions::LIST_THRESHOLD,
        data: unseen.data.into(),
        read: read_options(config)?,
        question: None,
        context: None,
        answer: None,
        start: None,
        id: None,
        strict: false,
        pool_snippets: false,
        group: config.fold.map(|_| QuestionGroup::Context),
        bootstrap: unseen.bootstrap.clone(),
        perturbations: Vec::new(),
        name: Some(unseen.name.into()),
        fold: config.fold,
    };
    let answerer = QuestionAnswerer::open(unseen.run, unseen.device)?;
    evaluate_questions(&answerer, &options, progress).map(drop)
}

/// The questions of a file in BioASQ's format that are scored, and their type; `None` for other files.
fn asked<'a>(
    all: &'a [BioasqQuestion],
    options: &QuestionEvalOptions,
    notes: &mut Vec<String>,
) -> Result<Option<(QuestionType, Vec<&'a BioasqQuestion>)>, TrainError> {
    let path = options.data.display();
    if all.is_empty() {
        return match options.question_type {
            None => Ok(None),
            Some(_) => Err(setting(
                format!("the questions of `{path}` have no types"),
                "leave [option.question-type] out: it is for BioASQ's own files, with `questions`",
            )),
        };
    }
    if options.pool_snippets || options.group.is_some() || options.fold.is_some() {
        return Err(setting(
            format!(
                "the questions of `{path}` are BioASQ's, taken together over their snippets anyway"
            ),
            "leave [option.pool-snippets], [option.group] and folds out",
        ));
    }
    if !options.perturbations.is_empty() {
        return Err(setting(
            "[option.perturb] compares question by question, and BioASQ's take several snippets as one",
            "leave it out",
        ));
    }
    let of = |kind: QuestionType| all.iter().filter(move |asked| asked.kind == kind);
    let counts = [QuestionType::Factoid, QuestionType::List].map(|kind| of(kind).count());
    let kind = match (options.question_type, counts) {
        (Some(kind), _) => kind,
        (None, [_, 0]) => QuestionType::Factoid,
        (None, [0, _]) => QuestionType::List,
        (None, [factoid, list]) => {
            return Err(setting(
                format!(
                    "`{path}` has {factoid} factoid and {list} list questions, which are scored apart"
                ),
                "choose with [option.question-type=factoid] or [option.question-type=list]",
            ));
        }
    };
    let chosen: Vec<&BioasqQuestion> = of(kind).filter(|asked| !asked.gold.is_empty()).collect();
    if chosen.len() < all.len() {
        let (left, all) = (all.len() - chosen.len(), all.len());
        notes.push(format!(
            "{left} of {all} questions are of another type, or say nothing of what is right: left out"
        ));
    }
    Ok(Some((kind, chosen)))
}

/// The predictions that are scored, with the threshold applied to the answers.
fn as_given(
    questions: &[Question],
    answers: &[Prediction],
    threshold: Option<f64>,
) -> AnswerPredictions {
    let mut found = predictions(questions, answers, threshold);
    found.may_be_unanswerable = questions.iter().any(|q| q.answers.is_empty());
    found
}

/// The perturbed questions, with unchanged texts, and how many differ.
fn perturb(
    perturbation: &Perturbation,
    seed: u64,
    questions: &[Question],
) -> (usize, Vec<Question>) {
    let mut changed = 0;
    let each = questions.iter().enumerate().map(|(number, question)| {
        let mut other = question.clone();
        other.question = perturbation.apply(&question.question, seed, number as u64);
        changed += usize::from(other.question != question.question);
        other
    });
    let others = each.collect();
    (changed, others)
}

/// Pools snippets by question.
fn pooled(rows: &[QuestionResult]) -> (FactoidPredictions, Vec<QuestionResult>) {
    let candidate = |proposal: &Proposal| bertkit_evaluation::Candidate {
        text: proposal.text.clone(),
        probability: proposal.probability,
    };
    let candidates: Vec<Vec<_>> = rows
        .iter()
        .map(|row| row.n_best.iter().map(candidate).collect())
        .collect();
    let snippets = rows.iter().zip(&candidates);
    let pooled = pool_snippets(snippets.map(|(row, answers)| (row.id.as_str(), &answers[..])));
    let mut results: Vec<QuestionResult> = pooled
        .into_iter()
        .map(|question| {
            let proposal = |answer: bertkit_evaluation::Candidate| Proposal {
                text: answer.text,
                probability: answer.probability,
                start: None,
            };
            let best = question.ranked.first();
            QuestionResult {
                id: question.question,
                line: None,
                question: String::new(),
                answers: Vec::new(),
                prediction: best.map_or_else(String::new, |answer| answer.text.clone()),
                no_answer_score: None,
                n_best: question.ranked.into_iter().map(proposal).collect(),
                group: None,
            }
        })
        .collect();
    let places: HashMap<String, usize> = results
        .iter()
        .enumerate()
        .map(|(place, result)| (result.id.clone(), place))
        .collect();
    for row in rows {
        // The whole id, or the question's part of it.
        let parts = (1..=row.id.len()).rev().filter_map(|end| row.id.get(..end));
        let Some(&place) = parts.into_iter().find_map(|part| places.get(part)) else {
            continue;
        };
        let result = &mut results[place];
        if result.question.is_empty() {
            result.question.clone_from(&row.question);
        }
        for answer in &row.answers {
            if !result.answers.contains(answer) {
                result.answers.push(answer.clone());
            }
        }
    }
    let ranked = |result: &QuestionResult| RankedAnswers {
        gold: result.answers.clone(),
        ranked: result.n_best.iter().map(|p| p.text.clone()).collect(),
    };
    let predictions = FactoidPredictions {
        questions: results.iter().map(ranked).collect(),
    };
    (predictions, results)
}

/// A group number for each question; equal groups have equal numbers. A question without a title is grouped by its text.
fn group_numbers(questions: &[Question], group: QuestionGroup) -> Vec<usize> {
    let mut numbers: HashMap<(bool, &str), usize> = HashMap::new();
    let number = |question| {
        let next = numbers.len();
        *numbers.entry(group_of(question, group)).or_insert(next)
    };
    questions.iter().map(number).collect()
}

/// The key of a question's group, and whether it is a title.
fn group_of(question: &Question, group: QuestionGroup) -> (bool, &str) {
    match (group, &question.title) {
        (QuestionGroup::Title, Some(title)) => (true, title),
        _ => (false, &question.context),
    }
}

fn write(
    answerer: &QuestionAnswerer,
    options: &QuestionEvalOptions,
    evaluation: &QuestionEvaluation,
) -> Result<Option<[PathBuf; 3]>, TrainError> {
    let Some(run) = answerer.run_directory() else {
        return Ok(None);
    };
    let name = name_of(options.name.as_deref(), &options.data);
    let json_error = |e: serde_json::Error| TrainError::Write {
        path: run.join("eval").join(format!("{name}.predictions.jsonl")),
        source: e.into(),
    };
    let mut rows = String::new();
    for row in &evaluation.rows {
        rows += &serde_json::to_string(row).map_err(json_error)?;
        rows.push('\n');
    }
    let answers = serde_json::to_string_pretty(&evaluation.by_id()).map_err(json_error)?;
    let report = format!("{:#}\n", evaluation.to_json());
    let file = |end: &str, content: String| (format!("{name}{end}"), content);
    let files = [
        file(".predictions.json", answers + "\n"),
        file(".predictions.jsonl", rows),
        file(".json", report),
    ];
    let [answers, rows, report] = write_evaluation_files(run, files)?;
    Ok(Some([report, rows, answers]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn result(id: &str, gold: &str, texts: &[(&str, f64)]) -> QuestionResult {
        let proposal = |&(text, probability): &(&str, f64)| Proposal {
            text: text.into(),
            probability,
            start: Some(0),
        };
        QuestionResult {
            id: id.into(),
            line: None,
            question: "Which?".into(),
            answers: vec![gold.into()],
            prediction: String::new(),
            no_answer_score: Some(0.0),
            n_best: texts.iter().map(proposal).collect(),
            group: None,
        }
    }

    #[test]
    fn snippets_of_a_question_are_one_row_with_all_its_names() {
        let rows = [
            result(
                "56c1f005ef6e394741000002_001",
                "ETV6",
                &[("x", 0.6), ("ETV6", 0.4)],
            ),
            result("56c1f005ef6e394741000002_002", "TEL", &[("etv6", 0.3)]),
            result("other question", "y", &[("y", 0.9)]),
        ];
        let (predictions, results) = pooled(&rows);
        assert_eq!(results.len(), 2);
        assert_eq!(results[0].answers, ["ETV6", "TEL"]);
        assert_eq!(results[0].prediction, "ETV6");
        assert_eq!(predictions.questions[1].ranked, ["y"]);
    }

    #[test]
    fn questions_about_one_text_are_one_group() {
        let question = |context: &str, title: Option<&str>| Question {
            id: "1".into(),
            question: "?".into(),
            context: context.into(),
            answers: Vec::new(),
            impossible: true,
            labelled: true,
            title: title.map(Into::into),
            line: None,
        };
        let questions = [
            question("a", Some("t")),
            question("b", Some("t")),
            question("a", None),
        ];
        assert_eq!(group_numbers(&questions, QuestionGroup::Context), [0, 1, 0]);
        assert_eq!(group_numbers(&questions, QuestionGroup::Title), [0, 0, 1]);
    }
}
