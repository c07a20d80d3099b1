//! Whether a line of a script may have run in a pod.

use k8s_openapi::api::core::v1::Pod;

use super::{
    ContainerState, EndCause, Ending,
    container::{Kind, Seat},
};

/// Whether the build container may ever have run a line of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It never started, and the kubelet's last word says so; or the pod is bound to no node.
    ///
    /// A pod without a node may be bound a moment after this status: who acts on it deletes the pod under the condition
    /// of its resource version.
    CertainlyNot,
    /// It may have, or nobody knows.
    MayHave,
}

/// Judges from the build container's status, and from who had the last word about the pod.
pub(super) fn of(pod: &Pod, seats: &[Seat<'_>], ending: Option<&Ending>) -> Begun {
    let build = seats.iter().find(|seat| seat.kind == Kind::Build);
    let status = build.and_then(|seat| seat.status);
    let trace = status.is_some_and(|status| {
        let last = status.last_state.as_ref();
        status.restart_count > 0
            || last.is_some_and(|last| last.terminated.is_some() || last.running.is_some())
    });
    let state = build.map(Seat::state).unwrap_or_default();
    let lost = build.is_some_and(never_made) && seats.iter().any(found);
    if trace || state.has_run() && !lost {
        return Begun::MayHave;
    }
    let bound =
        pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|node| !node.is_empty());
    if !bound || state.failed_to_start() {
        return Begun::CertainlyNot;
    }
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let cause = ending.map(|ending| ending.cause);
    // The garbage collector of pods and the controller of nodes write the phase of a pod whose kubelet they can't ask.
    if phase != Some("Failed") || matches!(cause, Some(EndCause::NodeGone | EndCause::NodeLost)) {
        return Begun::MayHave;
    }
    match state {
        ContainerState::Waiting => Begun::CertainlyNot,
        ContainerState::Ended { .. } if lost => Begun::CertainlyNot,
        // A kubelet that rejects a pod writes a status without containers; every other status without them is a loss.
        ContainerState::Unknown if matches!(cause, Some(EndCause::Rejected(_))) && at_the_door(pod) => {
            Begun::CertainlyNot
        }
        _ => Begun::MayHave,
    }
}

/// The seconds within which a kubelet rejects a pod that it sees for the first time. In less than that none restarts.
const AT_ONCE: i64 = 5;

/// Whether the kubelet rejected the pod when it first saw it, as far as the pod tells.
///
/// A kubelet that restarts may reject a pod that it had started, and its status then holds nothing of that but the time
/// when it first saw the pod. The time of its last word is in the metadata, unless somebody took it out.
fn at_the_door(pod: &Pod) -> bool {
    let seen =
        pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0.as_second());
    let kubelet = pod.metadata.managed_fields.iter().flatten().filter(|entry| {
        entry.subresource.as_deref() == Some("status") && entry.manager.as_deref() == Some("kubelet")
    });
    let last = kubelet.filter_map(|entry| entry.time.as_ref()).map(|time| time.0.as_second()).max();
    match (seen, last) {
        (Some(seen), Some(last)) => last - seen <= AT_ONCE,
        _ => true,
    }
}

/// Whether the kubelet looked for the container at the end of the pod, found none, and had never known one.
fn never_made(build: &Seat<'_>) -> bool {
    let unnamed = build.status.is_some_and(|status| {
        status.container_id.as_deref().unwrap_or_default().is_empty() && status.image_id.is_empty()
    });
    let ContainerState::Ended { reason, started, .. } = build.state() else { return false };
    unnamed && reason == "ContainerStatusUnknown" && started.is_none()
}

/// Whether the kubelet found the helper's container when it wrote the pod's end.
///
/// Then the runtime had not lost the pod's containers, as it does when a node starts anew, and the build container that
/// was not found beside it was never made: a kubelet keeps the last container of each name while it has the pod.
fn found(seat: &Seat<'_>) -> bool {
    let named =
        seat.status.is_some_and(|status| status.container_id.as_deref().is_some_and(|id| !id.is_empty()));
    match seat.state() {
        ContainerState::Ended { reason, started, .. } => {
            seat.kind == Kind::Helper && named && started.is_some() && reason != "ContainerStatusUnknown"
        }
        _ => false,
    }
}
