//! Extractive question answering: splits questions and their texts into windows, and decodes token scores to answers.
//!
//! A text longer than the model's input is split into overlapping windows, each after the question (Devlin et al. 2019,
//! `run_squad.py`; `run_qa.py` of transformers). A model scores every token as the start and as the end of the answer;
//! [`Features::decode`] finds the best answers over all windows of a question and returns them as slices of the original
//! text.
//!
//! ```
//! use bertkit_data::sources::questions::read_document;
//! use bertkit_data::qa::{DecodeOptions, FeatureOptions, Features, WindowScores};
//! use bertkit_data::tokenizer::{TrainOptions, train_tokenizer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = r#"{"data": [{"paragraphs": [{"context": "Zoë was born in Bern.", "qas": [
//!     {"id": "1", "question": "Where was she born?", "answers": [{"text": "Bern", "answer_start": 16}]}]}]}]}"#;
//! let questions = read_document(file, "questions.json", false)?;
//! let texts = ["zoë was born in bern .", "where was she born ?"];
//! let tokenizer = train_tokenizer(texts.into_iter(), &TrainOptions::default())?;
//!
//! let features = Features::new(&questions.items, &tokenizer, &FeatureOptions::default())?;
//! let (start, end) = features.windows()[0].target.expect("the answer has a place");
//! let batch = features.pack(&[0]);
//! let score = |at| (0..batch.tokens()).map(|token| f32::from(token == at) * 9.0).collect();
//! let (starts, ends): (Vec<f32>, Vec<f32>) = (score(start), score(end));
//! let scores = [WindowScores::Tokens { start: &starts, end: &ends }];
//! let options = DecodeOptions::default();
//! let prediction = features.decode(&questions.items[0], 0, &scores, &options);
//! assert_eq!(prediction.best().map(|best| best.text.as_str()), Some("Bern"));
//! # Ok(())
//! # }
//! ```

pub(crate) mod builder;
mod decoding;
mod features;
mod question;

pub use self::decoding::{Candidate, DecodeOptions, Prediction, SpanScore, WindowScores};
pub use self::features::{FeatureOptions, Features, Window};
pub use self::question::{
    Answer, AnswerRepairs, BioasqQuestion, Question, QuestionType, Questions,
};

#[cfg(test)]
mod tests;
