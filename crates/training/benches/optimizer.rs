//! One step of AdamW over all weights of MiniLM (22.7 million, f32, on the CPU), clipping included.
//!
//! ```sh
//! cargo bench -p bertkit -p bertkit-training --bench optimizer
//! ```
#![allow(missing_docs)]

use std::cell::RefCell;

use bertkit_model::{EncoderConfig, Family, LayerDepths, SequenceModel};
use bertkit_training::{AdamW, FinetuneConfig, GradientSum, param_group};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use divan::Bencher;

const LAYERS: usize = 6;
const WORDS: usize = 30_522;

/// Adds up all parameters, of the word embedding only some rows.
struct Sum {
    words: Option<Tensor<1, Int>>,
    total: Option<Tensor<1>>,
}

impl ModuleVisitor for Sum {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let value = match &self.words {
            Some(words) if value.dims()[0] == WORDS => value.select(0, words.clone()),
            _ => value,
        };
        let sum = value.sum();
        self.total = Some(match self.total.take() {
            Some(total) => total + sum,
            None => sum,
        });
    }
}

/// A gradient of ones, where any parameter is read.
fn gradients(model: &SequenceModel, words: Option<&Tensor<1, Int>>) -> GradientSum {
    let mut sum = Sum {
        words: words.cloned(),
        total: None,
    };
    model.visit(&mut sum);
    let mut gradients = GradientSum::default();
    if let Some(total) = sum.total {
        gradients.add(model, total.backward());
    }
    gradients
}

fn main() {
    divan::main();
}

/// Times steps; the gradients are made outside the time.
fn time(bencher: Bencher<'_, '_>, words: Option<i32>) {
    let device = Device::flex().autodiff();
    let config = EncoderConfig::new(Family::default(), WORDS, 384, LAYERS, 12, 1536);
    let words = words.map(|n| {
        let ids: Vec<i32> = (0..n).map(|word| word * 3).collect();
        let n = ids.len();
        Tensor::from_data(TensorData::new(ids, [n]), &device)
    });
    let settings = FinetuneConfig::default().optimizer;
    let mut optimizer = AdamW::new(&settings);
    // Outside of its own step, the model waits here.
    let kept = RefCell::new(Some(SequenceModel::fresh(&config, 2, &device, 1)));
    bencher
        .with_inputs(|| {
            let model = kept.take();
            let gradients = model.as_ref().map(|model| gradients(model, words.as_ref()));
            model.zip(gradients)
        })
        .bench_local_values(|input| {
            if let Some((model, gradients)) = input {
                let (model, _) = optimizer.step(model, gradients, settings.learning_rate, |path| {
                    param_group(path, &LayerDepths::unshared(LAYERS), 1.0, false, 0)
                });
                kept.replace(Some(model));
            }
        });
}

#[divan::bench(sample_count = 20, sample_size = 1, max_time = 10)]
fn every_word_has_a_gradient(bencher: Bencher<'_, '_>) {
    time(bencher, None);
}

#[divan::bench(
    name = "512_of_30522_words_have_a_gradient",
    sample_count = 20,
    sample_size = 1,
    max_time = 10
)]
fn few_words_have_a_gradient(bencher: Bencher<'_, '_>) {
    time(bencher, Some(512));
}
