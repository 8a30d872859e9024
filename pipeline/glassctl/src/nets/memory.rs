//! How much memory this process has needed.

/// The largest resident size so far in bytes, where the system tells.
pub(super) fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// `` (peak memory 1.23 GB)`` or nothing.
pub(super) fn phrase(bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!(" (peak memory {:.2} GB)", bytes as f64 / 1e9),
        None => String::new(),
    }
}
