//! Why a pod, or a part of it, has not started.

use k8s_openapi::api::core::v1::Pod;
use runner_core::{FailureReason, WaitClass};

use super::{
    ContainerState, ImageTrouble, Obstacle, Refusal, StartTrouble,
    container::{Kind, Seat},
    image, schedule, start,
};

/// Why something has not started, in one line.
///
/// Two statuses with the same reason have the same line, however often something was tried in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The class of the reason.
    pub cause: WaitCause,
    /// The line for the job's log.
    pub line: String,
    /// Whether waiting can't help. All else may wait within a budget.
    pub permanent: bool,
    /// How the job fails, at once or when the budget is spent.
    pub reason: FailureReason,
    /// The name of the container in the way, where it is one.
    pub container: Option<String>,
}

/// Why something has not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitCause {
    /// The scheduler has not looked at the pod.
    Unscheduled,
    /// The scheduler finds no node. The obstacles are in their order, each once.
    NotScheduled(Vec<Obstacle>),
    /// The containers are being made, and nothing is known to be wrong. Images are pulled now and volumes mounted,
    /// but a kubelet posts no status while it does so.
    Creating,
    /// An init container that somebody added has not finished.
    Initialising,
    /// An image is not there.
    Image(ImageTrouble),
    /// A container can't be made or started.
    Start(StartTrouble),
    /// The API server refused to create the pod.
    Refused(Refusal),
}

impl WaitCause {
    /// The class of it, as an embedder counts it.
    pub(crate) fn class(&self) -> WaitClass {
        match self {
            Self::Unscheduled | Self::NotScheduled(_) => WaitClass::Scheduling,
            Self::Creating | Self::Initialising => WaitClass::Starting,
            Self::Image(_) => WaitClass::Image,
            Self::Start(_) => WaitClass::Trouble,
            Self::Refused(_) => WaitClass::Refused,
        }
    }
}

/// What the pod waits for: the first permanent trouble of a container, else the first trouble, else what comes next.
pub(super) fn of(pod: &Pod, seats: &[Seat<'_>]) -> Option<Waiting> {
    let mut troubles: Vec<_> = seats.iter().filter_map(trouble).collect();
    if troubles.first().is_some_and(|first| matches!(first.cause, WaitCause::Image(_))) {
        // The kubelet starts the other containers all the same, and without the helper there is no agent for them.
        troubles.retain(|trouble| trouble.cause != WaitCause::Start(StartTrouble::AgentMissing));
    }
    let leaves = pod.metadata.deletion_timestamp.is_some() || over(pod);
    let failed = |waiting: &&Waiting| waiting.permanent && matches!(waiting.cause, WaitCause::Start(_));
    if leaves {
        // What kept the pod from its work is still the reason where it ended for that.
        return troubles.iter().find(failed).cloned();
    }
    let unbound = || {
        let bound =
            pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|node| !node.is_empty());
        (!bound).then(|| unscheduled(pod))
    };
    let permanent = troubles.iter().find(|waiting| waiting.permanent).cloned();
    permanent.or_else(|| troubles.into_iter().next()).or_else(unbound).or_else(|| next(pod, seats))
}

/// Whether the phase is a last one.
fn over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

fn trouble(seat: &Seat<'_>) -> Option<Waiting> {
    let pulling = seat.wait().and_then(|(reason, message)| image::waiting(seat, reason, message));
    pulling.or_else(|| start::waiting(seat))
}

fn unscheduled(pod: &Pod) -> Waiting {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let scheduled =
        conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    let Some(condition) = scheduled else {
        return calm(WaitCause::Unscheduled, "waiting for the scheduler".to_owned(), None);
    };
    let gates = pod.spec.iter().flat_map(|spec| spec.scheduling_gates.iter().flatten());
    let gates: Vec<_> = gates.map(|gate| gate.name.as_str()).collect();
    let (reason, message) = (condition.reason.as_deref(), condition.message.as_deref());
    schedule::waiting(reason.unwrap_or_default(), message.unwrap_or_default(), &gates)
}

/// What a bound pod without trouble waits for.
fn next(pod: &Pod, seats: &[Seat<'_>]) -> Option<Waiting> {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    let idle = |seat: &&Seat<'_>| matches!(seat.state(), ContainerState::Unknown | ContainerState::Waiting);
    let main = |seat: &&Seat<'_>| seat.kind != Kind::Init;
    let first = seats.iter().filter(main).find(idle)?;
    let begun = seats.iter().filter(main).any(|seat| seat.state().has_run());
    if !begun {
        let init =
            seats.iter().find(|seat| seat.kind == Kind::Init && seat.state() == ContainerState::Running);
        // A sidecar of the native kind runs on beside the others.
        let ends = |seat: &&Seat<'_>| seat.container.restart_policy.as_deref() != Some("Always");
        if let Some(init) = init.filter(ends) {
            let line = format!("waiting for {} to end", init.words());
            return Some(calm(WaitCause::Initialising, line, Some(init.name)));
        }
        return Some(calm(
            WaitCause::Creating,
            format!("waiting for the containers to start on {node}"),
            None,
        ));
    }
    Some(calm(
        WaitCause::Creating,
        format!("waiting for {} to start on {node}", first.words()),
        Some(first.name),
    ))
}

fn calm(cause: WaitCause, line: String, container: Option<&str>) -> Waiting {
    let reason = FailureReason::RunnerSystemFailure;
    Waiting { cause, line, permanent: false, reason, container: container.map(ToOwned::to_owned) }
}
