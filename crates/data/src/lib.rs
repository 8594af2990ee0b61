//! Files to examples to token ids. Knows nothing of tensors.
//!
//! [`formats`] reads CSV, TSV and JSON Lines into a [`Table`](formats::Table); [`examples`] picks the text and the label
//! of each row; [`labels`] finds out which task the labels ask for and turns them into targets; [`splits`] holds rows
//! out; [`tokenizer`] turns texts into token ids as Hugging Face transformers does; [`batches`] says which rows go
//! through the model together.
//!
//! ```
//! use bertkit_data::batches::{BatchPolicy, PackedBatch, plan};
//! use bertkit_data::examples::{Examples, MissingPolicy, Selection};
//! use bertkit_data::formats::{Format, ReadOptions, read_table_from};
//! use bertkit_data::labels::{LabelSet, TaskKind, infer_task};
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
//! assert_eq!(task.kind, TaskKind::Classification);
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

pub mod alignment;
pub mod batches;
mod characters;
pub mod columns;
pub mod documents;
mod error;
pub mod examples;
pub mod formats;
pub mod labels;
pub mod perturb;
pub mod pretraining;
pub mod questions;
mod random;
pub mod relations;
pub mod splits;
pub mod tagging;
pub mod tokenizer;
pub mod windows;

pub use error::DataError;
