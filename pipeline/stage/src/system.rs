//! What has to be set before the first thread starts.

/// Keeps freed memory in the process.
///
/// glibc gives large blocks back to the kernel on every drop and faults them in again at the next
/// use, which costs more than many a network layer: activations are exactly such blocks. The
/// resident size stays at its peak in exchange.
pub(crate) fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt has no preconditions; it is called before other threads exist.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, libc::c_int::MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

/// Limits the threads of the network's CPU kernels, which read this variable when first used.
pub(crate) fn limit_threads(threads: usize) {
    // SAFETY: called at the start of main, before any other thread exists.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.max(1).to_string()) }
}
