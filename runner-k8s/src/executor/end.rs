//! How a job ended, as a pure function of what its agent recorded, what its pod's status says, and what was asked for.

use runner_core::{Failure, FailureReason, JobOutcome, PhaseRecord, agent::EndRecord, outcome::LogDigest};

use crate::{
    record::StoredWish,
    status::{Begun, ContainerState, EndCause, Judgement},
};

/// What a pod's end means for its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The job ended.
    Ended(Found),
    /// The pod was taken away before the script began: another one may run the job. The line says why.
    Again(String),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) outcome: JobOutcome,
    pub(super) script_begun: bool,
    pub(super) phases: Vec<PhaseRecord>,
    /// What the log is to say of it, where the agent has not.
    pub(super) line: Option<String>,
    /// The agent came to its own end, and so do the containers that it holds.
    pub(super) agent: Option<AgentEnd>,
}

/// What an agent has done that came to its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AgentEnd {
    /// The source has the end from it.
    pub(super) reported: bool,
    /// The log so far, as the agent numbers it.
    pub(super) log: Option<LogDigest>,
}

impl Found {
    /// A failure that the agent did not see.
    pub(super) fn failed(reason: FailureReason, message: impl Into<String>, script_begun: bool) -> Self {
        Self::untold(JobOutcome::failed(reason, message), script_begun)
    }

    /// An end that the log does not tell yet.
    pub(super) fn untold(outcome: JobOutcome, script_begun: bool) -> Self {
        let line = line_of(&outcome);
        Self { outcome, script_begun, phases: Vec::new(), line, agent: None }
    }

    fn canceled(script_begun: bool) -> Self {
        Self::untold(JobOutcome::Canceled, script_begun)
    }
}

/// What a record means.
pub(super) fn of_record(
    record: &EndRecord,
    wish: Option<StoredWish>,
    judgement: Option<&Judgement>,
) -> Verdict {
    let end = &record.end;
    let found = Found {
        outcome: end.outcome.clone(),
        script_begun: end.script_begun,
        phases: end.phases.clone(),
        line: None,
        agent: Some(AgentEnd { reported: end.reported, log: end.log }),
    };
    if end.reported {
        return Verdict::Ended(found);
    }
    if record.stopped_from_outside {
        return match wish {
            Some(StoredWish::Cancel | StoredWish::Abort) => Verdict::Ended(found),
            Some(StoredWish::Interrupt) => Verdict::Ended(with_failure(found, interrupted_by_us())),
            None => {
                let line = taken_away(judgement);
                if end.script_begun {
                    let failure = Failure { reason: reason_of(judgement), exit_code: None, message: line };
                    Verdict::Ended(with_failure(found, failure))
                } else {
                    Verdict::Again(line)
                }
            }
        };
    }
    if record.build_lost
        && !end.outcome.is_success()
        && let Some(failure) = judgement.and_then(loss_of_build)
    {
        return Verdict::Ended(with_failure(found, failure));
    }
    Verdict::Ended(found)
}

/// What it means that there is no record, and will be none.
pub(super) fn without_record(wish: Option<StoredWish>, judgement: Option<&Judgement>) -> Verdict {
    let begun = judgement.map_or(Begun::MayHave, |judgement| judgement.begun);
    let script_begun = begun == Begun::MayHave;
    match wish {
        Some(StoredWish::Cancel | StoredWish::Abort) => return Verdict::Ended(Found::canceled(script_begun)),
        Some(StoredWish::Interrupt) => {
            let Failure { reason, message, .. } = interrupted_by_us();
            return Verdict::Ended(Found::failed(reason, message, script_begun));
        }
        None => {}
    }
    if let Some(oom) = judgement.and_then(|judgement| judgement.oom.first()) {
        let found = Found::failed(FailureReason::ScriptFailure, oom.line.clone(), script_begun);
        return Verdict::Ended(found);
    }
    // What ended for that cannot be helped by another pod.
    let waiting = judgement.and_then(|judgement| judgement.waiting.as_ref());
    if let Some(waiting) = waiting.filter(|waiting| waiting.permanent) {
        return Verdict::Ended(Found::failed(waiting.reason, waiting.line.clone(), script_begun));
    }
    let line = taken_away(judgement);
    let ending = judgement.and_then(|judgement| judgement.ending.as_ref());
    let is_replaceable = ending.is_some_and(|ending| ending.cause.may_pass());
    if is_replaceable && !script_begun {
        return Verdict::Again(line);
    }
    Verdict::Ended(Found::failed(reason_of(judgement), line, script_begun))
}

fn with_failure(found: Found, failure: Failure) -> Found {
    let outcome = JobOutcome::Failed(failure);
    Found { line: line_of(&outcome), outcome, ..found }
}

/// What the log says of an end.
fn line_of(outcome: &JobOutcome) -> Option<String> {
    let why = match outcome {
        JobOutcome::Succeeded => return None,
        JobOutcome::Failed(failure) => failure.message.as_str(),
        JobOutcome::Canceled => "canceled",
    };
    Some(format!("\u{1b}[31;1mERROR: Job failed: {why}\u{1b}[0;m"))
}

fn interrupted_by_us() -> Failure {
    let message = "the runner was stopped while the job ran".into();
    Failure { reason: FailureReason::RunnerInterrupted, exit_code: None, message }
}

/// Why a pod is no more that nobody of us has removed.
fn taken_away(judgement: Option<&Judgement>) -> String {
    let line = match judgement.and_then(|judgement| judgement.ending.as_ref()) {
        Some(ending) => ending.line.clone(),
        None => "the pod of the job is gone, and left no record of how the job ended".into(),
    };
    match judgement.and_then(|judgement| judgement.bound.as_deref()) {
        Some(node) => format!("{line} (node {node})"),
        None => line,
    }
}

fn reason_of(judgement: Option<&Judgement>) -> FailureReason {
    let ending = judgement.and_then(|judgement| judgement.ending.as_ref());
    ending.map_or(FailureReason::RunnerInterrupted, |ending| ending.reason)
}

/// Why the build container went away while the agent was there.
fn loss_of_build(judgement: &Judgement) -> Option<Failure> {
    if let Some(oom) = judgement.oom.iter().find(|oom| oom.container == crate::pod::BUILD) {
        let message = oom.line.clone();
        return Some(Failure { reason: FailureReason::ScriptFailure, exit_code: Some(137), message });
    }
    if let Some(ending) = &judgement.ending
        && ending.cause != EndCause::ContainerDied
    {
        return Some(Failure { reason: ending.reason, exit_code: None, message: ending.line.clone() });
    }
    let ContainerState::Ended { exit_code, reason, .. } = &judgement.build else { return None };
    let message =
        format!("the build container ended by itself while the script ran ({reason}, exit code {exit_code})");
    Some(Failure { reason: FailureReason::RunnerSystemFailure, exit_code: None, message })
}

#[cfg(test)]
mod tests;
