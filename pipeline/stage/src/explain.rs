//! Who has to act on an error, and how.

use std::fmt::Display;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The user's input has to change: exit code 1.
    User,
    /// A bug of ours or a failing machine: exit code 2.
    Us,
}

/// Adds to an error what the exit code and the `hint:` line are made of.
///
/// Errors of this workspace's libraries that are plainly the user's input (an unknown key of a
/// run spec, a dataset of another schema version …) are recognised without it.
pub trait Explain<T> {
    /// The error is the user's to mend: exit code 1.
    ///
    /// # Errors
    /// The same error, marked.
    fn blame_user(self) -> anyhow::Result<T>;

    /// Prints `hint: …` below the error chain.
    ///
    /// # Errors
    /// The same error, with the hint.
    fn hint(self, hint: impl Display) -> anyhow::Result<T>;
}
