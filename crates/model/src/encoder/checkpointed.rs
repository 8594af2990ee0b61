//! Encoder blocks with gradient checkpointing: each keeps only its input and is recomputed in
//! the backward pass, with the same dropout masks.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::block::Block;
use crate::context::Context;
use crate::dropout_stream::DropoutStream;
use crate::ops::AttentionPlan;
use crate::sequences::Sequences;
use crate::tape::{KeptGraph, Segment, TakeGradients, Tape, leaf};

/// A block and the inputs it is recomputed from.
#[derive(Debug)]
struct CheckpointedBlock {
    block: Block,
    sequences: Sequences,
    rows: Option<Tensor<1, Int>>,
    /// How the block was computed; the dropout stream is `dropout`.
    context: Context<'static>,
    dropout: DropoutStream,
    input: Tensor<2>,
    output: Tensor<2>,
}

/// A forward pass that is recorded on the tape of its context.
pub(super) struct Recording<'a> {
    context: Context<'a>,
    tape: &'a Tape,
    dropout: &'a DropoutStream,
}

impl<'a> Recording<'a> {
    /// `None` unless blocks over `hidden` are trained with gradient checkpointing.
    pub fn of(hidden: &Tensor<2>, context: Context<'a>) -> Option<Self> {
        let (tape, dropout) = (context.tape()?, context.dropout()?);
        hidden.device().is_autodiff().then_some(Self {
            context,
            tape,
            dropout,
        })
    }

    /// Computes the blocks over `embedded` without a graph and records them. Of the top block, only
    /// `rows` are computed after attention, if given. `embeddings_learn` says whether `embedded` has a
    /// graph that gradients are passed on to. `see` is called with the output of each block.
    pub fn forward(
        self,
        blocks: &[&Block],
        embedded: Tensor<2>,
        embeddings_learn: bool,
        sequences: &Sequences,
        rows: Option<&Tensor<1, Int>>,
        mut see: impl FnMut(&Tensor<2>),
    ) -> Tensor<2> {
        let context = self.context;
        let plan = AttentionPlan::new(sequences, &embedded.device().inner(), context);
        let mut input = leaf(&embedded);
        let mut segments: Vec<Box<dyn Segment>> = Vec::with_capacity(blocks.len() + 1);
        if embeddings_learn {
            segments.push(Box::new(KeptGraph {
                graph: embedded,
                output: input.clone(),
            }));
        }
        for (i, &block) in blocks.iter().enumerate() {
            let rows = rows.filter(|_| i + 1 == blocks.len());
            let dropout = self.dropout.snapshot();
            let plain_rows = rows.map(|rows| rows.clone().inner());
            let output =
                block
                    .valid()
                    .forward(input.clone().inner(), &plan, plain_rows.as_ref(), context);
            let output = Tensor::from_inner(output).require_grad();
            segments.push(Box::new(CheckpointedBlock {
                block: block.clone(),
                sequences: sequences.clone(),
                rows: rows.cloned(),
                context: context.evaluation(),
                dropout,
                input,
                output: output.clone(),
            }));
            see(&output);
            input = output;
        }
        self.tape.record(segments);
        input
    }
}

impl Segment for CheckpointedBlock {
    fn output(&self) -> &Tensor<2> {
        &self.output
    }

    fn backward(
        self: Box<Self>,
        gradient: Tensor<2>,
        take: TakeGradients<'_>,
    ) -> Option<Tensor<2>> {
        let input = leaf(&self.input);
        let context = self.context.recomputing(&self.dropout);
        let plan = AttentionPlan::new(&self.sequences, &input.device(), context);
        let output = self
            .block
            .forward(input.clone(), &plan, self.rows.as_ref(), context);
        let mut gradients = (output * Tensor::from_inner(gradient)).sum().backward();
        let passed = input.grad_remove(&mut gradients);
        take(gradients);
        passed
    }
}
