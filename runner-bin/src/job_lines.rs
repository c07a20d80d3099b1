//! The log of a manager: a line on stdout for what happens to jobs, sources and the config, as text or as JSON, with the
//! words that people search for.
//!
//! Lines are written by hand and not by tracing-subscriber: what it formats are the fields of a call site, and these are
//! of events, where a formatter for both forms would be longer than writing the line. What the libraries trace gets here
//! as well, through a [layer](JobLines::listen).

use std::{
    io::Write,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use runner_config::{
    LoadError, ReloadEvent,
    config::{LogFormat, LogLevel},
};
use runner_core::{Event, FailureReason, Finding, JobEnd, JobEvent, JobId, JobOutcome, Severity};
use serde_json::Value;

use crate::{
    jobs_seen::{JobsSeen, RunnerFacts, SeenJob},
    metrics::{ErrorLevel, Metrics},
};

mod line;
mod traced;

use line::Line;

/// Lines that wait to be written. Where stdout takes no more, later ones are lost, and their number is told.
const MOST_WAITING: usize = 4096;

/// Writes the log.
#[derive(Debug)]
pub(crate) struct JobLines {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
    lost: AtomicU64,
}

#[derive(Debug)]
struct State {
    level: LogLevel,
    format: LogFormat,
    seen: JobsSeen,
    /// `None` once it is closed.
    queue: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
}

impl JobLines {
    /// Lines of at least this severity, written to `out` by a thread: an event must not wait for whoever reads. Errors and
    /// warnings are counted in `metrics`.
    pub(crate) fn new(
        level: LogLevel,
        format: LogFormat,
        metrics: Arc<Metrics>,
        mut out: impl Write + Send + 'static,
    ) -> Self {
        let (queue, lines) = sync_channel::<String>(MOST_WAITING);
        let writer = thread::spawn(move || {
            for line in lines {
                // Where nobody reads any more, nobody is to be told.
                drop(out.write_all(line.as_bytes()).and_then(|()| out.flush()));
            }
        });
        let (seen, queue, writer) = (JobsSeen::default(), Some(queue), Some(writer));
        let state = Mutex::new(State { level, format, seen, queue, writer });
        Self { state, metrics, lost: AtomicU64::new(0) }
    }

    /// Another config is used.
    pub(crate) fn configure(&self, level: LogLevel, format: LogFormat, runners: &[RunnerFacts]) {
        let mut state = self.state();
        (state.level, state.format) = (level, format);
        state.seen.set_runners(runners);
    }

    /// Waits until all is written. What comes later is dropped. Blocks for as long as stdout does.
    pub(crate) fn close(&self) {
        let (queue, format, writer) = {
            let mut state = self.state();
            (state.queue.take(), state.format, state.writer.take())
        };
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if let Some(queue) = queue.filter(|_| lost > 0) {
            // The writer ends only after the queue does.
            drop(queue.send(were_lost(lost).text(format)));
        }
        if let Some(writer) = writer {
            // It does not panic.
            drop(writer.join());
        }
    }

    /// Tells an event, if it is one for people.
    pub(crate) fn on_event(&self, event: &Event) {
        let (job, runner) = {
            let mut state = self.state();
            let runner = match event {
                Event::SourceFailed { runner, .. } => state.seen.runner(runner),
                _ => RunnerFacts::default(),
            };
            (state.seen.take(event), runner)
        };
        match event {
            Event::Received { job: id, name, queued, .. } => {
                let mut line = of_job(LogLevel::Info, "Checking for jobs... received", id, job.as_ref());
                line = line.with("name", name.as_str());
                if let Some(queued) = queued {
                    line = line.with("queued_s", line::seconds(*queued));
                }
                self.write(&line);
            }
            Event::Adopted { job: id, name, .. } => {
                let text = "Job of an earlier process taken over";
                self.write(&of_job(LogLevel::Info, text, id, job.as_ref()).with("name", name.as_str()));
            }
            Event::SourceFailed { error, again_in, .. } => {
                let line =
                    Line::new(LogLevel::Warning, "Checking for jobs... failed").with("runner", runner.token);
                let line = line.with("runner_name", runner.name).with("error", error.as_str());
                self.write(&line.with("again_in_s", line::seconds(*again_in)));
            }
            Event::Draining { running } => {
                self.write(
                    &Line::new(LogLevel::Info, "Draining: no more jobs are taken").with("running", *running),
                );
            }
            Event::Job { job: id, event } => self.on_job_event(id, event, job.as_ref()),
            _ => {}
        }
    }

    fn on_job_event(&self, id: &JobId, event: &JobEvent, job: Option<&SeenJob>) {
        let of = |level, text: &str| of_job(level, text, id, job);
        match event {
            JobEvent::Starting { slot } => {
                self.write(&of(LogLevel::Debug, "Job starts").with("slot", *slot));
            }
            JobEvent::Waiting { class, reason } => {
                let line = of(LogLevel::Info, &format!("Job waits: {reason}"));
                self.write(&line.with("reason", class.as_str()));
            }
            JobEvent::PhaseStarted(phase) => {
                self.write(&of(LogLevel::Debug, "Phase started").with("stage", phase.section()));
            }
            JobEvent::PhaseEnded(record) => {
                let line = of(LogLevel::Debug, "Phase ended").with("stage", record.phase.section());
                self.write(&line.with("duration_s", line::seconds(record.duration)));
            }
            JobEvent::Notice(text) => self.write(&of(LogLevel::Warning, text)),
            JobEvent::Ended(end) => self.write(&ended(id, end, job)),
            JobEvent::TakenOver => self.write(&of(LogLevel::Info, "Job left to another manager")),
            _ => {}
        }
    }

    /// Tells what a check found.
    pub(crate) fn finding(&self, finding: &Finding) {
        let level = match finding.severity {
            Severity::Note => LogLevel::Info,
            Severity::Warning => LogLevel::Warning,
            Severity::Fatal => LogLevel::Error,
        };
        let line = Line::new(level, &finding.message);
        self.write(&if finding.mend.is_empty() { line } else { line.with("help", finding.mend.as_str()) });
    }

    /// Tells what became of a config that changed.
    pub(crate) fn reload(&self, event: &ReloadEvent) {
        match event {
            ReloadEvent::Applied(_) => self.write(&Line::new(LogLevel::Info, "Configuration loaded")),
            ReloadEvent::Refused(error) => self.config_refused(error),
            ReloadEvent::Unchanged => self.write(&Line::new(LogLevel::Info, "Configuration unchanged")),
        }
    }

    /// Tells why a config cannot be used: a line for each mistake.
    pub(crate) fn config_refused(&self, error: &LoadError) {
        let line = |why: &str, help: &str| {
            let line = Line::new(LogLevel::Error, &format!("Failed to load config: {why}"));
            self.write(&if help.is_empty() { line } else { line.with("help", help) });
        };
        match error {
            LoadError::Unreadable(why) => line(why, ""),
            LoadError::Refused(findings) => {
                for found in findings {
                    line(&found.message, &found.mend);
                }
            }
            LoadError::Wrong(mistakes) => {
                for found in &mistakes.found {
                    let why = format!("{}:{}:{}: {}", mistakes.file, found.line, found.column, found.message);
                    line(&why, found.help.as_deref().unwrap_or_default());
                }
            }
        }
    }

    fn write(&self, line: &Line) {
        match line.level {
            LogLevel::Error => self.metrics.told(ErrorLevel::error),
            LogLevel::Warning => self.metrics.told(ErrorLevel::warning),
            LogLevel::Info | LogLevel::Debug => {}
        }
        let state = self.state();
        if line.level > state.level {
            return;
        }
        let Some(queue) = &state.queue else { return };
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let mut text = line.text(state.format);
        if lost > 0 {
            text.insert_str(0, &were_lost(lost).text(state.format));
        }
        if let Err(TrySendError::Full(_)) = queue.try_send(text) {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn were_lost(lines: u64) -> Line {
    Line::new(LogLevel::Warning, "Lines were lost: nobody took them").with("lines", lines)
}

/// A line about a job.
fn of_job(level: LogLevel, text: &str, id: &JobId, job: Option<&SeenJob>) -> Line {
    let mut line = Line::new(level, text);
    if let Some(job) = job {
        line = line.with("project", job.project);
    }
    line = line.with("job", number(id));
    match job {
        Some(job) => line.with("runner", job.runner.token.as_str()),
        None => line,
    }
}

fn ended(id: &JobId, end: &JobEnd, job: Option<&SeenJob>) -> Line {
    let (level, text) = match &end.outcome {
        JobOutcome::Succeeded => (LogLevel::Info, "Job succeeded".to_owned()),
        JobOutcome::Canceled => (LogLevel::Info, "Job canceled".to_owned()),
        JobOutcome::Failed(failure) if failure.reason == FailureReason::RunnerSystemFailure => {
            (LogLevel::Error, format!("Job failed (system failure): {}", failure.message))
        }
        JobOutcome::Failed(failure) => (LogLevel::Warning, format!("Job failed: {}", failure.message)),
    };
    let mut line = Line::new(level, &text);
    if let Some(duration) = job.and_then(SeenJob::duration) {
        line = line.with("duration_s", line::seconds(duration));
    }
    if let Some(job) = job {
        line = line.with("project", job.project);
    }
    line = line.with("job", number(id)).with("job-status", end.outcome.status());
    if let JobOutcome::Failed(failure) = &end.outcome {
        line = line.with("failure_reason", failure.reason.as_str());
        if let Some(code) = failure.exit_code {
            line = line.with("exit_code", code);
        }
    }
    match job {
        Some(job) => line.with("runner", job.runner.token.as_str()),
        None => line,
    }
}

/// The id of a job as the server counts it.
fn number(id: &JobId) -> Value {
    id.as_str().parse::<u64>().map_or_else(|_| Value::from(id.as_str()), Value::from)
}

#[cfg(test)]
mod tests;
