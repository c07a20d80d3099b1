//! How a job has gone so far.

use std::time::SystemTime;

use runner_core::{
    Error, ErrorKind, Failure, FailureReason, JobEvent, JobOutcome, Phase, PhaseRecord, Usage, executor::Stop,
};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Engine,
    caches::Restored,
    colour, duration,
    files::Ground,
    limit::{Halt, Limit},
    process::{End, Ran, drain},
    workplace::size,
};
use crate::host::{Exit, Host, MemoryUse};

/// Why a phase did not come to its own end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It was made to end.
    Halted(Halt),
    /// It failed.
    Failed(Failure),
}

/// What a phase comes to.
pub(crate) type Phased<T = ()> = Result<T, Obstacle>;

impl From<Halt> for Obstacle {
    fn from(halt: Halt) -> Self {
        Self::Halted(halt)
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Self::failed(reason_of(error.kind()), format!("failed to {}", error.chain()))
    }
}

impl Obstacle {
    /// A failure without an exit code.
    pub(crate) fn failed(reason: FailureReason, message: impl Into<String>) -> Self {
        Self::Failed(Failure { reason, exit_code: None, message: message.into() })
    }

    /// The host went away with a process.
    pub(crate) fn lost() -> Self {
        let message = "the process that runs the scripts went away, so how they ended is not known";
        Self::failed(FailureReason::RunnerSystemFailure, message)
    }
}

fn reason_of(kind: ErrorKind) -> FailureReason {
    match kind {
        ErrorKind::Invalid => FailureReason::ConfigurationError,
        ErrorKind::Unsupported => FailureReason::RunnerUnsupported,
        ErrorKind::ImageUnavailable => FailureReason::ImagePullFailure,
        _ => FailureReason::RunnerSystemFailure,
    }
}

/// How a script ended, as the failure that it is.
pub(crate) fn script_end(end: End) -> Phased {
    match end {
        End::Exited(Exit::Code(0)) => Ok(()),
        End::Exited(exit @ Exit::Code(code)) => {
            Err(Obstacle::Failed(script_failure(exit.code(), format!("exit code {code}"))))
        }
        End::Exited(exit @ Exit::Signal(signal)) => {
            let message = format!("killed by signal {}", signal_name(signal));
            Err(Obstacle::Failed(script_failure(exit.code(), message)))
        }
        End::Halted(halt) => Err(halt.into()),
        End::Lost => Err(Obstacle::lost()),
    }
}

fn script_failure(exit_code: i32, message: String) -> Failure {
    Failure { reason: FailureReason::ScriptFailure, exit_code: Some(exit_code), message }
}

fn signal_name(signal: i32) -> String {
    match nix::sys::signal::Signal::try_from(signal) {
        Ok(known) => format!("{signal} ({})", known.as_str()),
        Err(_) => signal.to_string(),
    }
}

/// How a job has gone so far, and what is left of it.
#[derive(Debug, Default)]
pub(crate) struct Course {
    outcome: Option<JobOutcome>,
    /// Whether a line of the user's script may have run.
    pub(crate) script_begun: bool,
    /// The job's own directory, once it was looked at.
    pub(crate) ground: Option<Ground>,
    /// What is known of the caches that were restored.
    pub(crate) restored: Restored,
    phases: Vec<PhaseRecord>,
    usage: Usage,
    running: Option<(Phase, SystemTime, Instant)>,
    leftovers: JoinSet<()>,
    memory_kills: u64,
    /// What there is to say about memory with the next script that failed.
    memory_note: Option<String>,
}

impl Course {
    /// Whether nothing failed so far and nobody asked for an end.
    pub(crate) fn is_good(&self) -> bool {
        self.outcome.is_none()
    }

    /// The outcome if the job ended now.
    pub(crate) fn outcome(&self) -> JobOutcome {
        self.outcome.clone().unwrap_or(JobOutcome::Succeeded)
    }

    /// Begins a phase: its section of the log, and its event.
    pub(crate) async fn begin(&mut self, engine: &Engine, phase: Phase, header: &str) {
        self.usage = Usage::default();
        self.running = Some((phase, SystemTime::now(), Instant::now()));
        engine.events.job(&engine.job.id, JobEvent::PhaseStarted(phase));
        engine.log.section_start(phase.section(), &colour::header(header)).await;
    }

