//! Matrix products in a chosen precision.
//!
//! A product is one node of the autodiff graph, so its backward pass multiplies in the same precision.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{FloatDType, Tensor};

use crate::context::Context;
use crate::precision::MatmulPrecision;

/// `a b` over the last two dimensions, in the precision of `context`.
pub(crate) fn matmul<const D: usize>(
    a: Tensor<D>,
    b: Tensor<D>,
    context: Context<'_>,
) -> Tensor<D> {
    match context.matmul_precision() {
        MatmulPrecision::Native => a.matmul(b),
        precision @ (MatmulPrecision::Split | MatmulPrecision::Rounded(_)) => {
            Tensor::from_dispatch(Dispatch::matmul_in(
                a.into_dispatch(),
                b.into_dispatch(),
                precision,
            ))
        }
    }
}

/// A tensor of a backend.
type Float<B> = FloatTensor<B>;

/// A factor in the form that a product reads and keeps for its backward pass.
#[derive(Debug, Clone)]
enum Factor<B: Backend> {
    /// Unchanged.
    Whole(Float<B>),
    /// Rounded to and stored in that type.
    Rounded(Float<B>, FloatDType),
    /// The leading bits and the remainder.
    Split([Float<B>; 2]),
}

impl<B: Backend> Factor<B> {
    fn of(x: Float<B>, precision: MatmulPrecision) -> Self {
        match precision {
            MatmulPrecision::Native => Self::Whole(x),
            MatmulPrecision::Rounded(dtype) => Self::Rounded(B::float_cast(x, dtype), dtype),
            MatmulPrecision::Split => {
                let leading = B::float_cast(x.clone(), FloatDType::BF16);
                let leading = B::float_cast(leading, FloatDType::F32);
                let rest = B::float_sub(x, leading.clone());
                Self::Split([leading, rest])
            }
        }
    }

    /// With rows and columns swapped.
    fn transposed(self) -> Self {
        match self {
            Self::Whole(x) => Self::Whole(B::float_transpose(x)),
            Self::Rounded(x, dtype) => Self::Rounded(B::float_transpose(x), dtype),
            Self::Split(parts) => Self::Split(parts.map(B::float_transpose)),
        }
    }
}

/// Products of rounded factors on a backend's tensors.
pub(crate) trait RoundedMatmul: Backend {
    /// The f32 product of factors of type `dtype`, accumulated in f32 and rounded to `dtype`.
    fn rounded_matmul(a: Float<Self>, b: Float<Self>, dtype: FloatDType) -> Float<Self>;
}

impl RoundedMatmul for Flex {
    fn rounded_matmul(a: Float<Self>, b: Float<Self>, dtype: FloatDType) -> Float<Self> {
        // The product of two rounded numbers is exact in f32, so this is what a GPU computes.
        let [a, b] = [a, b].map(|x| Self::float_cast(x, FloatDType::F32));
        let rounded = Self::float_cast(Self::float_matmul(a, b), dtype);
        Self::float_cast(rounded, FloatDType::F32)
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl RoundedMatmul for burn_dispatch::backends::Cube {
    fn rounded_matmul(a: Float<Self>, b: Float<Self>, _dtype: FloatDType) -> Float<Self> {
        // The backend's kernels accumulate products of bf16 and f16 in f32.
        Self::float_cast(Self::float_matmul(a, b), FloatDType::F32)
    }
}

fn multiply<B: RoundedMatmul>(a: Factor<B>, b: Factor<B>) -> Float<B> {
    match (a, b) {
        (Factor::Rounded(a, dtype), Factor::Rounded(b, _)) => B::rounded_matmul(a, b, dtype),
        (Factor::Split([a, da]), Factor::Split([b, db])) => {
            let small = B::float_add(
                B::float_matmul(a.clone(), db),
                B::float_matmul(da, b.clone()),
            );
            B::float_add(B::float_matmul(a, b), small)
        }
        (Factor::Whole(a), Factor::Whole(b)) => B::float_matmul(a, b),
        _ => unreachable!("both factors of a product have the same precision"),
    }
}

/// The product, dispatched to the run-time device.
#[backend_extension(Autodiff, Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")))]
pub(crate) trait MatmulOps: Backend {
    fn matmul_in(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        precision: MatmulPrecision,
    ) -> FloatTensor<Self>;
}

impl MatmulOps for Flex {
    fn matmul_in(a: Float<Self>, b: Float<Self>, precision: MatmulPrecision) -> Float<Self> {
        multiply::<Self>(Factor::of(a, precision), Factor::of(b, precision))
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl MatmulOps for burn_dispatch::backends::Cube {
    fn matmul_in(a: Float<Self>, b: Float<Self>, precision: MatmulPrecision) -> Float<Self> {
        multiply::<Self>(Factor::of(a, precision), Factor::of(b, precision))
    }
}

impl<B: RoundedMatmul, C: CheckpointStrategy> MatmulOps for Autodiff<B, C> {
    fn matmul_in(a: Float<Self>, b: Float<Self>, precision: MatmulPrecision) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: RoundedMatmul> Backward<B, 2> for Node {
            type State = ([Factor<B>; 2], MatmulPrecision);
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let ([a, b], precision) = ops.state;
                let [na, nb] = ops.parents;
                let dy = Factor::<B>::of(dy, precision);
                if let Some(node) = na {
                    gradients.register::<B>(node.id, multiply::<B>(dy.clone(), b.transposed()));
                }
                if let Some(node) = nb {
                    gradients.register::<B>(node.id, multiply::<B>(a.transposed(), dy));
                }
            }
        }
        let ((a, na), (b, nb)) = (a.into_parts(), b.into_parts());
        let (a, b) = (Factor::<B>::of(a, precision), Factor::<B>::of(b, precision));
        match Node.prepare::<C>([na, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = multiply::<B>(a.clone(), b.clone());
                prepared.finish(([a, b], precision), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(multiply::<B>(a, b)),
        }
    }
}
