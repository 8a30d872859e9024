//! Calling the scheduler's own program.

use std::io;
use std::process::Stdio;

use anyhow::Context as _;
use glass_stage::Explain;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs `command` with this standard input and returns its standard output; what it says on
/// standard error becomes part of the error.
pub(super) async fn output(mut command: Command, input: &str) -> anyhow::Result<String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(anyhow::anyhow!("`{name}` is not installed here"))
                .blame_user()
                .hint("submit from a machine that can reach the scheduler, or look with --dry-run");
        }
        child => child.with_context(|| format!("cannot start `{name}`"))?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A program that refuses before it has read everything says why on standard error.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let done = child.wait_with_output().await.with_context(|| format!("cannot wait for `{name}`"))?;
    if done.status.success() {
        return String::from_utf8(done.stdout).with_context(|| format!("`{name}` answered no text"));
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(anyhow::anyhow!("`{name}` refused: {}", said.trim())).blame_user()
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+./:,%@".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_come_through_a_shell_as_they_are() {
        for word in ["", "--set=masks.low=0.4", "a b", "it's", "$HOME", "trainer.x={ start = 1 }", "*"] {
            let script = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output();
            let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            assert_eq!(said.ok().as_deref(), Some(word), "{script}");
        }
    }
}
