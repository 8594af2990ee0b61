//! Attention within each sequence of packed rows in one operation.

use super::kernels::{self, Mask};
use super::tensor::{Contiguous, Float, ids, rows_of};
use crate::sequences::Sequences;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_dispatch::backends::flex::FlexTensor;
use std::sync::Arc;

/// The sequences and heads of attention, and its dropout mask.
#[derive(Debug, Clone)]
pub(crate) struct AttentionShape {
    pub sequences: Sequences,
    pub heads: usize,
    pub mask: Option<Mask>,
}

/// The kernels on a backend's tensors.
pub(crate) trait AttentionKernels: Backend {
    fn k_attention(qkv: &Float<Self>, shape: &AttentionShape) -> Float<Self>;
    fn k_attention_backward(
        dy: &Float<Self>,
        qkv: &Float<Self>,
        shape: &AttentionShape,
    ) -> Float<Self>;
}

impl AttentionKernels for Flex {
    fn k_attention(qkv: &FlexTensor, shape: &AttentionShape) -> FlexTensor {
        let qkv = Contiguous::of(qkv);
        let h = qkv.width() / 3;
        rows_of(
            kernels::attention(
                qkv.values(),
                shape.sequences.offsets(),
                h,
                shape.heads,
                shape.mask,
            ),
            h,
        )
    }

    fn k_attention_backward(
        dy: &FlexTensor,
        qkv: &FlexTensor,
        shape: &AttentionShape,
    ) -> FlexTensor {
        let (dy, qkv) = (Contiguous::of(dy), Contiguous::of(qkv));
        let h = dy.width();
        let dqkv = kernels::attention_backward(
            dy.values(),
            qkv.values(),
            shape.sequences.offsets(),
            h,
            shape.heads,
            shape.mask,
        );
        rows_of(dqkv, 3 * h)
    }
}

/// The operation, dispatched to the run-time device.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait AttentionOps: Backend {
    fn fused_attention(qkv: FloatTensor<Self>, shape: Arc<AttentionShape>) -> FloatTensor<Self>;
}

impl AttentionOps for Flex {
    fn fused_attention(qkv: FlexTensor, shape: Arc<AttentionShape>) -> FlexTensor {
        Self::k_attention(&qkv, &shape)
    }
}

impl<B: AttentionKernels, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn fused_attention(qkv: Float<Self>, shape: Arc<AttentionShape>) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: AttentionKernels> Backward<B, 1> for Node {
            type State = (Float<B>, Arc<AttentionShape>);
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (qkv, shape) = ops.state;
                let [node] = ids!(ops.parents);
                if let Some(node) = node {
                    gradients.register::<B>(node, B::k_attention_backward(&dy, &qkv, &shape));
                }
            }
        }
        let (qkv, node) = qkv.into_parts();
        let y = B::k_attention(&qkv, &shape);
        match Node.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((qkv, shape), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

/// Attention within each sequence in one operation.
pub(crate) fn attention(qkv: Tensor<2>, shape: AttentionShape) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_attention(
        qkv.into_dispatch(),
        Arc::new(shape),
    ))
}
