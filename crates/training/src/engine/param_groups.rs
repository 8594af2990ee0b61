//! Parameter groups: learning-rate factor, weight decay and freezing, by parameter path.

use bertkit_model::LayerDepths;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// Learning rate and weight decay of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamGroup {
    /// Multiplies the learning rate; 0 freezes the parameter.
    pub rate_factor: f64,
    /// Whether weight decay applies.
    pub decays: bool,
}

/// The group of the parameter at a module path (`encoder.layers.0.qkv.weight`).
///
/// Biases and LayerNorm do not decay (Devlin et al. 2019, appendix A.2). The layer-wise rate is `lr · d^(n + 2 − depth)`,
/// with the embeddings at depth 0, layer i at depth i + 1 and everything above at depth n + 2 (`google-research/electra`,
/// `model/optimization.py`). Parameters that several layers share count as the topmost of them, and are frozen only if all
/// of these are.
pub fn param_group(
    path: &str,
    layers: &LayerDepths,
    layer_decay: f64,
    freeze_embeddings: bool,
    freeze_layers: usize,
) -> ParamGroup {
    let decays = !path.ends_with("bias") && !path.contains("norm");
    let layer = path
        .strip_prefix("encoder.layers.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|number| number.parse::<usize>().ok())
        .and_then(|set| layers.last_use(set));
    let embeddings = path.starts_with("encoder.embeddings.");
    let depth = match layer {
        Some(layer) => layer + 1,
        None if embeddings => 0,
        None => layers.blocks() + 2,
    };
    let frozen =
        (embeddings && freeze_embeddings) || layer.is_some_and(|layer| layer < freeze_layers);
    let rate_factor = if frozen {
        0.0
    } else {
        layer_decay.powi((layers.blocks() + 2 - depth) as i32)
    };
    ParamGroup {
        rate_factor,
        decays,
    }
}

/// Excludes the parameters with a learning rate of 0 from the backward pass.
pub(crate) fn freeze<M: Module>(model: M, groups: impl Fn(&str) -> ParamGroup) -> M {
    struct Mapper<R> {
        path: Vec<String>,
        groups: R,
    }
    impl<R: Fn(&str) -> ParamGroup> ModuleMapper for Mapper<R> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let frozen = (self.groups)(&self.path.join(".")).rate_factor == 0.0;
            if frozen {
                param.set_require_grad(false)
            } else {
                param
            }
        }
    }
    model.map(&mut Mapper {
        path: Vec::new(),
        groups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biases_and_layer_norm_do_not_decay() {
        for path in [
            "encoder.layers.0.qkv.bias",
            "encoder.embeddings.norm.weight",
            "encoder.layers.1.output_norm.weight",
            "head.bias",
        ] {
            assert!(
                !param_group(path, &LayerDepths::unshared(2), 1.0, false, 0).decays,
                "{path}"
            );
        }
        assert!(
            param_group(
                "encoder.layers.0.qkv.weight",
                &LayerDepths::unshared(2),
                1.0,
                false,
                0
            )
            .decays
        );
        assert!(
            param_group(
                "encoder.embeddings.word",
                &LayerDepths::unshared(2),
                1.0,
                false,
                0
            )
            .decays
        );
    }

    #[test]
    fn rates_fall_towards_the_embeddings_and_frozen_parts_stay() {
        let factor =
            |path| param_group(path, &LayerDepths::unshared(12), 0.8, false, 0).rate_factor;
        assert!((factor("encoder.embeddings.word") - 0.8_f64.powi(14)).abs() < 1e-12);
        assert!((factor("encoder.layers.11.output.weight") - 0.8_f64.powi(2)).abs() < 1e-12);
        assert_eq!(factor("head.classifier.weight"), 1.0);
        assert_eq!(factor("encoder.pooler.weight"), 1.0);
        assert_eq!(
            param_group(
                "encoder.layers.1.qkv.weight",
                &LayerDepths::unshared(12),
                1.0,
                true,
                2
            )
            .rate_factor,
            0.0
        );
        assert_eq!(
            param_group(
                "encoder.layers.2.qkv.weight",
                &LayerDepths::unshared(12),
                1.0,
                true,
                2
            )
            .rate_factor,
            1.0
        );
        assert_eq!(
            param_group(
                "encoder.embeddings.word",
                &LayerDepths::unshared(12),
                1.0,
                true,
                0
            )
            .rate_factor,
            0.0
        );
    }
}
