//! What came of the jobs, by the record of the server.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use runner_core::{FailureReason, JobOutcome};
use runner_testkit::gitlab::{Endpoint, JobRecord, JobState, Request};
use tokio::time::Instant as Time;

use super::{Queued, Stage, silence};
use crate::{
    soak::{Kind, Summary, kinds::ALIVE},
    source::{Account, State},
};

/// An agent that reports by itself is heard of at least so often while its script runs, whoever is dead: every three
/// seconds, and some more where the server is ill.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);

/// A job is heard of at least so often while anybody is there to speak of it. Where its server has not said how often it
/// wants to hear, that is every half a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(45);

/// A script that leaves its next mark so much later than it should could not do so: its pod reached nobody.
const CUT_OFF: Duration = Duration::from_secs(4);

/// Judges all jobs.
pub(super) fn judge(stage: &Stage, summary: &mut Summary) {
    let requests = stage.server.gitlab.requests();
    let deletions = stage.deletions.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut direct, mut longest) = (0, Duration::ZERO);
    for queued in stage.queued.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let record = stage.server.gitlab.job(queued.id);
        let about: Vec<&Request> = requests.iter().filter(|request| request.job == Some(queued.id)).collect();
        let deleted = deletions.get(&queued.job.id).copied();
        let judging = Judging { stage, queued, record: &record, requests: about, deleted };
        let before = summary.faults.len();
        summary.judge(&queued.job, &judging.account(), &stage.marks, deleted);
        judging.rest(summary);
        let agent_reports = judging.agent_reports();
        direct += usize::from(agent_reports);
        if deleted.is_none() {
            let (alone, all) = judging.silence();
            longest = longest.max(all);
            if alone > LONGEST_SILENCE || all > LONGEST_WAIT {
                judging.fault(
                    summary,
                    &format!("silent for {alone:?} while its agent ran, for {all:?} at most"),
                );
            }
        }
        if summary.faults.len() > before {
            println!("{}", judging.story());
        }
    }
    let faults = requests.iter().filter(|request| request.is_disturbed).count();
    println!(
        "soak: {direct} jobs were reported by their agents; nothing was heard of one for {longest:?} at most while \
         somebody was there to speak; {faults} of {} requests were disturbed",
        requests.len()
    );
}

struct Judging<'a> {
    stage: &'a Stage,
    queued: &'a Queued,
    record: &'a JobRecord,
    requests: Vec<&'a Request>,
    deleted: Option<Instant>,
}

