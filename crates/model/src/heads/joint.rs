//! The end of an answer given its start, and whether the question has an answer.

use burn::module::Module;
use burn::tensor::activation::{log_sigmoid, log_softmax, softmax};
use burn::tensor::{Bool, Int, Tensor, TensorData};

use super::SpanHead;
use crate::context::Context;
use crate::initialize::Initializer;
use crate::ops::{Linear, activate, dropout, matmul};
use crate::sequences::{Sequences, index};
use crate::spec::Activation;
use crate::weights::{Checkpoint, WeightsError, to_vec};

/// The additional scores of ELECTRA's question answering (`finetune/qa/qa_tasks.py` of google-research/electra):
///
/// - the score of an end, given a start: `GELU-512([h_start; h_end]) → 1`. Training uses the true start; inference searches
///   the best ends of each of the best starts;
/// - the score of "there is no answer": `GELU-512([h_first; Σ p_start h]) → 1`, if some questions have none.
///
/// Stored in a model folder as `joint.*`, next to `qa_outputs`, of which only the start is used. transformers has no such
/// class: it loads the rest, reports these tensors as unused, and cannot predict where answers end.
#[derive(Module, Debug)]
pub struct JointSpan {
    /// Start and end together: `2 h` to 512.
    pub end_hidden: Linear,
    /// 512 to one score.
    pub end_score: Linear,
    /// Scores whether there is an answer, if some questions have none.
    pub answerable: Option<Answerable>,
}

/// The score of "there is no answer".
#[derive(Module, Debug)]
pub struct Answerable {
    /// The first token, and the expected start token: `2 h` to 512.
    pub hidden: Linear,
    /// 512 to one score.
    pub score: Linear,
}

/// Width of the hidden layers.
const WIDTH: usize = 512;

/// Weight of the "no answer" loss relative to the loss of the answer.
const ANSWERABLE_WEIGHT: f64 = 0.5;

/// The target of a window, in positions of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanTarget {
    /// First token; the first of the input if the window does not contain the answer.
    pub start: usize,
    /// Last token.
    pub end: usize,
    /// Whether the question has no answer at all.
    pub impossible: bool,
}

/// A candidate answer, in positions of the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProposedSpan {
    /// First token.
    pub start: usize,
    /// Last token.
    pub end: usize,
    /// Logarithm of the start's probability.
    pub start_score: f32,
    /// Logarithm of the end's probability, given the start.
    pub end_score: f32,
}

/// The head's output for a window.
#[derive(Debug, Clone, PartialEq)]
pub struct JointScores {
    /// The most probable ends of each of the most probable starts.
    pub spans: Vec<ProposedSpan>,
    /// The score of "there is no answer": its log-odds if the head was trained to detect it, otherwise the score of the
    /// first token as start and end.
    pub null: f32,
}

impl JointSpan {
    /// Fresh weights for an encoder of width `h`; `answerable` says whether some questions have no answer.
    pub fn new(h: usize, answerable: bool, init: &mut Initializer) -> Self {
        Self {
            end_hidden: Linear::new(2 * h, WIDTH, init),
            end_score: Linear::new(WIDTH, 1, init),
            answerable: answerable.then(|| Answerable {
                hidden: Linear::new(2 * h, WIDTH, init),
                score: Linear::new(WIDTH, 1, init),
            }),
        }
    }

    /// Reads the head from a checkpoint; `None` if it has none.
    ///
    /// # Errors
    /// It is for an encoder of another width, or cannot be read.
    pub fn read(
        checkpoint: &Checkpoint,
        h: usize,
        init: &Initializer,
    ) -> Result<Option<Self>, WeightsError> {
        let has = |name: &str| checkpoint.shape(&format!("joint.{name}.weight")).is_some();
        if !has("end_hidden") {
            return Ok(None);
        }
        let linear = |name: &str, inputs: usize, outputs: usize| {
            Linear::read(
                checkpoint,
                &format!("joint.{name}"),
                inputs,
                outputs,
                init.device(),
            )
        };
        let answerable = match has("answerable.hidden") {
            false => None,
            true => Some(Answerable {
                hidden: linear("answerable.hidden", 2 * h, WIDTH)?,
                score: linear("answerable.score", WIDTH, 1)?,
            }),
        };
        Ok(Some(Self {
            end_hidden: linear("end_hidden", 2 * h, WIDTH)?,
            end_score: linear("end_score", WIDTH, 1)?,
            answerable,
        }))
    }

