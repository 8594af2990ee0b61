//! The memory of the process: what the allocator keeps, and the recorded peak.

/// Lets the C library keep up to 2 GiB of freed memory.
///
/// Each training step allocates and frees the same large buffers. By default, glibc returns them to the kernel, which
/// clears every page again for the next step. 32 MiB is the largest mmap threshold that glibc accepts.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt sets two parameters of the allocator before any other thread starts; it ignores a value that it
    // does not accept.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// Returns free memory to the system and resets the peak resident memory of this process. Returns whether that worked.
pub fn forget_peak_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
    // Writing 5 resets the peak resident set size (man 5 proc_pid_clear_refs).
    cfg!(target_os = "linux") && std::fs::write("/proc/self/clear_refs", "5").is_ok()
}
