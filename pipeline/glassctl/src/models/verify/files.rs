//! Files against the lock.

use std::path::Path;

use glass_stage::Context;

use super::super::digest;
use super::super::lock::{Lock, LockedFile};
use super::Finding;

/// Every file of the lock; none if a signal came before.
pub(super) async fn compare(folder: &Path, lock: &Lock, context: &Context) -> Option<Vec<Finding>> {
    let task = context.progress.task("verify", "files", lock.files.len() as u64);
    let mut findings = Vec::new();
    for file in &lock.files {
        let path = folder.join(&file.path);
        let verdict = tokio::select! {
            verdict = one(&path, file) => verdict,
            () = context.stop.wait() => return None,
        };
        findings.push(Finding { path: file.path.clone(), verdict });
        task.advance(1);
    }
    task.finish();
    Some(findings)
}

async fn one(path: &Path, file: &LockedFile) -> Result<String, String> {
    let found = match digest::of_file(path).await {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match file.optional {
                true => Ok("absent, and not needed".to_owned()),
                false => Err("missing".to_owned()),
            };
        }
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let size = found.bytes();
    if let Some(bytes) = file.bytes.filter(|bytes| *bytes != size) {
        let short = if size < bytes { "truncated: " } else { "" };
        return Err(format!("{short}{size} bytes, expected {bytes}"));
    }
    let sha256 = found.finish();
    match &file.sha256 {
        Some(expected) if *expected == sha256 => Ok("sha256 as in the lock file".to_owned()),
        Some(expected) => Err(format!("sha256 is `{sha256}`, expected `{expected}`")),
        None => Ok(format!("sha256 {sha256}, not stated in the lock file")),
    }
}