    /// The contributions of starts, `[starts, h]`, and of ends, `[ends, h]`, to the output of [`Self::end_hidden`].
    fn halves(
        &self,
        starts: Tensor<2>,
        ends: Tensor<2>,
        context: Context<'_>,
    ) -> (Tensor<2>, Tensor<2>) {
        let [_, h] = ends.dims();
        let weight = self.end_hidden.weight.val();
        let half = |at: usize| weight.clone().narrow(1, at * h, h).transpose();
        let starts = matmul(starts, half(0), context);
        let ends = matmul(ends, half(1), context) + self.end_hidden.bias.val().unsqueeze();
        (starts, ends)
    }

    /// Scores from the sum of both contributions, `[rows, 512]` to `[rows]`.
    fn scores(&self, hidden: Tensor<2>, context: Context<'_>) -> Tensor<1> {
        let hidden = activate(hidden, Activation::Gelu);
        self.end_score.forward(hidden, context).squeeze_dim(1)
    }
}

/// The tokens of some windows at which answers may start and end: the first, which means that there is no answer, and those
/// from the start of the text to the end (`answer_mask` of the reference).
struct Candidates {
    /// `[tokens, h]`, window by window.
    hidden: Tensor<2>,
    windows: Sequences,
    /// Position of the first text token in each window's input.
    texts: Vec<usize>,
    padding: Tensor<2, Bool>,
    cells: Tensor<1, Int>,
}

impl Candidates {
    fn new(hidden: Tensor<2>, sequences: &Sequences, texts: &[usize]) -> Self {
        let device = hidden.device();
        let mut rows = Vec::new();
        let mut lengths = Vec::with_capacity(texts.len());
        for (window, &text) in texts.iter().enumerate() {
            let first = sequences.offsets()[window];
            let length = sequences.length(window);
            rows.push(first as i32);
            rows.extend((text..length).map(|token| (first + token) as i32));
            lengths.push(1 + length - text);
        }
        let windows = Sequences::from_lengths(&lengths);
        Self {
            hidden: hidden.select(0, index(rows, &device)),
            padding: windows.padding(windows.longest(), &device),
            cells: windows.gather_rows(windows.longest(), &device),
            windows,
            texts: texts.to_vec(),
        }
    }

    /// Scores of candidates, `[tokens]`, padded to `[windows, longest]` with a low value.
    fn padded(&self, scores: Tensor<1>) -> Tensor<2> {
        let shape = [self.windows.len(), self.windows.longest()];
        let padded = scores.select(0, self.cells.clone()).reshape(shape);
        padded.mask_fill(self.padding.clone(), -1e9)
    }

    /// The candidate at a position in a window's input.
    fn at(&self, window: usize, position: usize) -> usize {
        match position {
            0 => 0,
            token => token - self.texts[window] + 1,
        }
    }

    /// The position of a candidate in a window's input.
    fn position(&self, window: usize, candidate: usize) -> usize {
        match candidate {
            0 => 0,
            token => token - 1 + self.texts[window],
        }
    }

    /// The row of one candidate per window, `[windows, h]`.
    fn rows(&self, candidates: &[usize]) -> Tensor<2> {
        let firsts = self.windows.offsets().iter();
        let rows = firsts
            .zip(candidates)
            .map(|(&first, &at)| (first + at) as i32);
        let rows = index(rows.collect(), &self.hidden.device());
        self.hidden.clone().select(0, rows)
    }

    /// The log-softmax over each window's candidates at the chosen one, summed over windows: `[1]`.
    fn log_likelihood(&self, scores: Tensor<1>, chosen: &[usize]) -> Tensor<1> {
        let chosen: Vec<i32> = chosen.iter().map(|&at| at as i32).collect();
        let chosen = TensorData::new(chosen, [self.windows.len(), 1]);
        let chosen: Tensor<2, Int> = Tensor::from_data(chosen, &self.hidden.device());
        log_softmax(self.padded(scores), 1).gather(1, chosen).sum()
    }

