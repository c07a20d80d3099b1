//! What came out.

use serde_json::{Value, json};

use super::table::of_jobs;
use crate::pod_startup::{RequestFigures, Spread, statistics::rounded};

/// Bare pods, in milliseconds since their creation.
#[derive(Debug, Clone)]
pub struct Floor {
    /// Until the command of the second of two containers ran.
    pub began: Spread,
    /// Until both were seen to have ended.
    pub ended: Spread,
    /// From the first creation of a burst until all of it were seen to have ended.
    pub burst_wall: Spread,
}

/// Jobs one at a time, in milliseconds since the server handed them out.
#[derive(Debug, Clone)]
pub struct Alone {
    /// From when a job was queued until it was handed out, to a manager that waits for it.
    pub queued: Spread,
    /// Until the first command of the script ran.
    pub began: Spread,
    /// Until the server had what that printed, of a job that ends at once.
    pub first_line: Spread,
    /// The same of a job that goes on for some seconds.
    pub lasting: Spread,
    /// Until the server had acknowledged the end.
    pub finished: Spread,
}

/// Jobs at once, in milliseconds.
#[derive(Debug, Clone)]
pub struct Burst {
    /// How many.
    pub jobs: usize,
    /// From when the first was queued until the last one was handed out.
    pub handed_out: Spread,
    /// From when the first was queued until the end of the last was acknowledged.
    pub wall: Spread,
}

/// The manager itself.
#[derive(Debug, Clone)]
pub struct Manager {
    /// What of it is in memory while nothing happens, in kilobytes.
    pub idle_memory: u64,
    /// What of that is no page of the program, in kilobytes.
    pub idle_own_memory: u64,
    /// The most of it that was in memory until the end of the last burst, in kilobytes.
    pub burst_memory: u64,
    /// CPU time for each job, in milliseconds.
    pub cpu: f64,
    /// CPU time while nothing happens, in milliseconds for each minute.
    pub idle_cpu: f64,
}

/// The manager with many jobs in simulated pods.
#[derive(Debug, Clone)]
pub struct Many {
    /// How many.
    pub jobs: usize,
    /// The most of it that was in memory until all of them ran, in kilobytes.
    pub memory: u64,
    /// CPU time for each job until all of them ran, in milliseconds.
    pub cpu: f64,
    /// CPU time while all of them run, in milliseconds for each job and minute.
    pub running_cpu: f64,
    /// From when the first was queued until all of their pods ran, in milliseconds.
    pub wall: f64,
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
    /// Requests to Kubernetes; none where no audit log can be read.
    pub requests: Option<RequestFigures>,
    /// The manager.
    pub manager: Manager,
    /// The manager with many jobs.
    pub many: Option<Many>,
}

impl Figures {
    /// For programs.
    pub fn to_json(&self) -> Value {
        let Self { floor, alone, burst, requests, manager, many } = self;
        let requests = requests.as_ref().map(|requests| {
            json!({
                "per_job": rounded(requests.per_job()),
                "lists_and_watches_per_job": rounded(requests.shared_per_job()),
                "counts": requests.counts,
                "of_jobs": requests.jobs,
                "while_one_runs": of_jobs(&requests.quiet.1),
            })
        });
        let many = many.as_ref().map(|many| {
            json!({
                "jobs": many.jobs, "memory_kb": many.memory, "cpu_ms_per_job": rounded(many.cpu),
                "running_cpu_ms_per_job_and_minute": rounded(many.running_cpu), "wall_ms": rounded(many.wall),
            })
        });
        json!({
            "floor": {
                "began_ms": floor.began.to_json(), "ended_ms": floor.ended.to_json(),
                "burst_wall_ms": floor.burst_wall.to_json(),
            },
            "alone": {
                "queued_ms": alone.queued.to_json(), "began_ms": alone.began.to_json(),
                "first_line_ms": alone.first_line.to_json(),
                "first_line_of_a_lasting_job_ms": alone.lasting.to_json(), "finished_ms": alone.finished.to_json(),
            },
            "burst": {
                "jobs": burst.jobs, "handed_out_ms": burst.handed_out.to_json(), "wall_ms": burst.wall.to_json(),
            },
            "requests": requests,
            "manager": {
                "idle_memory_kb": manager.idle_memory, "idle_own_memory_kb": manager.idle_own_memory,
                "burst_memory_kb": manager.burst_memory,
                "cpu_ms_per_job": rounded(manager.cpu), "idle_cpu_ms_per_minute": rounded(manager.idle_cpu),
            },
            "many": many,
        })
    }
}
