//! The CPU kernels as operations of Burn, each with a backward pass of its own.
//!
//! [`FusedKernels`] holds the arithmetic on a backend's tensors; [`FusedOps`] is what is called, and
//! Burn's macro routes it through the run-time device. Under autodiff each operation is one node of
//! the graph that keeps only what its backward pass reads.

use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bytes, DType, Shape, Tensor};
use burn_dispatch::backends::flex::{FlexTensor, Layout};

use super::kernels::{self, Before, Ids, Mask, Normalised, Tables};
use crate::sequences::Sequences;

/// What attention is computed over.
#[derive(Debug, Clone)]
pub(crate) struct AttentionShape {
    pub sequences: Sequences,
    pub heads: usize,
    pub mask: Option<Mask>,
}

/// How LayerNorm normalises, and what dropout drops beside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormSettings {
    pub epsilon: f32,
    pub mask: Option<Mask>,
}

/// A tensor of a backend.
type Float<B> = FloatTensor<B>;

/// The gradients of a residual connection with LayerNorm behind it.
pub(crate) struct NormGradients<B: Backend> {
    /// Of what was normalised, and so of the residual.
    sum: Float<B>,
    /// Of what dropout was applied to.
    x: Float<B>,
    bias: Float<B>,
    gamma: Float<B>,
    beta: Float<B>,
}

/// The tables of the embeddings, and which rows of them are added up.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub ids: Arc<Ids>,
    pub settings: NormSettings,
}

/// The kernels on a backend's tensors.
pub(crate) trait FusedKernels: Backend {
    /// What LayerNorm keeps for its backward pass.
    type Normalised: Clone + Send + Sync + std::fmt::Debug + 'static;

    fn k_linear(x: &Float<Self>, w: &Float<Self>, b: &Float<Self>) -> Float<Self>;
    fn k_product_input(dy: &Float<Self>, w: &Float<Self>) -> Float<Self>;
    fn k_product_weight(dy: &Float<Self>, x: &Float<Self>) -> Float<Self>;
    fn k_sum_rows(dy: &Float<Self>) -> Float<Self>;
    /// The result, and before it what the backward pass reads, if that is wanted.
    fn k_linear_gelu(
        x: &Float<Self>,
        w: &Float<Self>,
        b: &Float<Self>,
        keep: bool,
    ) -> (Option<Float<Self>>, Float<Self>);
    /// With respect to the product and to the bias.
    fn k_gelu_backward(
        dy: &Float<Self>,
        z: &Float<Self>,
        b: &Float<Self>,
    ) -> (Float<Self>, Float<Self>);
    fn k_linear_norm(
        linear: [&Float<Self>; 3],
        residual: &Float<Self>,
        scale: [&Float<Self>; 2],
        settings: NormSettings,
    ) -> (Float<Self>, Self::Normalised);
    fn k_norm(
        x: &Float<Self>,
        scale: [&Float<Self>; 2],
        settings: NormSettings,
    ) -> (Float<Self>, Self::Normalised);
    fn k_norm_backward(
        dy: &Float<Self>,
        normalised: &Self::Normalised,
        gamma: &Float<Self>,
        settings: NormSettings,
    ) -> NormGradients<Self>;
    fn k_embed(
        word: &Float<Self>,
        position: &Float<Self>,
        token_type: &Float<Self>,
        scale: [&Float<Self>; 2],
        lookup: &Lookup,
    ) -> (Float<Self>, Self::Normalised);
    /// With respect to the sums, the scale and the shift.
    fn k_embed_backward(
        dy: &Float<Self>,
        normalised: &Self::Normalised,
        gamma: &Float<Self>,
        settings: NormSettings,
    ) -> [Float<Self>; 3];
    /// Adds up rows by id into a table of that many rows.
    fn k_scatter(rows: &Float<Self>, ids: &[u32], size: usize) -> Float<Self>;
    fn k_attention(qkv: &Float<Self>, shape: &AttentionShape) -> Float<Self>;
    fn k_attention_backward(
        dy: &Float<Self>,
        qkv: &Float<Self>,
        shape: &AttentionShape,
    ) -> Float<Self>;
    /// The summed loss, `[1]`, and if wanted its gradients: of hidden rows, table and bias.
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