    /// Ends the phase that runs, if one does.
    pub(crate) async fn end(&mut self, engine: &Engine) {
        if let Some((phase, began, started)) = self.running.take() {
            // The log comes last, because it may have to wait.
            let record = PhaseRecord { phase, began, duration: started.elapsed(), usage: self.usage };
            self.phases.push(record);
            engine.events.job(&engine.job.id, JobEvent::PhaseEnded(record));
            engine.log.section_end(phase.section()).await;
        }
    }

    /// Takes what a process that ended used, and keeps its output flowing where children may still print.
    pub(crate) fn took(&mut self, engine: &Engine, ran: Ran) -> End {
        self.usage = self.usage.and(ran.usage);
        if let Some(process) = ran.process {
            self.leftovers.spawn(drain(process, engine.log.clone()));
        }
        ran.end
    }

    /// Adds what processes of the running phase used.
    pub(crate) fn used(&mut self, usage: Usage) {
        self.usage = self.usage.and(usage);
    }

    /// Says it where processes of the script were killed for lack of memory.
    pub(crate) async fn look_at_memory(&mut self, engine: &Engine, host: &dyn Host, limit: &mut Limit) {
        // A host that is gone tells nothing, and whoever watches it knows more.
        let Ok(Ok(Some(memory))) = limit.bound(host.memory()).await else { return };
        if memory.kills <= self.memory_kills {
            return;
        }
        let text = out_of_memory(memory, memory.kills - self.memory_kills);
        self.memory_kills = memory.kills;
        engine.log.line(&colour::warning(&text)).await;
        self.memory_note = Some(text);
    }

    /// Notes that a phase was stopped by `obstacle`. What happened first decides the outcome.
    pub(crate) fn stopped_by(&mut self, engine: &Engine, obstacle: Obstacle) {
        let outcome = match obstacle {
            Obstacle::Failed(failure) => match self.memory_note.take() {
                Some(note) if failure.reason == FailureReason::ScriptFailure => {
                    JobOutcome::Failed(Failure { message: format!("{}: {note}", failure.message), ..failure })
                }
                _ => JobOutcome::Failed(failure),
            },
            Obstacle::Halted(Halt::TimedOut(allowed)) => JobOutcome::failed(
                FailureReason::JobExecutionTimeout,
                format!("execution took longer than {}", duration::show(allowed)),
            ),
            Obstacle::Halted(Halt::Canceled | Halt::Interrupted | Halt::Aborted) => asked_to_stop(engine),
        };
        self.outcome.get_or_insert(outcome);
    }

    /// Takes a wish to stop that came while nothing was left to be stopped.
    pub(crate) fn heed(&mut self, engine: &Engine) {
        if self.outcome.is_none() && engine.stop.first().is_some() {
            self.outcome = Some(asked_to_stop(engine));
        }
    }

    /// The tasks that still write what children of the job print.
    pub(crate) fn leftovers(&mut self) -> &mut JoinSet<()> {
        &mut self.leftovers
    }

    /// What each phase took.
    pub(crate) fn into_phases(self) -> Vec<PhaseRecord> {
        self.phases
    }
}

fn out_of_memory(memory: MemoryUse, kills: u64) -> String {
    let processes = if kills == 1 { "a process was".into() } else { format!("{kills} processes were") };
    let limit = if memory.limit == 0 { String::new() } else { format!(" of {}", size(memory.limit)) };
    let peak = if memory.peak == 0 { String::new() } else { format!(", the peak was {}", size(memory.peak)) };
    format!("out of memory: {processes} killed at the limit{limit} of the build container{peak}")
}

fn asked_to_stop(engine: &Engine) -> JobOutcome {
    match engine.stop.first() {
        Some(Stop::Interrupt) => {
            JobOutcome::failed(FailureReason::RunnerInterrupted, "the runner was stopped while the job ran")
        }
        _ => JobOutcome::Canceled,
    }
}
