//! Reads files into examples and token ids. Independent of tensors.
//!
//! [`sources`] reads files of several formats, most of them into a [`Table`](table::Table); [`examples`] selects the text
//! and the label of each row; [`labels`] infers the task from the labels and turns them into targets; [`splits`] holds
//! rows out; [`tokenizer`] turns texts into token ids as Hugging Face transformers does; [`batches`] groups rows into
//! batches. Tagged words are in [`tagging`], questions in [`qa`].
//!
//! ```
//! use bertkit_data::batches::{BatchPolicy, PackedBatch, plan};
//! use bertkit_data::examples::{Examples, MissingPolicy, Selection};
//! use bertkit_data::sources::{Format, ReadOptions, read_table_from};
//! use bertkit_data::labels::{LabelKind, LabelSet, infer_task};
//! use bertkit_data::tokenizer::{TrainOptions, train_tokenizer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = "text,label\nwhat a film,good\n\"long, and dull\",bad\n";
//! let options = ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() };
//! let table = read_table_from(file.as_bytes(), "reviews.csv", &options)?;
//! let examples =
//!     Examples::labelled(&table, &Selection::new("text", "label"), MissingPolicy::Refuse)?;
//!
//! let task = infer_task(&examples.labels(), None)?;
//! assert_eq!(task.kind, LabelKind::Classification);
//! let classes = LabelSet::from_labels(&examples.labels())?;
//! assert_eq!(classes.names(), ["bad", "good"]);
//! assert_eq!(examples.classes(&classes).0, [Some(1), Some(0)]);
//!
//! let texts: Vec<_> = examples.rows.iter().map(|row| (row.text.as_str(), None)).collect();
//! let tokenizer =
//!     train_tokenizer(texts.iter().map(|(text, _)| *text), &TrainOptions::default())?;
//! let encodings = tokenizer.encode_batch(&texts, 128)?;
//! let lengths: Vec<usize> = encodings.iter().map(|encoding| encoding.len()).collect();
//! for rows in plan(&lengths, BatchPolicy::Tokens(4096), true, Some((13, 0))) {
//!     let batch = PackedBatch::pack(&encodings, &rows);
//!     assert_eq!(batch.tokens(), lengths.iter().sum::<usize>());
//! }
//! # Ok(())
//! # }
//! ```

pub mod batches;
mod characters;
pub mod columns;
pub mod documents;
pub mod error;
pub mod examples;
pub mod labels;
pub mod perturb;
pub mod place;
pub mod pretraining;
pub mod qa;
mod random;
pub mod relations;
pub mod sources;
pub mod splits;
pub mod table;
pub mod tagging;
pub mod tokenizer;
pub mod windows;

pub use error::DataError;