    fn k_product_input(dy: &FlexTensor, w: &FlexTensor) -> FlexTensor {
        let (dy, w) = (Contiguous::of(dy), Contiguous::of(w));
        let inputs = w.width();
        rows_of(
            kernels::product_input(dy.values(), w.values(), inputs, dy.width()),
            inputs,
        )
    }

    fn k_product_weight(dy: &FlexTensor, x: &FlexTensor) -> FlexTensor {
        let (dy, x) = (Contiguous::of(dy), Contiguous::of(x));
        let inputs = x.width();
        rows_of(
            kernels::product_weight(dy.values(), x.values(), inputs, dy.width()),
            inputs,
        )
    }

    fn k_sum_rows(dy: &FlexTensor) -> FlexTensor {
        let dy = Contiguous::of(dy);
        tensor(kernels::sum_rows(dy.values(), dy.width()), [dy.width()])
    }

    fn k_linear_gelu(
        x: &FlexTensor,
        w: &FlexTensor,
        b: &FlexTensor,
        keep: bool,
    ) -> (Option<FlexTensor>, FlexTensor) {
        let (x, w, b) = (Contiguous::of(x), Contiguous::of(w), Contiguous::of(b));
        let (inputs, outputs) = (x.width(), b.width());
        if keep {
            let (z, y) = kernels::linear_gelu_kept(x.values(), w.values(), b.values(), inputs);
            (Some(rows_of(z, outputs)), rows_of(y, outputs))
        } else {
            let y = kernels::linear_gelu(x.values(), w.values(), b.values(), inputs);
            (None, rows_of(y, outputs))
        }
    }

    fn k_gelu_backward(
        dy: &FlexTensor,
        z: &FlexTensor,
        b: &FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let (dy, z, b) = (Contiguous::of(dy), Contiguous::of(z), Contiguous::of(b));
        let (dz, db) = kernels::gelu_backward(dy.values(), z.values(), b.values());
        (rows_of(dz, b.width()), tensor(db, [b.width()]))
    }

    fn k_linear_norm(
        [x, w, b]: [&FlexTensor; 3],
        residual: &FlexTensor,
        scale: [&FlexTensor; 2],
        settings: NormSettings,
    ) -> (FlexTensor, Self::Normalised) {
        let (x, w, b) = (Contiguous::of(x), Contiguous::of(w), Contiguous::of(b));
        let (residual, scale) = (Contiguous::of(residual), scale.map(Contiguous::of));
        let before = Before {
            bias: Some(b.values()),
            mask: settings.mask,
            residual: Some(residual.values()),
        };
        let (y, normalised) = kernels::linear_norm(
            x.values(),
            w.values(),
            x.width(),
            before,
            scale.each_ref().map(Contiguous::values),
            settings.epsilon,
        );
        (rows_of(y, b.width()), Arc::new(normalised))
    }

    fn k_norm(
        x: &FlexTensor,
        scale: [&FlexTensor; 2],
        settings: NormSettings,
    ) -> (FlexTensor, Self::Normalised) {
        let (x, scale) = (Contiguous::of(x), scale.map(Contiguous::of));
        let (y, normalised) = kernels::norm(
            x.values().to_vec(),
            scale.each_ref().map(Contiguous::values),
            settings.epsilon,
        );
        (rows_of(y, x.width()), Arc::new(normalised))
    }

    fn k_norm_backward(
        dy: &FlexTensor,
        normalised: &Self::Normalised,
        gamma: &FlexTensor,
        settings: NormSettings,
    ) -> NormGradients<Self> {
        let (dy, gamma) = (Contiguous::of(dy), Contiguous::of(gamma));
        let h = gamma.width();
        let gradients =
            kernels::norm_backward(dy.values(), normalised, gamma.values(), settings.mask);
        let sum = rows_of(gradients.sum, h);
        NormGradients {
            x: gradients.x.map_or_else(|| sum.clone(), |x| rows_of(x, h)),
            sum,
            bias: tensor(gradients.bias, [h]),
            gamma: tensor(gradients.gamma, [h]),
            beta: tensor(gradients.beta, [h]),
        }
    }

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

/// The fused operations, through the run-time device.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait FusedOps: Backend {
    fn fused_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn fused_linear_norm(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> FloatTensor<Self>;
    fn fused_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> FloatTensor<Self>;
    fn fused_embed(
        word: FloatTensor<Self>,
        position: FloatTensor<Self>,
        token_type: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        lookup: Lookup,
    ) -> FloatTensor<Self>;
    fn fused_attention(qkv: FloatTensor<Self>, shape: Arc<AttentionShape>) -> FloatTensor<Self>;
    fn fused_masked_lm(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: Arc<Vec<u32>>,
    ) -> FloatTensor<Self>;
}

impl FusedOps for Flex {
    fn fused_linear(x: FlexTensor, w: FlexTensor, b: FlexTensor) -> FlexTensor {
        Self::k_linear(&x, &w, &b)
    }

