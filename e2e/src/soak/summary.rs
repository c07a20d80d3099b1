//! What came of it: each job against what its script says.

use std::{fmt, sync::PoisonError, time::Instant};

use runner_core::JobOutcome;

use super::{Kind, Marks, SoakJob, Stage};
use crate::source::{Account, Ledger};

/// The count of everything that must be 0, and of what was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runners that were killed.
    pub kills: usize,
    /// Jobs.
    pub jobs: usize,
    /// Jobs without an end, or that failed though nothing happened to them but kills.
    pub lost: usize,
    /// Jobs whose script ran twice.
    pub twice: usize,
    /// Jobs that were called a success and were none.
    pub falsely_green: usize,
    /// Bytes of logs that are missing.
    pub bytes_lost: usize,
    /// Bytes of logs that are there twice, or in the wrong place.
    pub bytes_doubled: usize,
    /// Logs that were not those of their digests.
    pub digests: usize,
    /// Logs whose digest nobody knew, of jobs that were disturbed by more than kills: that is no fault.
    pub unknown_digests: usize,
    /// Pods that are left.
    pub pods_left: usize,
    /// Secrets that are left.
    pub secrets_left: usize,
    /// Everything else that must not be.
    pub other: usize,
    /// A line for each of these.
    pub faults: Vec<String>,
}

impl Summary {
    /// Whether all is as it must be.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// Adds what another run found.
    pub fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.jobs += other.jobs;
        self.lost += other.lost;
        self.twice += other.twice;
        self.falsely_green += other.falsely_green;
        self.bytes_lost += other.bytes_lost;
        self.bytes_doubled += other.bytes_doubled;
        self.digests += other.digests;
        self.unknown_digests += other.unknown_digests;
        self.pods_left += other.pods_left;
        self.secrets_left += other.secrets_left;
        self.other += other.other;
        self.faults.extend(other.faults);
    }

    /// Judges one job: its account at the source, and the marks that it left.
    pub fn judge(&mut self, job: &SoakJob, account: &Account, marks: &Marks, deleted: Option<Instant>) {
        self.jobs += 1;
        let judging = Judging { job, account, marks, deleted, log: &String::from_utf8_lossy(&account.log) };
        judging.outcome(self);
        judging.runs(self);
        judging.log(self);
    }

    /// Notes what the source and the cluster say.
    pub fn note(&mut self, ledger: &Ledger, drained: bool, left: &[String]) {
        for violation in ledger.violations() {
            self.other += 1;
            self.faults.push(format!("{}: {}", violation.job, violation.what));
        }
        self.note_end(drained, left);
    }

    /// Notes whether the last runner ended all, and what is left in the cluster.
    pub fn note_end(&mut self, drained: bool, left: &[String]) {
        if !drained {
            self.other += 1;
            self.faults.push("the last runner did not end all jobs".into());
        }
        self.pods_left = left.iter().filter(|line| line.starts_with("pod ")).count();
        self.secrets_left = left.len() - self.pods_left;
        self.faults.extend(left.iter().map(|line| format!("left: {line}")));
    }
}

pub(super) fn judge(stage: &Stage, kills: usize, drained: bool, left: &[String]) -> Summary {
    let mut summary = Summary { kills, ..Summary::default() };
    let ledger = stage.server.ledger();
    let deletions = stage.deletions.lock().unwrap_or_else(PoisonError::into_inner);
    for job in stage.jobs.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Some(account) = ledger.account(&job.id) {
            summary.judge(job, account, &stage.marks, deletions.get(&job.id).copied());
        }
    }
    summary.note(&ledger, drained, left);
    summary
}

struct Judging<'a> {
    job: &'a SoakJob,
    account: &'a Account,
    marks: &'a Marks,
    deleted: Option<Instant>,
    log: &'a str,
}

