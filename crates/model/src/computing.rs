//! How a thread computes, so that another one can compute in the same way.

use crate::ops::{Products, products, with_products};
use crate::recompute::{recomputes, with_recompute};

/// What the scopes of [`with_products`] and [`with_recompute`] decide, which are a thread's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Computing {
    /// The way of matrix products.
    pub products: Products,
    /// Whether layers are computed again in the backward pass.
    pub recompute: bool,
}

impl Computing {
    /// As this thread does it.
    pub fn here() -> Self {
        Self {
            products: products(),
            recompute: recomputes(),
        }
    }

    /// Runs `f` on this thread in that way.
    pub fn run<R>(self, f: impl FnOnce() -> R) -> R {
        with_products(self.products, || with_recompute(self.recompute, f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_thread_computes_as_this_one() {
        let way = Computing {
            products: Products::Split,
            recompute: true,
        };
        let there = way.run(|| {
            let here = Computing::here();
            std::thread::scope(|scope| scope.spawn(move || here.run(Computing::here)).join())
        });
        assert!(there.is_ok_and(|there| there == way));
        assert!(Computing::here() != way);
    }
}
