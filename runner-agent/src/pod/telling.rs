//! Who hears how the job ended: whoever reads the frames, the kubelet, and a manager that comes later.

use std::{io, sync::Arc, time::Duration};

use fs_err as fs;
use runner_core::{
    JobEnd, JobOutcome,
    agent::{EndRecord, Order, Reports},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{build_host::BuildHost, output::Output, paths};
use crate::job_run::Successor;

/// The kubelet reads this much of an end record.
const LARGEST_RECORD: usize = 4096;

/// How long the log of a job whose pod is being removed stays where a manager finds it that comes back. One that has it
/// removes the pod at once.
const STAY: Duration = Duration::from_secs(20);

/// Writes how the job ended to both places: either of the two is enough.
pub(super) async fn tell_end(
    output: &Output,
    order: &Order,
    (end, stopped_from_outside, build_lost): (JobEnd, bool, bool),
) -> io::Result<()> {
    let record = EndRecord { attempt: order.attempt, stopped_from_outside, build_lost, end };
    let noted = note_end(&record);
    let told = output.end(record).await;
    told.or(noted)
}

/// Puts the end where the kubelet reads it when this container has ended.
fn note_end(record: &EndRecord) -> io::Result<()> {
    fs::write(paths::RECORD, record.to_text(LARGEST_RECORD))
}

/// Stays for a while where nobody has the end of a job whose pod is being removed.
pub(super) async fn stay_if(is_unread: bool) {
    if is_unread {
        sleep(STAY).await;
    }
}

/// Whether somebody outside wanted the end that this is.
pub(super) fn was_stopped(stopped: &CancellationToken, outcome: &JobOutcome) -> bool {
    stopped.is_cancelled() && *outcome == JobOutcome::Canceled
}

/// The manager, who says each end that the agent does not know all of.
pub(super) fn successor(
    order: &Order,
    build: &Arc<BuildHost>,
    stopped: &CancellationToken,
    has_remote: bool,
) -> Successor {
    let hears = {
        let (build, stopped, attempt) = (Arc::clone(build), stopped.clone(), order.attempt);
        move |end: &JobEnd| {
            let stopped_from_outside = was_stopped(&stopped, &end.outcome);
            let (build_lost, end) = (build.is_lost(), end.clone());
            if let Err(error) = note_end(&EndRecord { attempt, end, stopped_from_outside, build_lost }) {
                tracing::warn!(%error, "an end that is not reported yet is not noted");
            }
        }
    };
    let (build, hurry, reports) = (Arc::clone(build), stopped.clone(), order.reports);
    let leaves = move |outcome: &JobOutcome| {
        let says = match reports {
            Reports::Nothing | Reports::Log => false,
            Reports::LogAndSuccess => outcome.is_success() && !build.lacks_services(),
            Reports::LogAndEnd => true,
        };
        !says || !has_remote || was_stopped(&hurry, outcome) || build.is_lost()
    };
    Successor { leaves: Box::new(leaves), hears: Box::new(hears), hurry: stopped.clone() }
}
