//! Progress: a bar with rate and remaining time on a terminal, log lines without one.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::LogFormat;

/// Time between two progress lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Weight of the past in the running rate, per second: about the last minute counts.
const RATE_MEMORY_SECONDS: f64 = 60.0;

/// Shows how far work is; the same calls whether or not there is a terminal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Progress {
    display: Display,
}

#[derive(Clone, Debug)]
enum Display {
    Bars(MultiProgress),
    Lines,
}

/// One piece of work of known length that is under way.
#[derive(Clone, Debug)]
pub struct Task {
    inner: Arc<Mutex<Counter>>,
    bar: Option<ProgressBar>,
    name: &'static str,
    unit: &'static str,
}

#[derive(Debug)]
struct Counter {
    done: u64,
    total: u64,
    rate: Rate,
    last_line: Instant,
}

impl Progress {
    /// A bar if stderr is a terminal and the log is for people, lines otherwise.
    pub(crate) fn new(format: LogFormat) -> Self {
        let bars = format == LogFormat::Text && std::io::stderr().is_terminal();
        let display = match bars {
            true => Display::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr())),
            false => Display::Lines,
        };
        Self { display }
    }

    /// Log lines only, e.g. where stderr belongs to another process.
    pub fn lines() -> Self {
        Self { display: Display::Lines }
    }

    pub(crate) fn bars(&self) -> MultiProgress {
        match &self.display {
            Display::Bars(bars) => bars.clone(),
            Display::Lines => MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
        }
    }

    /// Starts to count `total` units of work called `name`, e.g. `samples`.
    pub fn task(&self, name: &'static str, unit: &'static str, total: u64) -> Task {
        let bar = match &self.display {
            Display::Bars(bars) => Some(bars.add(bar(name, unit, total))),
            Display::Lines => None,
        };
        let now = Instant::now();
        let counter = Counter { done: 0, total, rate: Rate::new(now), last_line: now };
        Task { inner: Arc::new(Mutex::new(counter)), bar, name, unit }
    }
}

impl Task {
    /// Counts `units` as done.
    pub fn advance(&self, units: u64) {
        let now = Instant::now();
        let mut counter = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        counter.done += units;
        counter.rate.add(units, now);
        if let Some(bar) = &self.bar {
            bar.inc(units);
        } else if now.duration_since(counter.last_line) >= LINE_EVERY {
            counter.last_line = now;
            self.line(&counter, now);
        }
    }

    /// Adds units to what is to be done.
    pub fn extend(&self, units: u64) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).total += units;
        if let Some(bar) = &self.bar {
            bar.inc_length(units);
        }
    }

    /// Ends the display with a last line that says how far it came.
    pub fn finish(&self) {
        let counter = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.bar {
            Some(bar) => bar.abandon(),
            None => self.line(&counter, Instant::now()),
        }
    }

    fn line(&self, counter: &Counter, now: Instant) {
        let rate = counter.rate.per_second(now);
        let left = counter.total.saturating_sub(counter.done);
        tracing::info!(
            work = self.name,
            unit = self.unit,
            done = counter.done,
            total = counter.total,
            per_second = (rate * 1000.0).round() / 1000.0,
            eta_seconds = eta(left, rate),
            "progress"
        );
    }
}

fn bar(name: &'static str, unit: &'static str, total: u64) -> ProgressBar {
    let template =
        format!("{{prefix}} {{wide_bar:.cyan/blue}} {{human_pos}}/{{human_len}} {unit} {{per_sec:.dim}} ETA {{eta}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total).with_style(style).with_prefix(name);
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Whole seconds left at this rate; `None` while nothing was done.
fn eta(left: u64, rate: f64) -> Option<u64> {
    (rate > 0.0).then(|| (left as f64 / rate).ceil() as u64)
}

/// Units per second with an exponential memory, so that a slow start is forgotten.
#[derive(Debug)]
struct Rate {
    units: f64,
    seconds: f64,
    last: Instant,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self { units: 0.0, seconds: 0.0, last: now }
    }

    fn add(&mut self, units: u64, now: Instant) {
        let passed = now.duration_since(self.last).as_secs_f64();
        let keep = (-passed / RATE_MEMORY_SECONDS).exp();
        self.units = self.units * keep + units as f64;
        self.seconds = self.seconds * keep + passed;
        self.last = now;
    }

    fn per_second(&self, now: Instant) -> f64 {
        let seconds = self.seconds + now.duration_since(self.last).as_secs_f64();
        if seconds > 0.0 { self.units / seconds } else { 0.0 }
    }
}