impl Judging<'_> {
    /// The record in the words of the other source.
    fn account(&self) -> Account {
        let Self { queued: Queued { job, .. }, record, .. } = self;
        let is_running = |change: &&runner_testkit::gitlab::Change| change.state == JobState::Running;
        let accepted = record.history.iter().find(is_running).map(|change| change.at.into_std());
        Account {
            spec: job.spec(),
            plan: job.plan,
            state: State::Ended,
            lease: record.assignments as u64,
            accepts: record.runs as u64,
            accepted,
            log: record.trace.clone(),
            resends: if self.may_restart() { 0 } else { record.trace_restarts as u64 },
            without_digest: self.lacks_digest(),
            outcome: self.outcome(),
            completions: 1,
        }
    }

    /// Whether the server rightly asks for the whole log again: where it has damaged it, and where somebody has written into
    /// it whom the one who ended the job knew nothing of: the holder before, or the agent of a pod that was taken away while
    /// no manager was there. It asks twice where its answer is lost.
    fn may_restart(&self) -> bool {
        self.record.assignments > 1 || self.queued.damage_after.is_some() || self.deleted.is_some()
    }

    fn outcome(&self) -> Option<JobOutcome> {
        let Self { record, .. } = self;
        match record.state {
            JobState::Success => Some(JobOutcome::Succeeded),
            JobState::Canceled => Some(JobOutcome::Canceled),
            JobState::Failed => Some(JobOutcome::Failed(runner_core::Failure {
                // The server's words for it are in the message.
                reason: FailureReason::ScriptFailure,
                exit_code: record.exit_code.and_then(|code| i32::try_from(code).ok()),
                message: record.failure_reason.clone().unwrap_or_default(),
            })),
            _ => None,
        }
    }

    /// Whether the end was told without a checksum.
    fn lacks_digest(&self) -> bool {
        let is_end = |request: &&&Request| {
            request.endpoint == Endpoint::Update
                && matches!(request.body["state"].as_str(), Some("success" | "failed"))
        };
        let last = self.requests.iter().rev().find(is_end);
        last.is_some_and(|end| end.body["output"]["checksum"].as_str().is_none_or(str::is_empty))
    }

    /// Whether its agent reports, not a manager: as the manager wanted that it was handed to.
    fn agent_reports(&self) -> bool {
        let is_assigned = |change: &&runner_testkit::gitlab::Change| change.state == JobState::Assigned;
        let assigned = self.record.history.iter().rev().find(is_assigned).map(|change| change.at);
        let lives = self.stage.lives.lock().unwrap_or_else(PoisonError::into_inner);
        let life = lives.iter().rev().find(|life| assigned.is_some_and(|at| life.begin <= at));
        life.is_some_and(|life| !life.relays)
    }

    /// The longest time that the server heard nothing of the job: while an agent that reports by itself ran its script,
    /// and from when it was begun to its end, as far as anybody was there to speak of it. Zero where the pod was cut off.
    fn silence(&self) -> (Duration, Duration) {
        let job = &self.queued.job.id;
        let mark = |mark: &str| self.stage.marks.times(job, mark).first().copied();
        let script = mark("begin").zip(["after", "end"].into_iter().find_map(mark));
        if script.is_some_and(|(begin, end)| self.is_cut_off(begin, end)) {
            return (Duration::ZERO, Duration::ZERO);
        }
        let speaks = |request: &&&Request| matches!(request.endpoint, Endpoint::Update | Endpoint::Trace);
        let words: Vec<_> = self.requests.iter().filter(speaks).map(|request| request.at).collect();
        let script = script.map(|(begin, end)| (Time::from_std(begin), Time::from_std(end)));
        let agent = script.filter(|_| self.agent_reports());
        let alone = silence::longest(agent.as_slice(), &words);
        let changed = |state: JobState| self.record.history.iter().find(|change| change.state == state);
        let (Some(begin), Some(end)) = (changed(JobState::Running), self.record.history.last()) else {
            return (alone, Duration::ZERO);
        };
        let lives = self.stage.lives.lock().unwrap_or_else(PoisonError::into_inner);
        let lives: Vec<_> = lives.iter().map(|life| (life.begin, life.end)).collect();
        let speaking = silence::speaking((begin.at, end.at), &lives, agent);
        (alone, silence::longest(&speaking, &words))
    }

    fn is_cut_off(&self, begin: Instant, end: Instant) -> bool {
        let mut alive = self.stage.marks.times(&self.queued.job.id, ALIVE);
        let pause = if alive.is_empty() { self.queued.job.length() } else { Duration::from_secs(1) };
        alive.extend([begin, end]);
        alive.sort();
        alive.windows(2).any(|pair| pair[1].duration_since(pair[0]) > pause + CUT_OFF)
    }

    fn rest(&self, summary: &mut Summary) {
        let Self { record, queued: Queued { job, .. }, .. } = self;
        if record.runs > 1 {
            self.fault(summary, "it was begun twice");
        }
        let succeeded = record.state == JobState::Success;
        if job.kind == Kind::Uploading && succeeded && record.artifacts.len() != 1 {
            self.fault(summary, "its artifact is missing");
        }
        if self.needs_after_script() && self.stage.marks.times(&job.id, "after").is_empty() {
            self.fault(summary, "it was canceled while its script ran, and its after_script did not run");
        }
        let has_failed = matches!(job.kind, Kind::Failing(_)) && self.deleted.is_none();
        if has_failed && record.failure_reason.as_deref() != Some("script_failure") {
            self.fault(summary, "the reason of its failure is wrong");
        }
    }

    /// Whether it was canceled gracefully while its script ran.
    fn needs_after_script(&self) -> bool {
        let Self { record, queued: Queued { job, .. }, .. } = self;
        let canceling = record.history.iter().find(|change| change.state == JobState::Canceling);
        let begin = self.stage.marks.times(&job.id, "begin").first().copied();
        let has_begun = canceling.zip(begin).is_some_and(|(change, begin)| Time::from_std(begin) < change.at);
        job.kind == Kind::Canceled && has_begun && self.deleted.is_none()
    }

    fn fault(&self, summary: &mut Summary, what: &str) {
        summary.other += 1;
        let Queued { job, id, wait, .. } = self.queued;
        summary.faults.push(format!("{} ({:?}, {wait:?}), job {id}: {what}", job.id, job.kind));
    }

    /// All that the server heard of the job, for whoever looks for the cause of a fault.
    fn story(&self) -> String {
        let Self { queued, record, .. } = self;
        let begin = record.history.first().map_or_else(Time::now, |change| change.at);
        let way = if self.agent_reports() { "agent" } else { "manager" };
        let mut lines = vec![format!(
            "STORY of {queued:?}, reported by its {way}: {:?} {:?} {:?}, {} bytes",
            record.state,
            record.failure_reason,
            record.exit_code,
            record.trace.len()
        )];
        let mut events: Vec<(Time, String)> =
            record.history.iter().map(|change| (change.at, format!("is {:?}", change.state))).collect();
        for mark in ["begin", ALIVE, "end", "after"] {
            let times = self.stage.marks.times(&queued.job.id, mark);
            events.extend(times.into_iter().map(|at| (Time::from_std(at), format!("mark {mark}"))));
        }
        for life in self.stage.lives.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            events.push((life.begin, format!("a manager starts, relays: {}", life.relays)));
            events.extend(life.end.map(|at| (at, "it is killed".into())));
        }
        events.extend(self.deleted.map(|at| (Time::from_std(at), "deleted".into())));
        for request in &self.requests {
            let Request { endpoint, status, is_disturbed, body, headers, .. } = request;
            let range = headers.get("content-range").and_then(|range| range.to_str().ok());
            let fault = if *is_disturbed { "disturbed" } else { "" };
            let state = body["state"].as_str();
            events.push((
                request.at,
                format!("{endpoint:?} {range:?} {state:?} {} -> {status:?} {fault}", body["output"]),
            ));
        }
        events.sort_by_key(|(at, _)| *at);
        let end = record.history.last().map_or(begin, |change| change.at) + Duration::from_secs(5);
        events.retain(|(at, _)| *at >= begin && *at <= end);
        lines.extend(events.into_iter().map(|(at, what)| format!("  {:8.3?} {what}", at - begin)));
        lines.join("\n")
    }
}