    fn fused_linear_gelu(x: FlexTensor, w: FlexTensor, b: FlexTensor) -> FlexTensor {
        Self::k_linear_gelu(&x, &w, &b, false).1
    }

    fn fused_linear_norm(
        x: FlexTensor,
        w: FlexTensor,
        b: FlexTensor,
        residual: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        settings: NormSettings,
    ) -> FlexTensor {
        Self::k_linear_norm([&x, &w, &b], &residual, [&gamma, &beta], settings).0
    }

    fn fused_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        settings: NormSettings,
    ) -> FlexTensor {
        Self::k_norm(&x, [&gamma, &beta], settings).0
    }

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

    fn fused_attention(qkv: FlexTensor, shape: Arc<AttentionShape>) -> FlexTensor {
        Self::k_attention(&qkv, &shape)
    }

    fn fused_masked_lm(
        hidden: FlexTensor,
        table: FlexTensor,
        bias: FlexTensor,
        targets: Arc<Vec<u32>>,
    ) -> FlexTensor {
        Self::k_masked_lm(&hidden, &table, &bias, &targets, false).0
    }
}

/// The ids of the parents that want a gradient.
macro_rules! ids {
    ($parents:expr) => {
        $parents.map(|parent| parent.map(|parent| parent.id))
    };
}

/// Hands gradients to the parents that want one.
fn register<B: Backend, const N: usize>(
    gradients: &mut Gradients,
    parents: [Option<NodeId>; N],
    computed: [Float<B>; N],
) {
    for (parent, gradient) in parents.into_iter().zip(computed) {
        if let Some(parent) = parent {
            gradients.register::<B>(parent, gradient);
        }
    }
}

/// Hands on the gradients of a product `x Wᵀ`, given that of its result.
fn register_product<B: FusedKernels>(
    gradients: &mut Gradients,
    [nx, nw]: [Option<NodeId>; 2],
    dz: &Float<B>,
    [x, w]: [&Float<B>; 2],
) {
    if let Some(node) = nw {
        gradients.register::<B>(node, B::k_product_weight(dz, x));
    }
    if let Some(node) = nx {
        gradients.register::<B>(node, B::k_product_input(dz, w));
    }
}

