//! Memory-mapped weights, read from the file on first access.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};
use memmap2::{MmapOptions, MmapRaw};

/// A memory-mapped file, copied on write: the file itself never changes.
///
/// If another program truncates the file while it is mapped, this process is killed. Writing a model to a
/// temporary name and renaming it, as bertkit does, does not affect existing maps.
#[derive(Debug)]
pub(crate) struct MappedFile {
    map: Arc<MmapRaw>,
    /// The ranges in use: none is handed out twice, because its holder may write to it.
    taken: Mutex<Vec<Range<usize>>>,
}

impl MappedFile {
    /// Maps all of `file`.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private, so writes of ours do not reach the file; that others leave it
        // as long as it is, is said above.
        let map = unsafe { MmapOptions::new().map_copy(file) }?;
        Ok(Self {
            map: Arc::new(map.into()),
            taken: Mutex::new(Vec::new()),
        })
    }

    /// The bytes of a range as memory for an f32 tensor, without reading them; `None` if the range is
    /// misaligned, extends past the end, or was handed out before.
    pub fn take(&self, range: Range<usize>) -> Option<Bytes> {
        let even = |n: usize| n.is_multiple_of(align_of::<f32>());
        if range.is_empty()
            || range.end > self.map.len()
            || !even(self.map.as_ptr() as usize + range.start)
            || !even(range.len())
        {
            return None;
        }
        let mut taken = self
            .taken
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if taken
            .iter()
            .any(|t| t.start < range.end && range.start < t.end)
        {
            return None;
        }
        taken.push(range.clone());
        let part = MappedPart {
            map: self.map.clone(),
            range: range.clone(),
        };
        // SAFETY: the part is that long, and every byte of a file has a value.
        Some(unsafe { Bytes::from_controller(Box::new(part), range.len()) })
    }
}

/// A range of a mapped file with a single owner.
struct MappedPart {
    map: Arc<MmapRaw>,
    range: Range<usize>,
}

impl AllocationController for MappedPart {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(
        &mut self,
        _: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        // SAFETY: the range lies within the map, which lives as long as `self`, and was handed out once.
        Ok(unsafe {
            let start = self.map.as_mut_ptr().add(self.range.start);
            std::slice::from_raw_parts_mut(start.cast(), self.range.len())
        })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        // SAFETY: as above; who reads holds `self`, so nobody writes.
        Ok(unsafe {
            let start = self.map.as_ptr().add(self.range.start);
            std::slice::from_raw_parts(start.cast(), self.range.len())
        })
    }

    fn capacity(&self) -> usize {
        self.range.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use super::*;

    #[test]
    fn a_part_is_handed_out_once_and_written_without_touching_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let numbers: Vec<u8> = (0..8_u32).flat_map(|i| (i as f32).to_le_bytes()).collect();
        file.write_all(&numbers).unwrap();
        let map = MappedFile::new(file.as_file()).unwrap();
        let mut part = map.take(8..24).unwrap();
        assert_eq!(part[..], numbers[8..24]);
        assert!(map.take(20..28).is_none(), "it overlaps");
        assert!(map.take(25..29).is_none(), "it lies unevenly");
        assert!(map.take(24..40).is_none(), "it is beyond the end");
        part[0] = 77;
        drop(map);
        assert_eq!((part[0], part[1]), (77, numbers[9]));
        assert_eq!(std::fs::read(file.path()).unwrap(), numbers);
    }
}
