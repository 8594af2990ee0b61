//! Memory that is written before it is read.

use std::mem::{ManuallyDrop, MaybeUninit};

/// Uninitialised memory for `n` numbers: zeroing it first would cost a pass.
pub(super) fn fresh(n: usize) -> Vec<MaybeUninit<f32>> {
    let mut values = Vec::with_capacity(n);
    // SAFETY: the capacity is there, and `MaybeUninit` needs no initial value.
    unsafe { values.set_len(n) };
    values
}

/// The numbers in memory from [`fresh`], after they were written.
///
/// # Safety
/// Every element must have been written.
pub(super) unsafe fn written(values: Vec<MaybeUninit<f32>>) -> Vec<f32> {
    let mut values = ManuallyDrop::new(values);
    // SAFETY: `MaybeUninit<f32>` has the layout of `f32`; the allocation changes hands once.
    unsafe {
        Vec::from_raw_parts(
            values.as_mut_ptr().cast::<f32>(),
            values.len(),
            values.capacity(),
        )
    }
}

/// Writes `values` to `target` and returns it as initialised.
#[inline(always)]
pub(super) fn write_each(
    target: &mut [MaybeUninit<f32>],
    values: impl Iterator<Item = f32>,
) -> &mut [f32] {
    let n = target.len();
    let mut count = 0;
    for (target, value) in target.iter_mut().zip(values) {
        target.write(value);
        count += 1;
    }
    assert_eq!(count, n, "a value for every element");
    // SAFETY: every element was written, as was just checked.
    unsafe { std::slice::from_raw_parts_mut(target.as_mut_ptr().cast::<f32>(), n) }
}

/// Memory that several threads write to, each to its own elements.
#[derive(Clone, Copy)]
pub(super) struct Shared(pub *mut f32);

// SAFETY: this is only an address; whoever writes through it vouches that the place is theirs alone.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The address of an element.
    ///
    /// # Safety
    /// `offset` must lie within the allocation.
    pub unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: handed on to the caller.
        unsafe { self.0.add(offset) }
    }
}
