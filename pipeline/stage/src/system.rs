//! What has to be set before the first thread starts, and what the process has used.

use std::time::Duration;

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

/// The processor time of this process so far, all its threads together, where the system tells.
pub fn processor_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: `getrusage` writes one `rusage` to the place it is given, which has room for it; a
        // `rusage` of zeros is valid even if nothing were written.
        let (code, usage) = unsafe {
            let code = libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
            (code, usage.assume_init())
        };
        let time = |value: libc::timeval| {
            let seconds = u64::try_from(value.tv_sec).unwrap_or(0);
            Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(value.tv_usec).unwrap_or(0))
        };
        (code == 0).then(|| time(usage.ru_utime) + time(usage.ru_stime))
    }
    #[cfg(not(unix))]
    None
}