    /// The log-odds that there is no answer, `[windows]`.
    fn no_answer(&self, head: &Answerable, starts: Tensor<1>, context: Context<'_>) -> Tensor<1> {
        let [_, h] = self.hidden.dims();
        let [windows, longest] = [self.windows.len(), self.windows.longest()];
        let shares = softmax(self.padded(starts), 1).reshape([windows, 1, longest]);
        let rows = self.hidden.clone().select(0, self.cells.clone());
        let rows = rows.reshape([windows, longest, h]);
        let expected = matmul(shares, rows, context).reshape([windows, h]);
        let first = self.rows(&vec![0; windows]);
        let features = Tensor::cat(vec![first, expected], 1);
        let hidden = head
            .hidden
            .forward_activated(features, Activation::Gelu, context);
        head.score.forward(hidden, context).squeeze_dim(1)
    }
}

impl SpanHead {
    /// Start logits of all candidates, and the joint head.
    fn joint_starts(
        &self,
        candidates: &Candidates,
        context: Context<'_>,
    ) -> (Tensor<1>, &JointSpan) {
        let both = self.outputs.forward(candidates.hidden.clone(), context);
        let joint = self.joint.as_ref();
        let joint = joint.expect("a head that scores ends after starts has weights for it");
        (both.narrow(1, 0, 1).squeeze_dim(1), joint)
    }

    /// The loss of windows: the mean of the cross-entropies of the start, and of the end given the true start, plus half that of
    /// whether there is an answer; summed over windows, `[1]`. `hidden` is `[tokens, h]`; `texts` are the positions of the first
    /// text token in each window's input.
    ///
    /// # Panics
    /// If the head has no [`Self::joint`], or a target lies in the question.
    pub fn joint_loss(
        &self,
        hidden: Tensor<2>,
        sequences: &Sequences,
        texts: &[usize],
        targets: &[SpanTarget],
        context: Context<'_>,
    ) -> Tensor<1> {
        let hidden = dropout(hidden, self.dropout, context);
        let candidates = Candidates::new(hidden, sequences, texts);
        let (starts, joint) = self.joint_starts(&candidates, context);
        let numbered = || targets.iter().enumerate();
        let first: Vec<usize> = numbered()
            .map(|(window, target)| candidates.at(window, target.start))
            .collect();
        let last: Vec<usize> = numbered()
            .map(|(window, target)| candidates.at(window, target.end))
            .collect();
        let device = candidates.hidden.device();
        let (known, ends) =
            joint.halves(candidates.rows(&first), candidates.hidden.clone(), context);
        let windows = &candidates.windows;
        let owners = (0..windows.len())
            .flat_map(|window| std::iter::repeat_n(window as i32, windows.length(window)));
        let known = known.select(0, index(owners.collect(), &device));
        let ends = joint.scores(known + ends, context);
        let likelihood = candidates.log_likelihood(starts.clone(), &first)
            + candidates.log_likelihood(ends, &last);
        let loss = likelihood * -0.5;
        let Some(answerable) = &joint.answerable else {
            return loss;
        };
        let logits = candidates.no_answer(answerable, starts, context);
        let signs: Vec<f32> = targets
            .iter()
            .map(|target| if target.impossible { 1.0 } else { -1.0 })
            .collect();
        let signs = Tensor::from_data(TensorData::new(signs, [targets.len()]), &device);
        loss - log_sigmoid(logits * signs).sum() * ANSWERABLE_WEIGHT
    }

