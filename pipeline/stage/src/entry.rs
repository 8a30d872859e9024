//! The `main` of every binary.

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::ProcessArgs;
use crate::exit::ExitStatus;
use crate::progress::Progress;
use crate::signals::{Overdue, Stop};
use crate::{explain, logging, system};

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

impl Context {
    /// A context without signals and terminal, for tests and for use as a library.
    pub fn detached(name: &'static str) -> Self {
        Self { name, stop: Stop::default(), progress: Progress::lines() }
    }
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
///         let spec = args.stage.spec.load()?;
///         let options = args.stage.options(&spec.execution, 8)?;
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
    match stage_main_from(name, std::env::args_os(), body) {
        // A batch may still be under way on its own thread.
        ExitStatus::Interrupted => system::leave(ExitStatus::Interrupted),
        status => status.into(),
    }
}

/// [`stage_main`] for programs that are no stage: a signal is told to the body, which takes the time
/// it needs to end. A stage leaves some seconds after the signal whatever it does.
pub fn program_main<A, B, F>(name: &'static str, body: B) -> ExitCode
where
    A: Parser + AsRef<ProcessArgs>,
    B: FnOnce(A, Context) -> F,
    F: Future<Output = anyhow::Result<ExitStatus>>,
{
    start(name, std::env::args_os(), body, Overdue::GoesOn).into()
}

/// [`stage_main`] with the command line given: the program's name, then its flags.
pub fn stage_main_from<A, B, F>(
    name: &'static str,
    command_line: impl IntoIterator<Item = OsString>,
    body: B,
) -> ExitStatus
where
    A: Parser + AsRef<ProcessArgs>,
    B: FnOnce(A, Context) -> F,
    F: Future<Output = anyhow::Result<ExitStatus>>,
{
    start(name, command_line, body, Overdue::Leaves)
}

fn start<A, B, F>(
    name: &'static str,
    command_line: impl IntoIterator<Item = OsString>,
    body: B,
    overdue: Overdue,
) -> ExitStatus
where
    A: Parser + AsRef<ProcessArgs>,
    B: FnOnce(A, Context) -> F,
    F: Future<Output = anyhow::Result<ExitStatus>>,
{
    let args = match A::try_parse_from(command_line) {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let process = args.as_ref().clone();
    system::keep_freed_memory();
    if let Some(threads) = process.threads {
        system::limit_threads(threads);
    }
    let progress = Progress::new(process.log_format);
    logging::start(process.log_format, &progress.bars());
    let result = serve(body, args, Context { name, stop: Stop::default(), progress }, overdue);
    let status = result.unwrap_or_else(|error| {
        report(&error, process.log_format);
        explain::status(&error)
    });
    if status == ExitStatus::Interrupted {
        tracing::warn!("interrupted: run the same command again to resume");
    }
    status
}

fn serve<A, B, F>(body: B, args: A, context: Context, overdue: Overdue) -> anyhow::Result<ExitStatus>
where
    B: FnOnce(A, Context) -> F,
    F: Future<Output = anyhow::Result<ExitStatus>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        context.stop.on_signals(overdue)?;
        body(args, context).await
    });
    // A blocking task that hangs on a dead store must not hold the exit up.
    runtime.shutdown_background();
    result
}

/// Help and version are answers, anything else is the user's mistake.
fn usage(error: &clap::Error) -> ExitStatus {
    // A closed stdout or stderr changes nothing.
    let _ = error.print();
    if error.use_stderr() { ExitStatus::UserError } else { ExitStatus::Done }
}

fn report(error: &anyhow::Error, format: crate::LogFormat) {
    match format {
        crate::LogFormat::Text => eprintln!("{}", explain::render(error)),
        crate::LogFormat::Json => {
            let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
            let hint = explain::hint(error);
            let exit_code = explain::status(error).code();
            tracing::error!(error = %error, ?causes, hint, exit_code, "failed");
        }
    }
}
