//! What came out.

use serde_json::{Value, json};

use super::{
    requests::{Counts, is_shared},
    statistics::{Spread, rounded},
};

/// Times of pods or jobs one at a time, in milliseconds.
#[derive(Debug, Clone)]
pub struct Floor {
    /// From creation until the command of a lone container ran.
    pub one_container: Spread,
    /// From creation until that of the second of two ran.
    pub two_containers: Spread,
    /// From creation until both were seen to have ended.
    pub two_containers_seen: Spread,
    /// From the deletion of such a pod, which has ended, until it was gone.
    pub two_containers_gone: Spread,
    /// From the first creation until all of a burst were seen to have ended.
    pub burst_wall: Spread,
    /// From the first creation of a burst until the last command ran.
    pub burst_last_began: Spread,
}

/// Times of jobs one at a time, in milliseconds since the executor was given the job.
#[derive(Debug, Clone)]
pub struct Alone {
    /// Until it was stored and accepted.
    pub started: Spread,
    /// Until the first command of the script ran.
    pub first_line: Spread,
    /// Until what that printed was reported.
    pub first_line_seen: Spread,
    /// Until the end was reported and acknowledged.
    pub finished: Spread,
    /// How long from there until the pod was gone.
    pub gone: Spread,
}

/// Times of jobs at once, in milliseconds.
#[derive(Debug, Clone)]
pub struct Burst {
    /// How many.
    pub jobs: usize,
    /// From the first job until the end of the last was reported.
    pub wall: Spread,
    /// From the first job until the last script began.
    pub last_began: Spread,
    /// How long until the pod of a finished job was gone.
    pub gone: Spread,
}

/// Requests to Kubernetes.
#[derive(Debug, Clone)]
pub struct RequestFigures {
    /// The audit log tells them; else our client.
    pub audited: bool,
    /// How many jobs have caused them.
    pub jobs: usize,
    /// All of them.
    pub counts: Counts,
    /// Those during a job that ran for so many seconds.
    pub quiet: (u64, Counts),
}

impl RequestFigures {
    /// How many a job needs for itself.
    pub fn per_job(&self) -> f64 {
        self.sum(|kind| !is_shared(kind))
    }

    /// How many lists and watches came to each job.
    pub fn shared_per_job(&self) -> f64 {
        self.sum(is_shared)
    }

    #[expect(clippy::cast_precision_loss, reason = "a number of requests is small")]
    fn sum(&self, which: impl Fn(&str) -> bool) -> f64 {
        let sum: usize = self.counts.iter().filter(|(kind, _)| which(kind)).map(|(_, count)| count).sum();
        sum as f64 / self.jobs.max(1) as f64
    }
}

/// Everything that was measured.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Bare pods.
    pub floor: Floor,
    /// Jobs one at a time.
    pub alone: Alone,
    /// Jobs at once.
    pub burst: Burst,
    /// Requests to Kubernetes.
    pub requests: RequestFigures,
    /// The largest part of this process in memory, in kilobytes.
    pub peak_rss_kb: u64,
    /// CPU time of this process for each job, in milliseconds.
    pub cpu_ms_per_job: f64,
}

impl Figures {
    /// For programs.
    pub fn to_json(&self) -> Value {
        let Self { floor, alone, burst, requests, .. } = self;
        json!({
            "floor": {
                "one_container_ms": floor.one_container.to_json(),
                "two_containers_ms": floor.two_containers.to_json(),
                "two_containers_seen_ms": floor.two_containers_seen.to_json(),
                "two_containers_gone_ms": floor.two_containers_gone.to_json(),
                "burst_wall_ms": rounded(floor.burst_wall.median),
                "burst_last_began_ms": rounded(floor.burst_last_began.median),
            },
            "alone": {
                "first_line_ms": alone.first_line.to_json(),
                "first_line_seen_ms": alone.first_line_seen.to_json(),
                "finished_ms": alone.finished.to_json(),
                "gone_ms": alone.gone.to_json(),
                "accepted_ms": alone.started.to_json(),
            },
            "burst": {
                "jobs": burst.jobs,
                "wall_ms": rounded(burst.wall.median),
                "last_began_ms": rounded(burst.last_began.median),
                "gone_ms": burst.gone.to_json(),
            },
            "requests_per_job": rounded(requests.per_job()),
            "lists_and_watches_per_job": rounded(requests.shared_per_job()),
            "requests": requests.counts,
            "requests_of_jobs": requests.jobs,
            "requests_from_audit_log": requests.audited,
            "requests_while_it_runs": requests.quiet.1.values().sum::<usize>(),
            "peak_rss_kb": self.peak_rss_kb,
            "cpu_ms_per_job": rounded(self.cpu_ms_per_job),
        })
    }
}
