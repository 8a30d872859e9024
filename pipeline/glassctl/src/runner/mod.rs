//! The steps of the job as processes: started, watched, stopped.

mod programs;
mod stopped;

use std::path::{Path, PathBuf};
use std::process::{ExitStatus as Code, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use glass_schemas::ids::DatasetKind;
use glass_schemas::spec::RunSpec;
use glass_stage::{Context, ExitStatus, SpecArgs};
use tokio::process::{Child, Command};

pub(crate) use programs::{Programs, root};
pub(crate) use stopped::{Stopped, stopped_or};

use crate::text;

/// The stages in their order: program, what it does, the datasets it makes.
pub(crate) const STAGES: [(&str, &str, &[DatasetKind]); 3] = [
    ("captioner", "real images → captions, classes, prompts", &[DatasetKind::Captions]),
    ("sd-generator", "prompts → images, latents, attention means", &[DatasetKind::Generations, DatasetKind::Attention]),
    ("attention-mask-extractor", "attention means → pseudo-masks", &[DatasetKind::Masks]),
];

/// A trained run.
pub(crate) struct TrainedRun {
    pub(crate) id: String,
}

/// What an evaluation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// The numbers as a table.
    Table,
    /// The folder that they are in, below the store.
    Folder,
}

/// Starts the programs of the pipeline with the flags they share.
pub(crate) struct Runner {
    pub(crate) root: PathBuf,
    pub(crate) spec: PathBuf,
    /// Where datasets and runs are; nothing leaves it to the spec.
    pub(crate) store: Option<String>,
    pub(crate) workers: usize,
    /// Threads of a worker; nothing takes every core.
    pub(crate) threads: Option<usize>,
    pub(crate) logs: PathBuf,
    /// Where the trainer keeps what it can make again; nothing leaves it to the environment.
    pub(crate) scratch: Option<PathBuf>,
    pub(crate) set: Vec<String>,
    pub(crate) programs: Programs,
}

impl Runner {
    /// The programs beside this one, run in the current folder.
    ///
    /// # Errors
    /// The user's: programs that are not built, a wrong override, a folder that cannot be made.
    pub(crate) async fn here(
        spec: &SpecArgs,
        logs: &Path,
        workers: u16,
        threads: Option<usize>,
        context: &Context,
    ) -> anyhow::Result<Self> {
        let root = std::env::current_dir().context("cannot find the current folder")?;
        std::fs::create_dir_all(logs).with_context(|| format!("cannot write logs to `{}`", logs.display()))?;
        let runner = Self {
            programs: Programs::find(&root, context).await?,
            root,
            spec: spec.path.clone(),
            store: spec.store.clone(),
            logs: logs.to_owned(),
            scratch: None,
            set: spec.set.clone(),
            workers: usize::from(workers),
            threads,
        };
        runner.check()?;
        Ok(runner)
    }

    /// The spec with every override.
    pub(crate) fn run_spec(&self) -> anyhow::Result<RunSpec> {
        Ok(RunSpec::load_with(&self.spec, &self.set)?)
    }

