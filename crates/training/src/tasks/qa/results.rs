//! Answers to one question, as written to files.

use bertkit_data::qa::Prediction;
use serde::{Deserialize, Serialize};

/// An answer that a model considered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its text; empty means that there is no answer.
    pub text: String,
    /// Its probability among the answers considered; summed over several snippets.
    pub probability: f64,
    /// Its start in the text, in characters; absent for "no answer" and for pooled snippets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<usize>,
}

/// The answers to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionResult {
    /// The id of the question.
    pub id: String,
    /// Line of the file, if it is a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The question.
    pub question: String,
    /// The true answers; empty if the text contains none.
    pub answers: Vec<String>,
    /// The model's answer; empty if it gives none.
    pub prediction: String,
    /// The score of "no answer" minus that of the best answer; absent for pooled snippets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer_score: Option<f64>,
    /// The best answers, best first.
    pub n_best: Vec<Proposal>,
    /// The number of its group, if groups are resampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
}

/// The answers that a model considered, best first.
pub fn proposals(prediction: &Prediction) -> Vec<Proposal> {
    let proposal = |candidate: &bertkit_data::qa::Candidate| Proposal {
        text: candidate.text.clone(),
        probability: candidate.probability,
        start: (!candidate.is_null()).then_some(candidate.start),
    };
    prediction.n_best.iter().map(proposal).collect()
}
