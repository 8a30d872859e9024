//! The `main` of every binary.

use std::future::Future;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::ProcessArgs;
use crate::exit::ExitStatus;
use crate::progress::Progress;
use crate::signals::Stop;

/// What the body of a binary gets from [`stage_main`].
#[derive(Clone, Debug)]
pub struct Context {
    /// The binary's name, as stored in quarantine rows.
    pub name: &'static str,
    /// Set when a signal asked the process to stop; hand it to [`crate::run`] or poll it.
    pub stop: Stop,
    /// Progress bar on a terminal, log lines otherwise.
    pub progress: Progress,
}

/// Parses the flags, prepares the process (allocator, threads, logging, signals), runs `body` on a
/// tokio runtime and turns its result into an exit code with an error chain on stderr.
///
/// ```ignore
/// #[derive(clap::Parser)]
/// struct Args {
///     #[command(flatten)]
///     stage: StageArgs,
/// }
/// impl AsRef<ProcessArgs> for Args { fn as_ref(&self) -> &ProcessArgs { &self.stage.process } }
///
/// fn main() -> std::process::ExitCode {
///     glass_stage::stage_main("captioner", |args: Args, context| async move {
///         let spec = RunSpec::load(&args.stage.spec).blame_user()?;
///         let options = Options { slot: args.stage.slot()?, batch_size: …, ..Options::default() };
///         let summary = glass_stage::run(job, &context).await?;
///         Ok(summary.status())
///     })
/// }
/// ```
pub fn stage_main<A, B, F>(name: &'static str, body: B) -> ExitCode
where
    A: Parser + AsRef<ProcessArgs>,
    B: FnOnce(A, Context) -> F,
    F: Future<Output = anyhow::Result<ExitStatus>>,
{
    todo!()
}