    /// Refuses a wrong override before the first process is started.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.run_spec().map(|_| ())
    }

    /// The three stages, each with a worker a core; tells whether samples were quarantined.
    pub(crate) async fn data(&self, context: &Context) -> anyhow::Result<ExitStatus> {
        let mut worst = ExitStatus::Done;
        for (program, what, _) in STAGES {
            if self.pool(program, what, &[], context).await? == ExitStatus::DoneWithQuarantine {
                worst = ExitStatus::DoneWithQuarantine;
            }
        }
        Ok(worst)
    }

    /// Trains; `name` is the log's, `flags` are the trainer's own, `set` further changes of the spec.
    pub(crate) async fn train(
        &self,
        name: &str,
        flags: &[String],
        set: &[String],
        context: &Context,
    ) -> anyhow::Result<TrainedRun> {
        let mut arguments = vec!["train".to_owned()];
        arguments.extend(self.threads.iter().flat_map(|n| ["--threads".to_owned(), n.to_string()]));
        arguments.extend_from_slice(flags);
        let what = "images and masks → slots, decoders";
        let printed = self.alone(name, what, &arguments, set, context).await?;
        Ok(TrainedRun { id: printed.trim().to_owned() })
    }

    /// Evaluates; what was printed.
    pub(crate) async fn evaluate(&self, run: &str, numbers: Numbers, context: &Context) -> anyhow::Result<String> {
        let mut arguments = ["evaluate", "--run", run].map(str::to_owned).to_vec();
        arguments.extend((numbers == Numbers::Folder).then(|| "--folder".to_owned()));
        let what = "slots → numbers beside baselines";
        let printed = self.alone("evaluate", what, &arguments, &[], context).await?;
        Ok(match numbers {
            Numbers::Table => printed,
            Numbers::Folder => printed.trim().to_owned(),
        })
    }

    /// Evaluates a run, or without one what needs no training; the folder of the numbers, below the store.
    pub(crate) async fn score(
        &self,
        name: &str,
        run: Option<&str>,
        set: &[String],
        context: &Context,
    ) -> anyhow::Result<String> {
        let mut arguments = ["evaluate", "--folder", "--threads", "1"].map(str::to_owned).to_vec();
        arguments.extend(run.iter().flat_map(|run| ["--run", run].map(str::to_owned)));
        let printed = self.alone(name, "slots → numbers", &arguments, set, context).await?;
        Ok(printed.trim().to_owned())
    }

    /// Compares per-image tables; what was printed.
    pub(crate) async fn compare(&self, arguments: &[String], context: &Context) -> anyhow::Result<String> {
        let name = "compare";
        let step = Step::start(name, "numbers → differences image by image");
        let mut command = Command::new(self.programs.path("trainer"));
        command.current_dir(&self.root).arg(name).args(arguments);
        let child = self.spawn(command, name)?;
        Ok(step.finish(vec![(child, self.log(name))], context).await?.stdout)
    }

    /// Draws reconstructions and compositions; the folders of both, below the store.
    pub(crate) async fn draw(&self, run: &str, context: &Context) -> anyhow::Result<[String; 2]> {
        let mut folders = [const { String::new() }; 2];
        let verbs = [("generate", "slots → pictures"), ("compose", "edited slots → pictures")];
        for (folder, (verb, what)) in folders.iter_mut().zip(verbs) {
            let arguments = [verb, "--run", run].map(str::to_owned);
            let printed = self.alone(verb, what, &arguments, &[], context).await?;
            *folder = printed.trim().to_owned();
        }
        Ok(folders)
    }

    async fn alone(
        &self,
        name: &str,
        what: &str,
        arguments: &[String],
        set: &[String],
        context: &Context,
    ) -> anyhow::Result<String> {
        let step = Step::start(name, what);
        let child = self.start("trainer", name, arguments, set)?;
        Ok(step.finish(vec![(child, self.log(name))], context).await?.stdout)
    }

    /// One stage with all its workers, as a cluster runs them; `flags` are the stage's own.
    pub(crate) async fn pool(
        &self,
        program: &str,
        what: &str,
        flags: &[String],
        context: &Context,
    ) -> anyhow::Result<ExitStatus> {
        let step = Step::start(program, what);
        let workers = self.workers;
        let mut children = Vec::with_capacity(workers);
        for index in 0..workers {
            let name = format!("{program}-{index}");
            let mut slot = ["--index", &index.to_string(), "--count", &workers.to_string()].map(str::to_owned).to_vec();
            slot.extend(self.threads.iter().flat_map(|n| ["--threads".to_owned(), n.to_string()]));
            slot.extend_from_slice(flags);
            children.push((self.start(program, &name, &slot, &[])?, self.log(&name)));
        }
        Ok(step.finish(children, context).await?.status)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    fn start(&self, program: &str, name: &str, arguments: &[String], set: &[String]) -> anyhow::Result<Child> {
        let mut command = Command::new(self.programs.path(program));
        command.current_dir(&self.root).args(arguments);
        command.arg("--spec").arg(&self.spec);
        if let Some(store) = &self.store {
            command.args(["--store", store]);
        }
        for assignment in self.set.iter().chain(set) {
            command.args(["--set", assignment]);
        }
        if let Some(scratch) = &self.scratch {
            command.env("GLASS_SCRATCH", scratch);
        }
        self.spawn(command, name)
    }

    fn spawn(&self, mut command: Command, name: &str) -> anyhow::Result<Child> {
        let path = self.log(name);
        let log = std::fs::File::create(&path).with_context(|| format!("cannot write the log `{}`", path.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        command.spawn().with_context(|| format!("cannot start `{name}`"))
    }
}

struct Output {
    status: ExitStatus,
    stdout: String,
}

/// A step on the screen.
struct Step {
    name: String,
    started: Instant,
}

impl Step {
    fn start(name: &str, what: &str) -> Self {
        eprintln!("▸ {name:<26} {what}");
        Self { name: name.to_owned(), started: Instant::now() }
    }

    /// Waits for all processes. A signal is handed on, and they are given time to stop cleanly.
    async fn finish(self, children: Vec<(Child, PathBuf)>, context: &Context) -> anyhow::Result<Output> {
        let ids: Vec<u32> = children.iter().filter_map(|(child, _)| child.id()).collect();
        let relay = async {
            context.stop.wait().await;
            for &id in &ids {
                terminate(id);
            }
            std::future::pending::<()>().await;
        };
        let spinner = Spinner::start(&self.name, children.iter().map(|(_, log)| log.clone()).collect());
        let outputs = tokio::select! {
            outputs = futures::future::join_all(children.into_iter().map(wait)) => outputs,
            () = relay => Vec::new(),
        };
        spinner.stop();
        let mut status = ExitStatus::Done;
        let mut stdout = String::new();
        for output in outputs {
            let (code, text, log) = output?;
            stdout.push_str(&text);
            match code.code() {
                Some(0) => {}
                Some(3) => status = ExitStatus::DoneWithQuarantine,
                Some(75) => return Err(Stopped::INTERRUPTED.into()),
                code => {
                    show_end_of(&self.name, &log);
                    return Err(Stopped::with(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(2)).into());
                }
            }
        }
        let note = match status {
            ExitStatus::DoneWithQuarantine => ", some samples in quarantine",
            _ => "",
        };
        eprintln!("  {:<26} {}{note}", "", text::duration(self.started.elapsed()));
        Ok(Output { status, stdout })
    }
}

async fn wait((child, log): (Child, PathBuf)) -> anyhow::Result<(Code, String, PathBuf)> {
    let output = child.wait_with_output().await.context("lost a child process")?;
    Ok((output.status, String::from_utf8_lossy(&output.stdout).into_owned(), log))
}

fn terminate(id: u32) {
    if let Ok(id) = i32::try_from(id) {
        // SAFETY: `kill` takes two numbers and touches no memory of ours; the child is not yet
        // reaped, so the number is still its own.
        unsafe {
            libc::kill(id, libc::SIGTERM);
        }
    }
}

fn show_end_of(name: &str, log: &Path) {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    eprintln!("{name} failed; the end of `{}`:", log.display());
    for line in &lines[lines.len().saturating_sub(12)..] {
        eprintln!("  {line}");
    }
}

/// The last line of a step's log, on a terminal only.
struct Spinner(Option<(indicatif::ProgressBar, tokio::task::JoinHandle<()>)>);

impl Spinner {
    fn start(name: &str, logs: Vec<PathBuf>) -> Self {
        let bar = indicatif::ProgressBar::new_spinner();
        if bar.is_hidden() {
            return Self(None);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        bar.set_prefix(name.to_owned());
        let shown = bar.clone();
        let task = tokio::spawn(async move {
            loop {
                let lines = logs.iter().map(|log| last_line(log)).collect::<Vec<_>>();
                shown.set_message(lines.join(" | "));
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        Self(Some((bar, task)))
    }

    fn stop(self) {
        if let Some((bar, task)) = self.0 {
            task.abort();
            bar.finish_and_clear();
        }
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().next_back().unwrap_or_default();
    line.chars().take(100).collect()
}