    /// The `beam` best ends of each of the `beam` best starts of each window, and the score of "there is no answer"; shapes as in
    /// [`Self::joint_loss`].
    ///
    /// # Panics
    /// If the head has no [`Self::joint`].
    pub fn joint_scores(
        &self,
        hidden: Tensor<2>,
        sequences: &Sequences,
        texts: &[usize],
        beam: usize,
        context: Context<'_>,
    ) -> Vec<JointScores> {
        let candidates = Candidates::new(hidden, sequences, texts);
        let (starts, joint) = self.joint_starts(&candidates, context);
        let no_answer = joint
            .answerable
            .as_ref()
            .map(|head| to_vec(candidates.no_answer(head, starts.clone(), context)));
        let logits = to_vec(starts);
        let windows = &candidates.windows;
        let device = candidates.hidden.device();
        let one = |window: usize| {
            let (from, length) = (windows.offsets()[window], windows.length(window));
            let start_scores = log_probabilities(&logits[from..from + length]);
            let chosen = best(&start_scores, beam);
            let mut looked_at = chosen.clone();
            if no_answer.is_none() && !looked_at.contains(&0) {
                looked_at.push(0);
            }
            let rows = looked_at.iter().map(|&at| at as i32).collect();
            let hidden = candidates.hidden.clone().narrow(0, from, length);
            let known = hidden.clone().select(0, index(rows, &device));
            let (known, ends) = joint.halves(known, hidden, context);
            let (count, width) = (looked_at.len(), WIDTH);
            let sum = known.reshape([count, 1, width]) + ends.reshape([1, length, width]);
            let scores = to_vec(joint.scores(sum.reshape([count * length, width]), context));
            let mut spans = Vec::with_capacity(chosen.len() * beam.min(length));
            let mut first = 0.0;
            for (place, (&start, scores)) in looked_at.iter().zip(scores.chunks(length)).enumerate()
            {
                let end_scores = log_probabilities(scores);
                if start == 0 {
                    first = start_scores[0] + end_scores[0];
                }
                if place < chosen.len() {
                    spans.extend(best(&end_scores, beam).into_iter().map(|end| ProposedSpan {
                        start: candidates.position(window, start),
                        end: candidates.position(window, end),
                        start_score: start_scores[start],
                        end_score: end_scores[end],
                    }));
                }
            }
            JointScores {
                spans,
                null: no_answer.as_ref().map_or(first, |scores| scores[window]),
            }
        };
        (0..windows.len()).map(one).collect()
    }
}

/// Log-softmax.
fn log_probabilities(scores: &[f32]) -> Vec<f32> {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|&s| f64::from(s - top).exp()).sum();
    let log = sum.ln();
    scores
        .iter()
        .map(|&s| (f64::from(s - top) - log) as f32)
        .collect()
}

