//! Matrix products in a precision of their own.
//!
//! Weights, LayerNorm, softmax, losses and the sums inside a product are always f32; what a precision
//! changes is how the factors of a product are rounded. A product is one node of the graph, so its
//! backward pass multiplies in the same precision.

use std::cell::Cell;
use std::str::FromStr;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DTypeUsage, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::device::{is_cpu, is_cuda};

/// How the factors of matrix products are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Not at all: 24 bits.
    #[default]
    F32,
    /// To the 11 bits that NVIDIA's tensor cores read of an f32.
    Tf32,
    /// To 8 bits, with the range of f32.
    Bf16,
    /// To 11 bits, with a range up to 65,504: training scales its loss.
    F16,
}

/// The name of a precision that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a precision, expected f32, tf32, bf16 or f16")]
pub struct ParsePrecisionError(String);

impl Precision {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl FromStr for Precision {
    type Err = ParsePrecisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::F32, Self::Tf32, Self::Bf16, Self::F16]
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| ParsePrecisionError(text.into()))
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A precision that a device does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this device cannot multiply in {precision}: {reason}")]
pub struct PrecisionError {
    /// What was asked for.
    pub precision: Precision,
    /// What is missing.
    pub reason: &'static str,
}

/// How a device computes the products of a precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Products {
    /// As the device multiplies f32.
    #[default]
    Plain,
    /// As three products, of the leading 8 bits of each factor and of what remains. Where a device
    /// may round the factors of an f32 product to TF32 by itself, this leaves an error of some 2⁻¹⁸.
    Split,
    /// Of factors rounded to this type, summed up in f32, the result rounded to it.
    Rounded(FloatDType),
}

impl Precision {
    /// How that device does it. Asks what the device has, and computes nothing.
    ///
    /// # Errors
    /// The device does not have it.
    pub fn on(self, device: &Device) -> Result<Products, PrecisionError> {
        let refuse = |reason| {
            Err(PrecisionError {
                precision: self,
                reason,
            })
        };
        let typed = |dtype: FloatDType| {
            if is_cpu(device) || device.clone().inner().supports_dtype(dtype) {
                Ok(Products::Rounded(dtype))
            } else {
                refuse("its driver has no arithmetic for that type")
            }
        };
        match self {
            Self::F32 if has_tf32(device) => Ok(Products::Split),
            Self::F32 => Ok(Products::Plain),
            Self::Tf32 if has_tf32(device) => Ok(Products::Plain),
            Self::Tf32 => refuse("TF32 is a mode of NVIDIA's tensor cores, from Ampere on"),
            Self::Bf16 => typed(FloatDType::BF16),
            Self::F16 => typed(FloatDType::F16),
        }
    }
}

/// Whether Burn may take tensor cores, and with them TF32, for products of f32. It does so wherever its
/// measurements find them faster, and has no switch against it. They come with those for bf16.
fn has_tf32(device: &Device) -> bool {
    let device = device.clone().inner();
    is_cuda(&device)
        && Dispatch::dtype_usage(device.as_dispatch(), DType::BF16)
            .contains(DTypeUsage::Accelerated)
}

thread_local! {
    static PRODUCTS: Cell<Products> = const { Cell::new(Products::Plain) };
}

/// Runs `f`, in which this thread computes the matrix products of linear layers, of attention and of the
/// decoder of masked words in that way. Backward passes keep the way of their forward pass.
pub fn with_products<R>(products: Products, f: impl FnOnce() -> R) -> R {
    struct Back(Products);
    impl Drop for Back {
        fn drop(&mut self) {
            PRODUCTS.with(|way| way.set(self.0));
        }
    }
    let _back = Back(PRODUCTS.with(|way| way.replace(products)));
    f()
}

/// The way of this thread.
pub(crate) fn products() -> Products {
    PRODUCTS.with(Cell::get)
}

/// `a b`, over the last two dimensions, in the way of this thread.
pub(crate) fn product<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    match products() {
        Products::Plain => a.matmul(b),
        way => Tensor::from_dispatch(Dispatch::product(a.into_dispatch(), b.into_dispatch(), way)),
    }
}

/// A tensor of a backend.
type Float<B> = FloatTensor<B>;

/// What a product reads of a factor, and keeps for its backward pass.
#[derive(Debug, Clone)]
enum Factor<B: Backend> {
    /// All of it.
    Whole(Float<B>),
    /// Rounded, in the memory of that type.
    Rounded(Float<B>, FloatDType),
    /// Its leading bits and the rest.
    Split([Float<B>; 2]),
}

