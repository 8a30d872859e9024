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

/// The largest resident size of this process so far in bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
