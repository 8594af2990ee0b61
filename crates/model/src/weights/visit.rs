//! Parameters as values on the host.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Calls `see` with every parameter: its path in the module, its shape, and its values row by row.
pub fn visit<M: Module>(module: &M, see: impl FnMut(&str, &[usize], Vec<f32>)) {
    struct Visitor<F> {
        path: Vec<String>,
        see: F,
    }
    impl<F: FnMut(&str, &[usize], Vec<f32>)> ModuleVisitor for Visitor<F> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let shape = param.shape();
            let values = to_vec(param.val());
            (self.see)(&self.path.join("."), shape.as_slice(), values);
        }
    }
    module.visit(&mut Visitor {
        path: Vec::new(),
        see,
    });
}

/// The values of a float tensor on the host, row by row.
///
/// # Panics
/// The device failed.
pub fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .inner()
        .into_data()
        .try_into_vec_as()
        .expect("a float tensor converts to f32")
}