impl<B: FusedKernels, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn fused_linear(x: Float<Self>, w: Float<Self>, b: Float<Self>) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 3> for Node {
            type State = [Float<B>; 2];
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let [x, w] = &ops.state;
                let [nx, nw, nb] = ids!(ops.parents);
                if let Some(node) = nb {
                    gradients.register::<B>(node, B::k_sum_rows(&dy));
                }
                register_product::<B>(gradients, [nx, nw], &dy, [x, w]);
            }
        }
        let ((x, nx), (w, nw), (b, nb)) = (x.into_parts(), w.into_parts(), b.into_parts());
        let y = B::k_linear(&x, &w, &b);
        match Node.prepare::<C>([nx, nw, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, w], y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_linear_gelu(x: Float<Self>, w: Float<Self>, b: Float<Self>) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 3> for Node {
            type State = [Float<B>; 4];
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let [x, w, b, z] = ops.state;
                let [nx, nw, nb] = ids!(ops.parents);
                let (dz, db) = B::k_gelu_backward(&dy, &z, &b);
                drop((dy, z));
                if let Some(node) = nb {
                    gradients.register::<B>(node, db);
                }
                register_product::<B>(gradients, [nx, nw], &dz, [&x, &w]);
            }
        }
        let ((x, nx), (w, nw), (b, nb)) = (x.into_parts(), w.into_parts(), b.into_parts());
        match Node.prepare::<C>([nx, nw, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (z, y) = B::k_linear_gelu(&x, &w, &b, true);
                let z = z.expect("the kernel keeps it when asked to");
                prepared.finish([x, w, b, z], y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::k_linear_gelu(&x, &w, &b, false).1),
        }
    }

    fn fused_linear_norm(
        x: Float<Self>,
        w: Float<Self>,
        b: Float<Self>,
        residual: Float<Self>,
        gamma: Float<Self>,
        beta: Float<Self>,
        settings: NormSettings,
    ) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 6> for Node {
            type State = (B::Normalised, [Float<B>; 3], NormSettings);
            fn backward(
                self,
                ops: Ops<Self::State, 6>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (normalised, [x, w, gamma], settings) = ops.state;
                let [nx, nw, nb, nr, ng, nbeta] = ids!(ops.parents);
                let d = B::k_norm_backward(&dy, &normalised, &gamma, settings);
                drop((dy, normalised));
                register::<B, 4>(
                    gradients,
                    [nb, nr, ng, nbeta],
                    [d.bias, d.sum, d.gamma, d.beta],
                );
                register_product::<B>(gradients, [nx, nw], &d.x, [&x, &w]);
            }
        }
        let ((x, nx), (w, nw), (b, nb)) = (x.into_parts(), w.into_parts(), b.into_parts());
        let (residual, nr) = residual.into_parts();
        let ((gamma, ng), (beta, nbeta)) = (gamma.into_parts(), beta.into_parts());
        let (y, normalised) = B::k_linear_norm([&x, &w, &b], &residual, [&gamma, &beta], settings);
        match Node
            .prepare::<C>([nx, nw, nb, nr, ng, nbeta])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish((normalised, [x, w, gamma], settings), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn fused_norm(
        x: Float<Self>,
        gamma: Float<Self>,
        beta: Float<Self>,
        settings: NormSettings,
    ) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 3> for Node {
            type State = (B::Normalised, Float<B>, NormSettings);
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let dy = gradients.consume::<B>(&ops.node);
                let (normalised, gamma, settings) = ops.state;
                let d = B::k_norm_backward(&dy, &normalised, &gamma, settings);
                register::<B, 3>(gradients, ids!(ops.parents), [d.sum, d.gamma, d.beta]);
            }
        }
        let ((x, nx), (gamma, ng), (beta, nb)) =
            (x.into_parts(), gamma.into_parts(), beta.into_parts());
        let (y, normalised) = B::k_norm(&x, [&gamma, &beta], settings);
        match Node.prepare::<C>([nx, ng, nb]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((normalised, gamma, settings), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

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
        impl<B: FusedKernels> Backward<B, 5> for Node {
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

    fn fused_attention(qkv: Float<Self>, shape: Arc<AttentionShape>) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 1> for Node {
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

    fn fused_masked_lm(
        hidden: Float<Self>,
        table: Float<Self>,
        bias: Float<Self>,
        targets: Arc<Vec<u32>>,
    ) -> Float<Self> {
        #[derive(Debug)]
        struct Node;
        impl<B: FusedKernels> Backward<B, 3> for Node {
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

/// `x Wᵀ + b` in one operation.
pub(crate) fn linear(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_linear(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
    ))
}

/// `g(x Wᵀ + b)` with `g(x) = x Φ(x)`, in one operation.
pub(crate) fn linear_gelu(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_linear_gelu(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
    ))
}

/// `LayerNorm(residual + mask · (x Wᵀ + b))` in one operation.
pub(crate) fn linear_norm(
    x: Tensor<2>,
    (w, b): (Tensor<2>, Tensor<1>),
    residual: Tensor<2>,
    (gamma, beta): (Tensor<1>, Tensor<1>),
    settings: NormSettings,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_linear_norm(
        x.into_dispatch(),
        w.into_dispatch(),
        b.into_dispatch(),
        residual.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        settings,
    ))
}

/// LayerNorm in one operation.
pub(crate) fn norm(
    x: Tensor<2>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    settings: NormSettings,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_norm(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        settings,
    ))
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

/// Attention within each sequence in one operation.
pub(crate) fn attention(qkv: Tensor<2>, shape: AttentionShape) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_attention(
        qkv.into_dispatch(),
        Arc::new(shape),
    ))
}

/// Cross-entropy over the vocabulary, summed: `[1]`.
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
