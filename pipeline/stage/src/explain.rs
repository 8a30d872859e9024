//! Who has to act on an error, and how.

use std::error::Error as StdError;
use std::fmt;

use glass_dataset::DatasetError;
use glass_schemas::SchemaError;

use crate::error::StageError;
use crate::exit::ExitStatus;

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
    fn hint(self, hint: impl fmt::Display) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Explain<T> for Result<T, E> {
    fn blame_user(self) -> anyhow::Result<T> {
        self.map_err(|error| Explained { blame: Some(Blame::User), hint: None, error: error.into() }.into())
    }

    fn hint(self, hint: impl fmt::Display) -> anyhow::Result<T> {
        self.map_err(|error| Explained { blame: None, hint: Some(hint.to_string()), error: error.into() }.into())
    }
}

/// An error with a mark; it reads like the error it marks.
#[derive(Debug)]
struct Explained {
    blame: Option<Blame>,
    hint: Option<String>,
    error: anyhow::Error,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.chain().nth(1)
    }
}

/// Who has to act on `error`: the outermost mark or known error decides, but for a full disk, which is
/// nobody's input.
pub fn blame(error: &anyhow::Error) -> Blame {
    if is_full(error) {
        return Blame::Us;
    }
    known(error).find_map(|known| known.blame()).unwrap_or(Blame::Us)
}

/// What the user can do about `error`: the outermost hint.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    if is_full(error) {
        return Some("the disk is full: free some space and run the same command again; nothing was lost".to_owned());
    }
    known(error).find_map(|known| known.hint())
}

/// Whether it came to this because a disk is full.
fn is_full(error: &anyhow::Error) -> bool {
    error.chain().any(says_full)
}

fn says_full(link: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = link.downcast_ref::<std::io::Error>() {
        return error.kind() == std::io::ErrorKind::StorageFull;
    }
    // The marked error stands in the same place of the chain.
    link.downcast_ref::<Explained>().is_some_and(|explained| is_full(&explained.error))
}

/// The exit status an error stands for.
pub fn status(error: &anyhow::Error) -> ExitStatus {
    match blame(error) {
        Blame::User => ExitStatus::UserError,
        Blame::Us => ExitStatus::OurError,
    }
}

/// The error and its causes, one a line, then the hint.
pub fn render(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let message = cause.to_string();
        // Wrappers that repeat their source's words say nothing new.
        if !last.ends_with(&message) {
            text.push_str(&format!("\n  caused by: {message}"));
        }
        last = message;
    }
    if let Some(hint) = hint(error) {
        text.push_str(&format!("\nhint: {hint}"));
    }
    text
}

/// What is known about one link of an error chain.
enum Known<'a> {
    Explained(&'a Explained),
    Dataset(&'a DatasetError),
    Schema(&'a SchemaError),
    Stage(&'a StageError),
}

impl Known<'_> {
    fn blame(&self) -> Option<Blame> {
        let user = match self {
            Self::Explained(explained) => return explained.blame,
            Self::Dataset(error) => error.is_user_input(),
            Self::Stage(error) => error.is_user_input(),
            Self::Schema(error) => matches!(
                error,
                SchemaError::ReadSpec { .. } | SchemaError::InvalidSpec { .. } | SchemaError::InvalidId { .. }
            ),
        };
        user.then_some(Blame::User)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Explained(explained) => explained.hint.clone(),
            Self::Dataset(error) => error.hint(),
            Self::Stage(error) => error.hint(),
            Self::Schema(error) => error.hint().map(str::to_owned),
        }
    }
}

/// The known links of a chain, outermost first, looking into marked errors.
fn known(error: &anyhow::Error) -> Box<dyn Iterator<Item = Known<'_>> + '_> {
    Box::new(error.chain().flat_map(links))
}

fn links<'a>(error: &'a (dyn StdError + 'static)) -> Vec<Known<'a>> {
    let mut found = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next.take() {
        if let Some(explained) = error.downcast_ref::<Explained>() {
            found.push(Known::Explained(explained));
            // The marked error stands in the same place of the chain.
            let inner: &(dyn StdError + 'static) = explained.error.as_ref();
            next = Some(inner);
        } else if let Some(error) = error.downcast_ref::<DatasetError>() {
            found.push(Known::Dataset(error));
            // Transparent wrappers hide the error they wrap from the chain.
            if let DatasetError::Schema(inner) = error {
                next = Some(inner);
            }
        } else if let Some(error) = error.downcast_ref::<SchemaError>() {
            found.push(Known::Schema(error));
        } else if let Some(error) = error.downcast_ref::<StageError>() {
            found.push(Known::Stage(error));
            match error {
                StageError::Dataset(inner) => next = Some(inner),
                StageError::Schema(inner) => next = Some(inner),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> anyhow::Result<()> {
        Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into())
    }

    #[test]
    fn a_full_disk_is_nobodys_input_however_it_is_marked() {
        use anyhow::Context as _;
        let marked = [
            full(),
            full().blame_user(),
            full().context("cannot write").blame_user(),
            full().blame_user().context("x"),
        ];
        for error in marked.into_iter().filter_map(Result::err) {
            assert_eq!(status(&error), ExitStatus::OurError, "{error:?}");
            assert!(hint(&error).is_some_and(|hint| hint.starts_with("the disk is full")), "{error:?}");
        }
        let other = Err::<(), _>(std::io::Error::from(std::io::ErrorKind::NotFound)).blame_user();
        assert_eq!(other.err().map(|error| status(&error)), Some(ExitStatus::UserError));
    }
}