impl<B: Backend> Factor<B> {
    fn of(x: Float<B>, way: Products) -> Self {
        match way {
            Products::Plain => Self::Whole(x),
            Products::Rounded(dtype) => Self::Rounded(B::float_cast(x, dtype), dtype),
            Products::Split => {
                let leading = B::float_cast(x.clone(), FloatDType::BF16);
                let leading = B::float_cast(leading, FloatDType::F32);
                let rest = B::float_sub(x, leading.clone());
                Self::Split([leading, rest])
            }
        }
    }

    /// Rows for columns.
    fn turned(self) -> Self {
        match self {
            Self::Whole(x) => Self::Whole(B::float_transpose(x)),
            Self::Rounded(x, dtype) => Self::Rounded(B::float_transpose(x), dtype),
            Self::Split(parts) => Self::Split(parts.map(B::float_transpose)),
        }
    }
}

/// Products of rounded factors on a backend's tensors.
pub(crate) trait RoundedProducts: Backend {
    /// Factors of type `dtype` to their product in f32, summed up in f32 and rounded to `dtype`.
    fn rounded_product(a: Float<Self>, b: Float<Self>, dtype: FloatDType) -> Float<Self>;
}

impl RoundedProducts for Flex {
    fn rounded_product(a: Float<Self>, b: Float<Self>, dtype: FloatDType) -> Float<Self> {
        // A product of two such numbers is exact in f32, so this is what a GPU computes.
        let [a, b] = [a, b].map(|x| Self::float_cast(x, FloatDType::F32));
        let rounded = Self::float_cast(Self::float_matmul(a, b), dtype);
        Self::float_cast(rounded, FloatDType::F32)
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl RoundedProducts for burn_dispatch::backends::Cube {
    fn rounded_product(a: Float<Self>, b: Float<Self>, _dtype: FloatDType) -> Float<Self> {
        // Its kernels add up products of bf16 and f16 in f32.
        Self::float_cast(Self::float_matmul(a, b), FloatDType::F32)
    }
}

fn multiply<B: RoundedProducts>(a: Factor<B>, b: Factor<B>) -> Float<B> {
    match (a, b) {
        (Factor::Rounded(a, dtype), Factor::Rounded(b, _)) => B::rounded_product(a, b, dtype),
        (Factor::Split([a, da]), Factor::Split([b, db])) => {
            let small = B::float_add(
                B::float_matmul(a.clone(), db),
                B::float_matmul(da, b.clone()),
            );
            B::float_add(B::float_matmul(a, b), small)
        }
        (Factor::Whole(a), Factor::Whole(b)) => B::float_matmul(a, b),
        _ => unreachable!("both factors of a product are read in one way"),
    }
}

/// The product, through the run-time device.
#[backend_extension(Autodiff, Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")))]
pub(crate) trait ProductOps: Backend {
    fn product(a: FloatTensor<Self>, b: FloatTensor<Self>, way: Products) -> FloatTensor<Self>;
}

impl ProductOps for Flex {
    fn product(a: Float<Self>, b: Float<Self>, way: Products) -> Float<Self> {
        multiply::<Self>(Factor::of(a, way), Factor::of(b, way))
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl ProductOps for burn_dispatch::backends::Cube {
    fn product(a: Float<Self>, b: Float<Self>, way: Products) -> Float<Self> {
        multiply::<Self>(Factor::of(a, way), Factor::of(b, way))
    }
}

impl<B: RoundedProducts, C: CheckpointStrategy> ProductOps for Autodiff<B, C> {
    fn product(a: Float<Self>, b: Float<Self>, way: Products) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: RoundedProducts> Backward<B, 2> for Node {
            type State = ([Factor<B>; 2], Products);
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let ([a, b], way) = ops.state;
                let [na, nb] = ops.parents;
                let dy = Factor::<B>::of(dy, way);
                if let Some(node) = na {
                    gradients.register::<B>(node.id, multiply::<B>(dy.clone(), b.turned()));
                }
                if let Some(node) = nb {
                    gradients.register::<B>(node.id, multiply::<B>(a.turned(), dy));
                }
            }
        }
        let ((a, na), (b, nb)) = (a.into_parts(), b.into_parts());
        let (a, b) = (Factor::<B>::of(a, way), Factor::<B>::of(b, way));
        match Node.prepare::<C>([na, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = multiply::<B>(a.clone(), b.clone());
                prepared.finish(([a, b], way), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(multiply::<B>(a, b)),
        }
    }
}
