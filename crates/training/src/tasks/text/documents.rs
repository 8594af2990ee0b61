//! Documents: several texts, or sections of a long one, with one label.

use std::ops::Range;

use bertkit_data::documents::Document;
use bertkit_data::examples::{Examples, RawExample};
use bertkit_data::tokenizer::Encoding;
use bertkit_model::weights::to_vec;
use bertkit_model::{Context, SequenceModel};
use burn::tensor::{Tensor, TensorData};

use crate::config::Pool;
use crate::tasks::batches::{inference_batches, pack};

/// The texts of documents; in `examples`, only the first row of each document remains.
pub(crate) fn gather(examples: &mut Examples, documents: &[Document]) -> Vec<Vec<String>> {
    let mut rows: Vec<Option<RawExample>> = std::mem::take(&mut examples.rows)
        .into_iter()
        .map(Some)
        .collect();
    let mut texts = Vec::with_capacity(documents.len());
    for document in documents {
        let mut own = Vec::with_capacity(document.rows.len());
        for (number, &row) in document.rows.iter().enumerate() {
            let Some(mut row) = rows[row].take() else {
                continue;
            };
            own.push(std::mem::take(&mut row.text));
            if number == 0 {
                examples.rows.push(row);
            }
        }
        texts.push(own);
    }
    texts
}

/// Logits of documents, `[documents, outputs]` row after row: sections go through the encoder in batches, and their
/// features are pooled. `progress` receives the number of sections done.
pub(crate) fn document_logits(
    model: &SequenceModel,
    sections: &[Encoding],
    documents: &[Range<usize>],
    pool: Pool,
    context: Context<'_>,
    progress: &mut dyn FnMut(usize),
) -> Vec<f32> {
    // Number of documents whose features are on the device at once.
    const TOGETHER: usize = 64;
    let lengths: Vec<usize> = sections.iter().map(Encoding::len).collect();
    let mut features: Vec<f32> = Vec::new();
    let (mut width, mut done) = (0, 0);
    for batch in inference_batches(&lengths) {
        let found = model.features(&pack(sections, &batch), context);
        [_, width] = found.dims();
        features.resize(sections.len() * width, 0.0);
        for (&section, row) in batch.iter().zip(to_vec(found).chunks(width)) {
            features[section * width..(section + 1) * width].copy_from_slice(row);
        }
        done += batch.len();
        progress(done);
    }
    let device = model.head.classifier.device();
    let mut logits = Vec::new();
    for documents in documents.chunks(TOGETHER) {
        let (Some(first), Some(last)) = (documents.first(), documents.last()) else {
            break;
        };
        let part = features[first.start * width..last.end * width].to_vec();
        let shape = [last.end - first.start, width];
        let part = Tensor::from_data(TensorData::new(part, shape), &device);
        let within = |range: &Range<usize>| range.start - first.start..range.end - first.start;
        let documents: Vec<_> = documents.iter().map(within).collect();
        let pooled = model.head.pool(part, &documents, pool.into(), context);
        logits.extend(to_vec(model.head.forward(pooled, context)));
    }
    logits
}
