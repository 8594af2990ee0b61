//! Loops that use the machine's widest vectors.

use pulp::{Arch, Simd, WithSimd};

/// Runs `f` as compiled for the best instruction set that this machine has: AVX-512, AVX2 with FMA,
/// NEON, or the plain one.
///
/// Write the closure as `#[inline(always)] || …`: what is not inlined is compiled for the plain set.
#[inline(always)]
pub fn vectorised<R>(f: impl FnMut() -> R) -> R {
    /// Called through `FnMut`: the compiler leaves the call of a closure through `FnOnce` out of line.
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

/// The instruction set that [`vectorised`] takes on this machine, for the user.
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
