//! Pooling the features of a document's chunks into one row.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::SequenceHead;
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::Linear;
use crate::weights::{Checkpoint, WeightsError};

/// How the features of a document's chunks are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The maximum of each feature over chunks (AD-BERT).
    Max,
    /// The mean over chunks.
    Mean,
    /// A weighted mean with learned weights: see [`SectionAttention`].
    Attention,
    /// The first chunk only.
    First,
}

/// Attention weights of chunks: `softmax(wᵀ tanh(V h))` over the chunks of a document (Ilse et al. 2018, "Attention-based
/// Deep Multiple Instance Learning", equation 8).
///
/// Stored in a model folder as `section_attention.*`. transformers has no such class: it loads the rest, reports these
/// tensors as unused, and classifies chunks independently.
#[derive(Module, Debug)]
pub struct SectionAttention {
    /// `V`: `h` to 128.
    pub hidden: Linear,
    /// `w`: 128 to one score.
    pub score: Linear,
}

impl SectionAttention {
    /// Width of the hidden layer.
    const WIDTH: usize = 128;

    /// Fresh weights for features of width `h`.
    pub fn new(h: usize, init: &mut Initializer) -> Self {
        Self {
            hidden: Linear::new(h, Self::WIDTH, init),
            score: Linear::new(Self::WIDTH, 1, init),
        }
    }

    /// Reads the weights from a checkpoint; `None` if it has none.
    ///
    /// # Errors
    /// They are for features of another width, or cannot be read.
    pub fn read(
        checkpoint: &Checkpoint,
        h: usize,
        init: &mut Initializer,
    ) -> Result<Option<Self>, WeightsError> {
        if checkpoint
            .shape("section_attention.hidden.weight")
            .is_none()
        {
            return Ok(None);
        }
        let linear = |name: &str, inputs: usize, outputs: usize| {
            Linear::read(
                checkpoint,
                &format!("section_attention.{name}"),
                inputs,
                outputs,
                init.device(),
            )
        };
        Ok(Some(Self {
            hidden: linear("hidden", h, Self::WIDTH)?,
            score: linear("score", Self::WIDTH, 1)?,
        }))
    }

    /// One score per chunk: `[sections, h]` to `[sections, 1]`.
    fn scores(&self, features: Tensor<2>, context: Context<'_>) -> Tensor<2> {
        let hidden = self.hidden.forward(features, context).tanh();
        self.score.forward(hidden, context)
    }
}

impl SequenceHead {
    /// Features of chunks, `[sections, h]`, to features of documents, `[documents, h]`. `documents` has the row range of each
    /// document's chunks, at least one each.
    ///
    /// # Panics
    /// If the pooling is attention and the head has no attention weights.
    pub fn pool(
        &self,
        features: Tensor<2>,
        documents: &[Range<usize>],
        pooling: Pooling,
        context: Context<'_>,
    ) -> Tensor<2> {
        let [_, h] = features.dims();
        let scores = (pooling == Pooling::Attention).then(|| {
            let attention = self.sections.as_ref();
            attention
                .expect("a head that weighs sections has weights for it")
                .scores(features.clone(), context)
        });
        let one = |range: &Range<usize>| {
            let all = features.clone().slice([range.clone(), 0..h]);
            match (pooling, &scores) {
                (Pooling::Max, _) => all.max_dim(0),
                (Pooling::Mean, _) => all.mean_dim(0),
                (Pooling::Attention, Some(scores)) => {
                    let scores = scores.clone().slice([range.clone(), 0..1]);
                    (all * softmax(scores, 0)).sum_dim(0)
                }
                (Pooling::First | Pooling::Attention, _) => all.slice([0..1, 0..h]),
            }
        };
        Tensor::cat(documents.iter().map(one).collect(), 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::families::{EncoderConfig, Family};
    use crate::weights::to_vec;

    const H: usize = 4;

    fn head(device: &Device) -> SequenceHead {
        let config = EncoderConfig::new(Family::Bert, 10, H, 1, 1, 4);
        let mut init = Initializer::new(device, 3, 0.5);
        let mut head = SequenceHead::new(&config, 2, &mut init);
        head.sections = Some(SectionAttention::new(H, &mut init));
        head
    }

    fn values() -> Vec<f32> {
        (0..5 * H)
            .map(|i| ((i * 7919) % 13) as f32 / 5.0 - 1.0)
            .collect()
    }

    fn features(values: &[f32], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [5, H]), device)
    }

    const DOCUMENTS: [Range<usize>; 2] = [0..3, 3..5];

    #[test]
    fn documents_have_the_largest_the_mean_or_the_first_of_their_sections() {
        let device = Device::flex();
        let (head, values) = (head(&device), values());
        let pooled = |pooling| {
            to_vec(head.pool(
                features(&values, &device),
                &DOCUMENTS,
                pooling,
                Context::default(),
            ))
        };
        let expected = |of: &dyn Fn(&[f32]) -> f32| -> Vec<f32> {
            let columns = DOCUMENTS.iter().flat_map(|range| {
                (0..H).map(|c| {
                    let column: Vec<f32> = range.clone().map(|row| values[row * H + c]).collect();
                    of(&column)
                })
            });
            columns.collect()
        };
        let max = |column: &[f32]| column.iter().copied().fold(f32::MIN, f32::max);
        let close = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert_eq!(pooled(Pooling::Max), expected(&max));
        assert_eq!(pooled(Pooling::First), expected(&|column| column[0]));
        let mean = |column: &[f32]| column.iter().sum::<f32>() / column.len() as f32;
        assert!(close(pooled(Pooling::Mean), expected(&mean)));
        // With all scores 0, attention is the mean.
        let mut even = head.clone();
        let attention = even.sections.as_mut().unwrap();
        attention.score = Linear::from_values(vec![0.0; 128], vec![1.0], 128, &device);
        let weighed = to_vec(even.pool(
            features(&values, &device),
            &DOCUMENTS,
            Pooling::Attention,
            Context::default(),
        ));
        assert!(close(weighed, expected(&mean)));
    }

    #[test]
    fn gradients_of_pooling_are_those_of_differences() {
        let device = Device::flex().autodiff();
        let head = head(&device);
        let weights: Vec<f32> = (0..2 * H).map(|i| (i as f32 - 3.0) / 2.0).collect();
        let weights: Tensor<2> = Tensor::from_data(TensorData::new(weights, [2, H]), &device);
        for pooling in [
            Pooling::Max,
            Pooling::Mean,
            Pooling::Attention,
            Pooling::First,
        ] {
            let value = |values: &[f32]| {
                let pooled = head.pool(
                    features(values, &device),
                    &DOCUMENTS,
                    pooling,
                    Context::default(),
                );
                f64::from(to_vec((pooled * weights.clone()).sum())[0])
            };
            let x = features(&values(), &device).require_grad();
            let sum = (head.pool(x.clone(), &DOCUMENTS, pooling, Context::default())
                * weights.clone())
            .sum();
            let found = to_vec(x.grad(&sum.backward()).unwrap());
            for (place, found) in found.into_iter().enumerate() {
                let moved = |by: f32| {
                    let mut moved = values();
                    moved[place] += by;
                    value(&moved)
                };
                let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let error = (f64::from(found) - expected).abs();
                assert!(error < 2e-3, "{pooling:?} {place}: {found} and {expected}");
            }
        }
    }
}
