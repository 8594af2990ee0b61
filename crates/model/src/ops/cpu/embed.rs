//! Embedding look-ups, LayerNorm and dropout in one operation.

use super::kernels::{self, Ids, Tables};
use super::norm::{NormKernels, NormSettings};
use super::tensor::{Contiguous, Float, ids, register, rows_of, tensor};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use burn_dispatch::backends::flex::FlexTensor;
use std::sync::Arc;

/// The embedding tables, and the rows of them that are summed.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub ids: Arc<Ids>,
    pub settings: NormSettings,
}

/// The kernels on a backend's tensors.
pub(crate) trait EmbedKernels: NormKernels {
    fn k_embed(
        word: &Float<Self>,
        position: &Float<Self>,
        token_type: &Float<Self>,
        scale: [&Float<Self>; 2],
        lookup: &Lookup,
    ) -> (Float<Self>, Self::Normalised);
    /// Gradients with respect to the sums, the scale and the shift.
    fn k_embed_backward(
        dy: &Float<Self>,
        normalised: &Self::Normalised,
        gamma: &Float<Self>,
        settings: NormSettings,
    ) -> [Float<Self>; 3];
    /// Sums rows by id into a table of `size` rows.
    fn k_scatter(rows: &Float<Self>, ids: &[u32], size: usize) -> Float<Self>;
}

impl EmbedKernels for Flex {
    fn k_embed(
        word: &FlexTensor,
        position: &FlexTensor,
        token_type: &FlexTensor,
        scale: [&FlexTensor; 2],
        lookup: &Lookup,
    ) -> (FlexTensor, Self::Normalised) {
        let tables = [word, position, token_type].map(Contiguous::of);
        let scale = scale.map(Contiguous::of);
        let [word, position, token_type] = tables.each_ref().map(Contiguous::values);
        let (y, normalised) = kernels::embed_norm(
            Tables {
                word,
                position,
                token_type,
            },
            &lookup.ids,
            scale.each_ref().map(Contiguous::values),
            lookup.settings.epsilon,
            lookup.settings.mask,
        );
        (rows_of(y, scale[0].width()), Arc::new(normalised))
    }

    fn k_embed_backward(
        dy: &FlexTensor,
        normalised: &Self::Normalised,
        gamma: &FlexTensor,
        settings: NormSettings,
    ) -> [FlexTensor; 3] {
        let (dy, gamma) = (Contiguous::of(dy), Contiguous::of(gamma));
        let e = gamma.width();
        let [sums, dg, db] =
            kernels::embed_norm_backward(dy.values(), normalised, gamma.values(), settings.mask);
        [rows_of(sums, e), tensor(dg, [e]), tensor(db, [e])]
    }

    fn k_scatter(rows: &FlexTensor, ids: &[u32], size: usize) -> FlexTensor {
        let rows = Contiguous::of(rows);
        let e = rows.width();
        tensor(kernels::scatter(rows.values(), ids, size, e), [size, e])
    }
}

/// The operation, dispatched to the run-time device.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait EmbedOps: Backend {
    fn fused_embed(
        word: FloatTensor<Self>,
        position: FloatTensor<Self>,
        token_type: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        lookup: Lookup,
    ) -> FloatTensor<Self>;
}

impl EmbedOps for Flex {
    fn fused_embed(
        word: FlexTensor,
        position: FlexTensor,
        token_type: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        lookup: Lookup,
    ) -> FlexTensor {
        Self::k_embed(&word, &position, &token_type, [&gamma, &beta], &lookup).0
    }
}

impl<B: EmbedKernels, C: CheckpointStrategy> EmbedOps for Autodiff<B, C> {
    fn fused_embed(
        word: Float<Self>,
        position: Float<Self>,
        token_type: Float<Self>,
        gamma: Float<Self>,
        beta: Float<Self>,
        lookup: Lookup,
    ) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: EmbedKernels> Backward<B, 5> for Node {
            type State = (B::Normalised, Float<B>, Lookup, [usize; 3]);
            fn backward(
                self,
                ops: Ops<Self::State, 5>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (normalised, gamma, lookup, sizes) = ops.state;
                let [word, position, token_type, ng, nb] = ids!(ops.parents);
                let [sums, dg, db] = B::k_embed_backward(&dy, &normalised, &gamma, lookup.settings);
                let ids = [&lookup.ids.words, &lookup.ids.positions, &lookup.ids.types];
                let parents = [word, position, token_type];
                for ((parent, ids), size) in parents.into_iter().zip(ids).zip(sizes) {
                    if let Some(parent) = parent {
                        gradients.register::<B>(parent, B::k_scatter(&sums, ids, size));
                    }
                }
                register::<B, 2>(gradients, [ng, nb], [dg, db]);
            }
        }
        let (word, nw) = word.into_parts();
        let (position, np) = position.into_parts();
        let (token_type, nt) = token_type.into_parts();
        let ((gamma, ng), (beta, nb)) = (gamma.into_parts(), beta.into_parts());
        let sizes = [&word, &position, &token_type].map(|table| table.shape().dims::<2>()[0]);
        let (y, normalised) = B::k_embed(&word, &position, &token_type, [&gamma, &beta], &lookup);
        match Node
            .prepare::<C>([nw, np, nt, ng, nb])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish((normalised, gamma, lookup, sizes), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

/// `mask · LayerNorm(word + position + type)` in one operation.
pub(crate) fn embed(
    [word, position, token_type]: [Tensor<2>; 3],
    [gamma, beta]: [Tensor<1>; 2],
    lookup: Lookup,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_embed(
        word.into_dispatch(),
        position.into_dispatch(),
        token_type.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        lookup,
    ))
}
