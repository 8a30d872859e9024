//! Names of attempts: no two are ever the same, on any machine.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// One attempt at one shard: seconds since 1970 and 64 random bits, in hexadecimal.
///
/// The bits come from the operating system through [`RandomState`], mixed with the clock, the
/// process id and a counter, because a container image may be restored with its random state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt(String);

static COUNTER: AtomicU64 = AtomicU64::new(0);

impl Attempt {
    /// A name nobody else has.
    #[expect(clippy::new_without_default, reason = "a default value that differs each time would surprise")]
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u128(now.as_nanos());
        hasher.write_u32(std::process::id());
        hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
        Self(format!("{:08x}-{:016x}", now.as_secs(), hasher.finish()))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
