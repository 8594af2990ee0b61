//! The masked-LM loss in one operation, one block of rows at a time.

use super::kernels;
use super::tensor::{Contiguous, Float, ids, register, tensor};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_dispatch::backends::flex::FlexTensor;
use std::sync::Arc;

/// The kernels on a backend's tensors.
pub(crate) trait MaskedLmKernels: Backend {
    /// The summed loss, `[1]`, and optionally its gradients: of hidden rows, table and bias.
    fn k_masked_lm(
        hidden: &Float<Self>,
        table: &Float<Self>,
        bias: &Float<Self>,
        targets: &[u32],
        wants_gradients: bool,
    ) -> (Float<Self>, Option<[Float<Self>; 3]>);
    /// `x` times the number in `factor`, `[1]`.
    fn k_scale(x: Float<Self>, factor: &Float<Self>) -> Float<Self>;
}

impl MaskedLmKernels for Flex {
    fn k_masked_lm(
        hidden: &FlexTensor,
        table: &FlexTensor,
        bias: &FlexTensor,
        targets: &[u32],
        wants_gradients: bool,
    ) -> (FlexTensor, Option<[FlexTensor; 3]>) {
        let [hidden, table, bias] = [hidden, table, bias].map(Contiguous::of);
        let found = kernels::masked_lm(
            hidden.values(),
            table.values(),
            bias.values(),
            targets,
            wants_gradients,
        );
        let e = table.width();
        let gradients = found.gradients.map(|[dh, dt, db]| {
            let v = db.len();
            [
                tensor(dh, [targets.len(), e]),
                tensor(dt, [v, e]),
                tensor(db, [v]),
            ]
        });
        (tensor(vec![found.loss as f32], [1]), gradients)
    }

    fn k_scale(mut x: FlexTensor, factor: &FlexTensor) -> FlexTensor {
        let factor = Contiguous::of(factor).values()[0];
        if let Some(values) = x.try_storage_mut::<f32>() {
            kernels::scale(values, factor);
            return x;
        }
        let x = Contiguous::of(&x);
        let mut values = x.values().to_vec();
        kernels::scale(&mut values, factor);
        tensor(values, x.0.layout().shape().clone())
    }
}

/// The operation, dispatched to the run-time device.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait MaskedLmOps: Backend {
    fn fused_masked_lm(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: Arc<Vec<u32>>,
    ) -> FloatTensor<Self>;
}

impl MaskedLmOps for Flex {
    fn fused_masked_lm(
        hidden: FlexTensor,
        table: FlexTensor,
        bias: FlexTensor,
        targets: Arc<Vec<u32>>,
    ) -> FlexTensor {
        Self::k_masked_lm(&hidden, &table, &bias, &targets, false).0
    }
}

impl<B: MaskedLmKernels, C: CheckpointStrategy> MaskedLmOps for Autodiff<B, C> {
    fn fused_masked_lm(
        hidden: Float<Self>,
        table: Float<Self>,
        bias: Float<Self>,
        targets: Arc<Vec<u32>>,
    ) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: MaskedLmKernels> Backward<B, 3> for Node {
            type State = [Float<B>; 3];
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let computed = ops.state.map(|gradient| B::k_scale(gradient, &dy));
                register::<B, 3>(gradients, ids!(ops.parents), computed);
            }
        }
        let ((hidden, nh), (table, nt), (bias, nb)) =
            (hidden.into_parts(), table.into_parts(), bias.into_parts());
        match Node.prepare::<C>([nh, nt, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (loss, gradients) = B::k_masked_lm(&hidden, &table, &bias, &targets, true);
                let gradients = gradients.expect("the kernel gives them when asked to");
                prepared.finish(gradients, loss)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::k_masked_lm(&hidden, &table, &bias, &targets, false).0)
            }
        }
    }
}

/// Cross-entropy over the vocabulary, summed over rows: `[1]`.
pub(crate) fn masked_lm(
    hidden: Tensor<2>,
    table: Tensor<2>,
    bias: Tensor<1>,
    targets: Vec<u32>,
) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::fused_masked_lm(
        hidden.into_dispatch(),
        table.into_dispatch(),
        bias.into_dispatch(),
        Arc::new(targets),
    ))
}
