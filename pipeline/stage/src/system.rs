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

/// The machine's name, empty where the system does not tell.
pub(crate) fn host_name() -> String {
    let mut buffer = [0_u8; 256];
    // SAFETY: the buffer is as long as said; the last byte stays 0 whatever is written.
    let failed = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len() - 1) } != 0;
    if failed {
        return String::new();
    }
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}

/// Ends the process at once, without running what other threads' libraries registered for its end: a
/// network that still computes would crash in it.
pub(crate) fn leave(status: crate::ExitStatus) -> ! {
    use std::io::Write;
    // A closed stdout or stderr changes nothing.
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(i32::from(status.code())) }
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