impl Judging<'_> {
    fn fault(&self, what: impl fmt::Display) -> String {
        let Self { job, account, .. } = self;
        let log: String = self.log.chars().take(3000).collect();
        format!("{} ({:?}): {what}; {:?} {:?}\n{log}", job.id, job.kind, account.outcome, account.state)
    }

    fn times(&self, mark: &str) -> usize {
        self.marks.times(&self.job.id, mark).len()
    }

    fn has_succeeded(&self) -> bool {
        self.account.outcome == Some(JobOutcome::Succeeded)
    }

    /// Whether nothing happened to it but kills.
    fn is_undisturbed(&self) -> bool {
        self.deleted.is_none() && !matches!(self.job.kind, Kind::Canceled | Kind::Aborted)
    }

    fn outcome(&self, summary: &mut Summary) {
        let has_ended = self.times("end") > 0;
        let must_fail = matches!(self.job.kind, Kind::Failing(_));
        if self.has_succeeded() && (!has_ended || must_fail) {
            summary.falsely_green += 1;
            summary.faults.push(self.fault("falsely green"));
        }
        let is_right = match (&self.account.outcome, self.job.kind) {
            (None, _) => false,
            (Some(JobOutcome::Canceled), Kind::Canceled | Kind::Aborted) => true,
            (Some(JobOutcome::Failed(failure)), Kind::Failing(code)) => failure.exit_code == Some(code),
            (Some(JobOutcome::Failed(_)), _) => self.deleted.is_some(),
            (Some(JobOutcome::Succeeded), _) => true,
            (Some(JobOutcome::Canceled), _) => false,
        };
        if !is_right {
            summary.lost += 1;
            summary.faults.push(self.fault("lost"));
        }
    }

    fn runs(&self, summary: &mut Summary) {
        let most = ["begin", "end", "after"].into_iter().map(|mark| self.times(mark)).max();
        if most > Some(1) {
            summary.twice += 1;
            summary.faults.push(self.fault("ran twice"));
        }
        let first = self.marks.times(&self.job.id, "begin").first().copied();
        if first.is_some_and(|first| self.account.accepted.is_none_or(|accepted| accepted > first)) {
            summary.other += 1;
            summary.faults.push(self.fault("began before it was accepted"));
        }
        let needs_after = self.job.has_after_script() && self.is_undisturbed();
        if needs_after && self.times("after") == 0 {
            summary.other += 1;
            summary.faults.push(self.fault("its after_script did not run"));
        }
    }

    fn log(&self, summary: &mut Summary) {
        let (lost, doubled) = self.lines();
        summary.bytes_lost += lost;
        summary.bytes_doubled += doubled;
        if lost + doubled > 0 {
            summary.faults.push(self.fault(format_args!("{lost} bytes lost, {doubled} doubled")));
        }
        // Only where the pod was taken away can its log not be read again.
        let is_unknown = self.account.without_digest;
        summary.unknown_digests += usize::from(is_unknown && !self.is_undisturbed());
        if self.account.resends > 0 || (is_unknown && self.is_undisturbed()) {
            summary.digests += 1;
            summary.faults.push(self.fault("the log was not the one of its digest"));
        }
        let text = self.job.text();
        if self.is_undisturbed() && lost + doubled == 0 && !self.log.contains(&text) {
            summary.bytes_lost += text.len();
            summary.faults.push(self.fault("there is something between its lines"));
        }
        let after = format!("\nafter {}\n", self.job.id);
        if self.times("after") == 1 && self.is_undisturbed() && self.log.matches(&after).count() != 1 {
            summary.bytes_lost += after.len();
            summary.faults.push(self.fault("the line of its after_script is lost"));
        }
    }

    /// Bytes that are missing, and bytes that are there though they do not come next.
    fn lines(&self) -> (usize, usize) {
        let (mut lost, mut doubled, mut next) = (0, 0, 0);
        let length = |number: u64| self.job.text_of(number).len();
        for (number, bytes) in self.job.lines_in(self.log) {
            if number < next {
                doubled += bytes;
            } else {
                lost += (next..number).map(length).sum::<usize>();
                next = number + 1;
            }
        }
        if self.is_undisturbed() {
            lost += (next..self.job.lines()).map(length).sum::<usize>();
        }
        (lost, doubled)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, jobs, lost, twice, falsely_green, .. } = self;
        let Self { bytes_lost, bytes_doubled, digests, unknown_digests, .. } = self;
        let Self { pods_left, secrets_left, other, .. } = self;
        write!(
            formatter,
            "{kills} kills, {jobs} jobs: {lost} lost, {twice} run twice, {falsely_green} falsely green, \
             {bytes_lost} bytes lost, {bytes_doubled} bytes doubled, {digests} wrong digests, \
             {unknown_digests} unknown digests, \
             {pods_left} pods left, {secrets_left} secrets left, {other} other faults"
        )
    }
}
