//! Loops that use the widest vectors of the machine.

use pulp::{Arch, Simd, WithSimd};

/// Runs `f` compiled for the best instruction set of this machine: AVX-512, AVX2 with FMA,
/// NEON, or scalar.
///
/// Write the closure as `#[inline(always)] || …`: code that is not inlined is compiled for the baseline.
#[inline(always)]
pub fn vectorised<R>(f: impl FnMut() -> R) -> R {
    /// Called through `FnMut`: the compiler does not inline the call of a closure through `FnOnce`.
    struct Loop<F>(F);
    impl<R, F: FnMut() -> R> WithSimd for Loop<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) -> R {
            (self.0)()
        }
    }
    Arch::new().dispatch(Loop(f))
}

/// The instruction set that [`vectorised`] selects on this machine, for messages.
pub fn instruction_set() -> &'static str {
    struct Name;
    impl WithSimd for Name {
        type Output = &'static str;

        fn with_simd<S: Simd>(self, _: S) -> &'static str {
            match (S::F32_LANES, cfg!(target_arch = "x86_64")) {
                (16, true) => "AVX-512",
                (8, true) => "AVX2 with FMA",
                (1, true) => "SSE2",
                (4, false) => "NEON",
                _ => "no vectors",
            }
        }
    }
    Arch::new().dispatch(Name)
}
