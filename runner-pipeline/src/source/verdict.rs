//! Whether a job may run, judged by the jobs before it: the rules of GitLab's server.

use super::JobStatus;
use crate::pipeline::JobWhen;

/// A set of states of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen(u8);

/// How a set of jobs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prior {
    Incomplete,
    Succeeded,
    Failed,
    Canceled,
    Skipped,
}

/// What is to be done with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    Run,
    Skip(Prior),
}

const SUCCEEDED: u8 = 1;
const WARNED: u8 = 1 << 1;
const FAILED: u8 = 1 << 2;
const CANCELED: u8 = 1 << 3;
const SKIPPED: u8 = 1 << 4;
/// Manual, and its failure is allowed: nobody waits for it.
const IGNORED: u8 = 1 << 5;
/// Manual: everybody waits for it.
const BLOCKING: u8 = 1 << 6;
const ALIVE: u8 = 1 << 7;

impl Seen {
    /// Adds a job. `allowed` is whether its failure is, as the file says.
    pub(super) fn add(&mut self, status: &JobStatus, allowed: bool) {
        self.0 |= match status {
            JobStatus::Waiting | JobStatus::Ready | JobStatus::Running => ALIVE,
            JobStatus::Succeeded => SUCCEEDED,
            JobStatus::Failed { allowed: false, .. } => FAILED,
            JobStatus::Failed { allowed: true, .. } => WARNED,
            JobStatus::Canceled if allowed => WARNED,
            JobStatus::Canceled => CANCELED,
            JobStatus::Skipped { .. } => SKIPPED,
            JobStatus::Manual if allowed => IGNORED,
            JobStatus::Manual => BLOCKING,
        };
    }

    /// Adds all states of `other`.
    pub(super) fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn any(self, states: u8) -> bool {
        self.0 & states != 0
    }

    fn only(self, states: u8) -> bool {
        self.0 & !states == 0
    }

    /// How the jobs ended, taken together. `by_needs`: they are named by `needs`, where a job that does not run at
    /// all counts for more than others that did.
    fn prior(self, by_needs: bool) -> Prior {
        if self == Self::default() {
            Prior::Succeeded
        } else if by_needs && self.any(SKIPPED | IGNORED) {
            Prior::Skipped
        } else if self.any(ALIVE | BLOCKING) {
            Prior::Incomplete
        } else if self.only(SKIPPED | IGNORED) {
            Prior::Skipped
        } else if self.only(SUCCEEDED | SKIPPED | WARNED | IGNORED) {
            Prior::Succeeded
        } else if self.only(CANCELED | SUCCEEDED | SKIPPED | WARNED | IGNORED) {
            Prior::Canceled
        } else {
            Prior::Failed
        }
    }
}

/// What to do with a job that runs `when`, after jobs that were `seen`.
pub(super) fn verdict(when: JobWhen, seen: Seen, by_needs: bool) -> Verdict {
    let prior = seen.prior(by_needs);
    let runs = match (when, prior) {
        (_, Prior::Incomplete) => return Verdict::Wait,
        (JobWhen::OnSuccess | JobWhen::Manual, Prior::Succeeded) => true,
        (JobWhen::OnSuccess | JobWhen::Manual, Prior::Skipped) => !by_needs,
        (JobWhen::OnFailure, prior) => prior == Prior::Failed,
        (JobWhen::Always, prior) => prior != Prior::Canceled,
        (JobWhen::OnSuccess | JobWhen::Manual, Prior::Failed | Prior::Canceled) | (JobWhen::Never, _) => {
            false
        }
    };
    if runs { Verdict::Run } else { Verdict::Skip(prior) }
}

#[cfg(test)]
mod tests {
    use runner_core::{Failure, FailureReason};

    use super::*;

    fn failed(allowed: bool) -> JobStatus {
        let failure =
            Failure { reason: FailureReason::ScriptFailure, exit_code: Some(1), message: String::new() };
        JobStatus::Failed { failure, allowed }
    }

    fn skipped() -> JobStatus {
        JobStatus::Skipped { because: String::new() }
    }

    /// The verdict for `on_success`, `on_failure` and `always`, by stages and by needs.
    fn check(statuses: &[(JobStatus, bool)], by_stages: [Verdict; 3], by_needs: [Verdict; 3]) {
        let mut seen = Seen::default();
        for (status, allowed) in statuses {
            seen.add(status, *allowed);
        }
        let all = [JobWhen::OnSuccess, JobWhen::OnFailure, JobWhen::Always];
        assert_eq!(all.map(|when| verdict(when, seen, false)), by_stages, "by stages {statuses:?}");
        assert_eq!(all.map(|when| verdict(when, seen, true)), by_needs, "by needs {statuses:?}");
    }

    #[test]
    fn verdicts_are_those_of_gitlabs_server() {
        use JobStatus::{Canceled, Manual, Running, Succeeded};
        use Verdict::{Run, Skip, Wait};
        let same = |statuses: &[(JobStatus, bool)], verdicts| check(statuses, verdicts, verdicts);
        let good = [Run, Skip(Prior::Succeeded), Run];
        let bad = [Skip(Prior::Failed), Run, Run];
        let nothing = [Skip(Prior::Skipped), Skip(Prior::Skipped), Run];
        let after_skipped = [Run, Skip(Prior::Skipped), Run];
        let canceled = [Skip(Prior::Canceled); 3];
        same(&[], good);
        same(&[(Succeeded, false)], good);
        same(&[(Succeeded, false), (failed(true), true)], good);
        same(&[(Succeeded, false), (failed(false), false)], bad);
        same(&[(Canceled, false), (Succeeded, false)], canceled);
        same(&[(Canceled, true)], good);
        same(&[(Canceled, false), (failed(false), false)], bad);
        same(&[(Running, false), (failed(false), false)], [Wait; 3]);
        same(&[(Manual, false), (Succeeded, false)], [Wait; 3]);
        check(&[(Manual, true), (Succeeded, false)], good, nothing);
        check(&[(Manual, true)], after_skipped, nothing);
        check(&[(skipped(), false)], after_skipped, nothing);
        check(&[(skipped(), false), (Succeeded, false)], good, nothing);
        check(&[(skipped(), false), (failed(false), false)], bad, nothing);
        check(&[(skipped(), false), (Running, false)], [Wait; 3], nothing);
    }
}
