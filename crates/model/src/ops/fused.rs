//! The CPU kernels as operations of Burn, each with a backward pass of its own.
//!
//! [`FusedKernels`] holds the arithmetic on a backend's tensors; [`FusedOps`] is what is called, and
//! Burn's macro routes it through the run-time device. Under autodiff each operation is one node of
//! the graph that keeps only what its backward pass reads.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Bytes, DType, Shape, Tensor};
use burn_dispatch::backends::flex::{FlexTensor, Layout};

use super::kernels::{self, Mask, Normalised};
use crate::sequences::Sequences;

/// What attention is computed over.
#[derive(Debug, Clone)]
pub(crate) struct AttentionShape {
    pub sequences: Sequences,
    pub heads: usize,
    pub mask: Option<Mask>,
}

/// What follows a residual connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormSettings {
    pub epsilon: f32,
    pub mask: Option<Mask>,
}

/// The kernels on a backend's tensors.
pub(crate) trait FusedKernels: Backend {
    /// What add-norm keeps for its backward pass.
    type Normalised: Clone + Send + Sync + std::fmt::Debug + 'static;

    fn k_linear(
        x: &FloatTensor<Self>,
        w: &FloatTensor<Self>,
        b: &FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn k_linear_input(dy: &FloatTensor<Self>, w: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn k_linear_weight(dy: &FloatTensor<Self>, x: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn k_sum_rows(dy: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn k_gelu(x: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn k_gelu_backward(dy: &FloatTensor<Self>, x: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn k_add_norm(
        x: &FloatTensor<Self>,
        residual: &FloatTensor<Self>,
        gamma: &FloatTensor<Self>,
        beta: &FloatTensor<Self>,
        settings: NormSettings,
    ) -> (FloatTensor<Self>, Self::Normalised);
    fn k_add_norm_backward(
        dy: &FloatTensor<Self>,
        normalised: &Self::Normalised,
        gamma: &FloatTensor<Self>,
        settings: NormSettings,
    ) -> [FloatTensor<Self>; 4];
    fn k_attention(qkv: &FloatTensor<Self>, shape: &AttentionShape) -> FloatTensor<Self>;
    fn k_attention_backward(
        dy: &FloatTensor<Self>,
        qkv: &FloatTensor<Self>,
        shape: &AttentionShape,
    ) -> FloatTensor<Self>;
}

/// The numbers of a tensor, row by row, in one piece of memory.
struct Contiguous(FlexTensor);

impl Contiguous {
    fn of(tensor: &FlexTensor) -> Self {
        Self(if tensor.as_slice::<f32>().is_some() {
            tensor.clone()
        } else {
            tensor.to_contiguous()
        })
    }

    fn values(&self) -> &[f32] {
        self.0
            .as_slice::<f32>()
            .expect("contiguous f32, as it was made")
    }

    fn width(&self) -> usize {
        self.0
            .layout()
            .shape()
            .as_slice()
            .last()
            .copied()
            .unwrap_or(1)
    }
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape.into()),
        DType::F32,
    )
}

fn rows_of(values: Vec<f32>, width: usize) -> FlexTensor {
    let rows = values.len() / width.max(1);
    tensor(values, [rows, width])
}

impl FusedKernels for Flex {
    type Normalised = Arc<Normalised>;

    fn k_linear(x: &FlexTensor, w: &FlexTensor, b: &FlexTensor) -> FlexTensor {
        let (x, w, b) = (Contiguous::of(x), Contiguous::of(w), Contiguous::of(b));
        rows_of(
            kernels::linear(x.values(), w.values(), b.values(), x.width()),
            b.width(),
        )
    }

    fn k_linear_input(dy: &FlexTensor, w: &FlexTensor) -> FlexTensor {
        let (dy, w) = (Contiguous::of(dy), Contiguous::of(w));
        let inputs = w.width();
        rows_of(
            kernels::linear_backward_input(dy.values(), w.values(), inputs, dy.width()),
            inputs,
        )
    }

    fn k_linear_weight(dy: &FlexTensor, x: &FlexTensor) -> FlexTensor {
        let (dy, x) = (Contiguous::of(dy), Contiguous::of(x));
        let inputs = x.width();
        rows_of(
            kernels::linear_backward_weight(dy.values(), x.values(), inputs, dy.width()),
            inputs,
        )
    }

    fn k_sum_rows(dy: &FlexTensor) -> FlexTensor {
        let dy = Contiguous::of(dy);
        tensor(kernels::sum_rows(dy.values(), dy.width()), [dy.width()])
    }

    fn k_gelu(x: &FlexTensor) -> FlexTensor {
        let x = Contiguous::of(x);
        tensor(kernels::gelu(x.values()), x.0.layout().shape().clone())
    }

    fn k_gelu_backward(dy: &FlexTensor, x: &FlexTensor) -> FlexTensor {
        let (dy, x) = (Contiguous::of(dy), Contiguous::of(x));
        tensor(
            kernels::gelu_backward(dy.values(), x.values()),
            x.0.layout().shape().clone(),
        )
    }

    fn k_add_norm(
        x: &FlexTensor,
        residual: &FlexTensor,
        gamma: &FlexTensor,
        beta: &FlexTensor,
        settings: NormSettings,
    ) -> (FlexTensor, Self::Normalised) {
        let (x, residual) = (Contiguous::of(x), Contiguous::of(residual));
        let (gamma, beta) = (Contiguous::of(gamma), Contiguous::of(beta));
        let (y, normalised) = kernels::add_norm(
            x.values(),
            residual.values(),
            gamma.values(),
            beta.values(),
            settings.epsilon,
            settings.mask,
        );
        (rows_of(y, x.width()), Arc::new(normalised))
    }

    fn k_add_norm_backward(
        dy: &FlexTensor,
        normalised: &Self::Normalised,
        gamma: &FlexTensor,
        settings: NormSettings,
    ) -> [FlexTensor; 4] {
        let (dy, gamma) = (Contiguous::of(dy), Contiguous::of(gamma));
        let h = gamma.width();
        let [dx, dr, dg, db] =
            kernels::add_norm_backward(dy.values(), normalised, gamma.values(), settings.mask);
        [
            rows_of(dx, h),
            rows_of(dr, h),
            tensor(dg, [h]),
            tensor(db, [h]),
        ]
    }

    fn k_attention(qkv: &FlexTensor, shape: &AttentionShape) -> FlexTensor {
        let qkv = Contiguous::of(qkv);
        let h = qkv.width() / 3;
        rows_of(
            kernels::attention(qkv.values(), &shape.sequences, h, shape.heads, shape.mask),
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
            &shape.sequences,
            h,
            shape.heads,
            shape.mask,
        );
        rows_of(dqkv, 3 * h)
    }
}

/// The fused operations, through the run-time device.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait FusedOps: Backend {
    fn fused_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn fused_add_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> FloatTensor<Self>;
    fn fused_attention(qkv: FloatTensor<Self>, shape: Arc<AttentionShape>) -> FloatTensor<Self>;
}

impl FusedOps for Flex {
    fn fused_linear(x: FlexTensor, w: FlexTensor, b: FlexTensor) -> FlexTensor {
        Self::k_linear(&x, &w, &b)
    }

    fn fused_gelu(x: FlexTensor) -> FlexTensor {
        Self::k_gelu(&x)
    }

    fn fused_add_norm(
        x: FlexTensor,
        residual: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        settings: NormSettings,
    ) -> FlexTensor {
        Self::k_add_norm(&x, &residual, &gamma, &beta, settings).0
    }

    fn fused_attention(qkv: FlexTensor, shape: Arc<AttentionShape>) -> FlexTensor {
        Self::k_attention(&qkv, &shape)
    }
}

impl<B: FusedKernels, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn fused_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 3> for Node {
            type State = (FloatTensor<B>, FloatTensor<B>);
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (x, w) = ops.state;
                let [nx, nw, nb] = ops.parents;
                if let Some(node) = nb {
                    gradients.register::<B>(node.id, B::k_sum_rows(&dy));
                }
                if let Some(node) = nw {
                    gradients.register::<B>(node.id, B::k_linear_weight(&dy, &x));
                }
                if let Some(node) = nx {
                    gradients.register::<B>(node.id, B::k_linear_input(&dy, &w));
                }
            }
        }
        let ((x, nx), (w, nw), (b, nb)) = (x.into_parts(), w.into_parts(), b.into_parts());
        let y = B::k_linear(&x, &w, &b);
        match Node.prepare::<C>([nx, nw, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, w), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 1> for Node {
            type State = FloatTensor<B>;
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let [nx] = ops.parents;
                if let Some(node) = nx {
                    gradients.register::<B>(node.id, B::k_gelu_backward(&dy, &ops.state));
                }
            }
        }
        let (x, nx) = x.into_parts();
        let y = B::k_gelu(&x);
        match Node.prepare::<C>([nx]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(x, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_add_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 4> for Node {
            type State = (B::Normalised, FloatTensor<B>, NormSettings);
            fn backward(
                self,
                ops: Ops<Self::State, 4>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (normalised, gamma, settings) = ops.state;
                let computed = B::k_add_norm_backward(&dy, &normalised, &gamma, settings);
                for (node, gradient) in ops.parents.into_iter().zip(computed) {
                    if let Some(node) = node {
                        gradients.register::<B>(node.id, gradient);
                    }
                }
            }
        }
        let ((x, nx), (residual, nr)) = (x.into_parts(), residual.into_parts());
        let ((gamma, ng), (beta, nb)) = (gamma.into_parts(), beta.into_parts());
        let (y, normalised) = B::k_add_norm(&x, &residual, &gamma, &beta, settings);
        match Node
            .prepare::<C>([nx, nr, ng, nb])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish((normalised, gamma, settings), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_attention(qkv: FloatTensor<Self>, shape: Arc<AttentionShape>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 1> for Node {
            type State = (FloatTensor<B>, Arc<AttentionShape>);
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (qkv, shape) = ops.state;
                let [node] = ops.parents;
                if let Some(node) = node {
                    gradients.register::<B>(node.id, B::k_attention_backward(&dy, &qkv, &shape));
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

/// `x Wᵀ + b` in one operation.
pub(crate) fn linear(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_linear(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
    ))
}

/// `x Φ(x)` in one operation.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
}

/// `LayerNorm(residual + mask · x)` in one operation.
pub(crate) fn add_norm(
    x: Tensor<2>,
    residual: Tensor<2>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    settings: NormSettings,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_add_norm(
        x.into_dispatch(),
        residual.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        settings,
    ))
}

/// Attention within each sequence in one operation.
pub(crate) fn attention(qkv: Tensor<2>, shape: AttentionShape) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_attention(
        qkv.into_dispatch(),
        Arc::new(shape),
    ))
}
