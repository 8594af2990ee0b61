//! Table look-up.

use burn::tensor::{Int, Tensor};

/// The rows of `table` (`[n, h]`) that `ids` (`[tokens]`) name: `[tokens, h]`.
///
/// The gradient adds up over equal ids.
pub fn lookup(table: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    let [_, h] = table.dims();
    let [tokens] = ids.dims();
    burn::tensor::module::embedding(table, ids.unsqueeze::<2>()).reshape([tokens, h])
}