/// Indices of the highest scores, highest first; ties go to the lower index.
fn best(scores: &[f32], count: usize) -> Vec<usize> {
    let descending = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    let mut order: Vec<usize> = (0..scores.len()).collect();
    if count < order.len() {
        order.select_nth_unstable_by(count, descending);
        order.truncate(count);
    }
    order.sort_unstable_by(descending);
    order
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::tensor::Device;
    use serde_json::Value;

    use super::*;
    use crate::families::{EncoderConfig, Family};

    const H: usize = 4;

    /// The cases written by `scripts/golden/make_joint.py`.
    fn cases() -> Vec<Value> {
        let text = include_str!("../../tests/golden/joint.json");
        serde_json::from_str(text).unwrap()
    }

    fn numbers(value: &Value) -> Vec<f32> {
        let number = |value: &Value| match value.as_array() {
            Some(_) => numbers(value),
            None => vec![value.as_f64().unwrap() as f32],
        };
        value.as_array().unwrap().iter().flat_map(number).collect()
    }

    fn places(value: &Value) -> Vec<usize> {
        let place = |value: &Value| value.as_u64().unwrap() as usize;
        value.as_array().unwrap().iter().map(place).collect()
    }

    fn head(case: &Value, device: &Device) -> SpanHead {
        let config = EncoderConfig::new(Family::Electra, 10, H, 1, 1, 4);
        let mut init = Initializer::new(device, 3, 0.5);
        let mut head = SpanHead::new(&config, &mut init);
        let weights = &case["weights"];
        let linear = |name: &str, inputs: usize| {
            let values = |leaf: &str| numbers(&weights[format!("{name}.{leaf}")]);
            Linear::from_values(values("weight"), values("bias"), inputs, device)
        };
        head.outputs = linear("outputs", H);
        head.joint = Some(JointSpan {
            end_hidden: linear("end_hidden", 2 * H),
            end_score: linear("end_score", WIDTH),
            answerable: (!weights["answerable.hidden.bias"].is_null()).then(|| Answerable {
                hidden: linear("answerable.hidden", 2 * H),
                score: linear("answerable.score", WIDTH),
            }),
        });
        head
    }

    fn near(found: &[f32], expected: &[f32], what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            let bound = 2e-5 * expected.abs().max(1.0);
            assert!(
                (found - expected).abs() < bound,
                "{what}: {found} and {expected}"
            );
        }
    }

    fn input(case: &Value, device: &Device) -> (Tensor<2>, Sequences, Vec<usize>) {
        let values = numbers(&case["hidden"]);
        let shape = [values.len() / H, H];
        (
            Tensor::from_data(TensorData::new(values, shape), device),
            Sequences::from_lengths(&places(&case["lengths"])),
            places(&case["texts"]),
        )
    }

    fn compare_losses_and_gradients(context: Context<'_>) {
        let device = Device::flex().autodiff();
        for case in cases() {
            let head = head(&case, &device);
            let (hidden, sequences, texts) = input(&case, &device);
            let hidden = hidden.require_grad();
            let starts = places(&case["starts"]).into_iter();
            let ends = places(&case["ends"]);
            let impossible = case["impossible"].as_array().unwrap();
            let targets: Vec<SpanTarget> = starts
                .zip(ends)
                .zip(impossible)
                .map(|((start, end), impossible)| SpanTarget {
                    start,
                    end,
                    impossible: impossible.as_bool().unwrap(),
                })
                .collect();
            let loss = head.joint_loss(hidden.clone(), &sequences, &texts, &targets, context);
            let expected = case["loss"].as_f64().unwrap() as f32;
            near(&to_vec(loss.clone()), &[expected], "loss");
            let gradients = loss.backward();
            let of = &case["gradients"];
            let found = to_vec(hidden.grad(&gradients).unwrap());
            near(&found, &numbers(&of["hidden"]), "hidden");
            let joint = head.joint.as_ref().unwrap();
            let mut all = vec![
                ("outputs", &head.outputs),
                ("end_hidden", &joint.end_hidden),
                ("end_score", &joint.end_score),
            ];
            if let Some(answerable) = &joint.answerable {
                all.push(("answerable.hidden", &answerable.hidden));
                all.push(("answerable.score", &answerable.score));
            }
            for (name, linear) in all {
                let weight = to_vec(linear.weight.val().grad(&gradients).unwrap());
                near(&weight, &numbers(&of[format!("{name}.weight")]), name);
                let bias = to_vec(linear.bias.val().grad(&gradients).unwrap());
                near(&bias, &numbers(&of[format!("{name}.bias")]), name);
            }
        }
    }

    #[test]
    fn losses_and_gradients_are_those_of_pytorch() {
        let context = Context::default();
        compare_losses_and_gradients(context);
        compare_losses_and_gradients(context.with_composed_operations());
    }

    #[test]
    fn the_beam_is_that_of_pytorch() {
        let device = Device::flex();
        for case in cases() {
            let (hidden, sequences, texts) = input(&case, &device);
            let beam = case["beam"].as_u64().unwrap() as usize;
            let found = head(&case, &device).joint_scores(
                hidden,
                &sequences,
                &texts,
                beam,
                Context::default(),
            );
            let expected = case["decoded"].as_array().unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let spans = expected["spans"].as_array().unwrap();
                assert_eq!(found.spans.len(), spans.len());
                near(
                    &[found.null],
                    &[expected["null"].as_f64().unwrap() as f32],
                    "null",
                );
                for (found, span) in found.spans.iter().zip(spans) {
                    let span = numbers(span);
                    assert_eq!([found.start as f32, found.end as f32], span[..2]);
                    near(&[found.start_score, found.end_score], &span[2..], "span");
                }
            }
        }
    }
}
