//! Why a pod ended, or is about to end, other than by its own work.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use runner_core::FailureReason;

use super::{
    ContainerState, OutOfMemory,
    container::{Kind, Seat},
    line::{any, cite, quoted},
};

/// Why a pod ended, or is about to end, other than by its own work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The class of the reason.
    pub cause: EndCause,
    /// The line for the job's log.
    pub line: String,
    /// How the job fails for it.
    pub reason: FailureReason,
}

/// Why a pod ended, or is about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// The node ran short of something.
    Evicted(Shortage),
    /// The pod needed more storage than it may.
    OverStorageLimit,
    /// A pod of a higher priority took its place.
    Preempted,
    /// Its node got a taint that it does not tolerate.
    DeletedByTaint,
    /// Somebody evicted it, as a drain of its node does.
    EvictedThroughApi,
    /// The kubelet ended it and says no more.
    TerminatedByKubelet,
    /// Its node no longer exists.
    NodeGone,
    /// Its node does not answer. The pod may run on, and the node may come back.
    NodeLost,
    /// Its node shuts down.
    NodeShutdown,
    /// It was active for longer than it may.
    DeadlineExceeded,
    /// The kubelet did not accept it.
    Rejected(Rejection),
    /// Somebody deleted it, and nothing says why.
    Deleted,
    /// An init container that somebody added failed.
    InitContainerFailed,
    /// The helper ended without a record.
    ContainerDied,
}

/// What a node ran short of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shortage {
    /// Memory.
    Memory,
    /// Disk.
    Disk,
    /// Inodes of a disk.
    Inodes,
    /// Process ids.
    ProcessIds,
    /// Something else.
    Other,
}

impl Shortage {
    fn words(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Inodes => "inodes of a disk",
            Self::ProcessIds => "process ids",
            Self::Other => "something that it does not name",
        }
    }
}

/// Why a kubelet did not accept a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The node had no room; the scheduler did not know.
    Room,
    /// The node was short of something, or stops.
    Pressure,
    /// The node's labels or taints no longer fit.
    Affinity,
    /// The pod asks for something that the node will never give, such as a sysctl or an `AppArmor` profile.
    Forbidden,
    /// A device or something else could not be given.
    Admission,
}

impl EndCause {
    /// Whether another pod for the same job could fare better.
    pub fn may_pass(self) -> bool {
        !matches!(
            self,
            Self::OverStorageLimit
                | Self::DeadlineExceeded
                | Self::Rejected(Rejection::Forbidden)
                | Self::InitContainerFailed
                | Self::ContainerDied
        )
    }

    /// Whether the pod is not over, and may go on after all.
    pub fn may_recover(self) -> bool {
        self == Self::NodeLost
    }

    fn reason(self) -> FailureReason {
        match self {
            // The job's own need; another pod would need the same.
            Self::OverStorageLimit => FailureReason::ScriptFailure,
            Self::DeadlineExceeded => FailureReason::JobExecutionTimeout,
            Self::Rejected(Rejection::Forbidden) => FailureReason::ConfigurationError,
            Self::Rejected(_) | Self::InitContainerFailed | Self::ContainerDied => {
                FailureReason::RunnerSystemFailure
            }
            _ => FailureReason::RunnerInterrupted,
        }
    }

    fn because(self, line: impl Into<String>) -> Ending {
        Ending { cause: self, line: line.into(), reason: self.reason() }
    }
}

/// The most precise reason that the status gives. `recorded` is whether the helper left its record.
pub(super) fn of(pod: &Pod, seats: &[Seat<'_>], oom: &[OutOfMemory], recorded: bool) -> Option<Ending> {
    let empty = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    let said = by_reason(status, seats).or_else(|| by_condition(status));
    let deleted = || {
        let deleted = pod.metadata.deletion_timestamp.is_some() && !recorded;
        deleted.then(|| EndCause::Deleted.because("the pod was deleted"))
    };
    said.or_else(|| unreachable(pod, status))
        .or_else(deleted)
        .or_else(|| init_failed(seats, status))
        .or_else(|| if recorded { None } else { helper_died(seats, oom) })
}

/// What `status.reason` says.
fn by_reason(status: &PodStatus, seats: &[Seat<'_>]) -> Option<Ending> {
    let (reason, message) = (status.reason.as_deref()?, status.message.as_deref().unwrap_or_default());
    let rejected = message.starts_with("Pod was rejected") || message.starts_with("Pod Predicate");
    Some(match reason {
        "Evicted" if !rejected && !message.contains("The node had condition") => evicted(message, seats),
        "Preempting" | "Preempted" => {
            EndCause::Preempted.because("the pod was preempted: the node needed its place for a critical pod")
        }
        "Terminated" | "NodeShutdown" | "Shutdown" if !rejected => {
            EndCause::NodeShutdown.because("the pod was ended: its node shuts down")
        }
        "DeadlineExceeded" => {
            EndCause::DeadlineExceeded.because("the pod was ended: it was active for longer than it may")
        }
        "NodeLost" => lost(),
        reason => rejection(reason, message, rejected)?,
    })
}

/// Evictions by the kubelet: for the node's sake, or for a limit of the pod.
fn evicted(message: &str, seats: &[Seat<'_>]) -> Ending {
    let text = message.to_lowercase();
    let cause = EndCause::OverStorageLimit;
    if text.contains("emptydir volume") {
        let name = quoted(message).unwrap_or_default();
        return cause.because(format!("the pod was evicted: the volume {name} holds more than its limit"));
    }
    if text.contains("exceeded its local ephemeral storage limit") {
        let name = message.trim_start_matches("Container ").split_whitespace().next().unwrap_or_default();
        let who = seats.iter().find(|seat| seat.name == name).map_or_else(|| name.to_owned(), Seat::words);
        return cause.because(format!("the pod was evicted: {who} wrote more than its limit of storage"));
    }
    if text.contains("ephemeral local storage usage exceeds") {
        return cause.because("the pod was evicted: its containers wrote more than their limit of storage");
    }
    let resource = text.split_once("low on resource: ").map_or("", |(_, rest)| rest);
    let shortage = shortage(resource.split(". ").next().unwrap_or_default());
    EndCause::Evicted(shortage)
        .because(format!("the pod was evicted: its node ran short of {}", shortage.words()))
}

fn shortage(resource: &str) -> Shortage {
    match resource {
        text if text.contains("memory") => Shortage::Memory,
        text if text.contains("inodes") => Shortage::Inodes,
        text if any(text, &["storage", "disk", "nodefs", "imagefs"]) => Shortage::Disk,
        text if text.contains("pid") => Shortage::ProcessIds,
        _ => Shortage::Other,
    }
}

/// A kubelet that does not accept a pod says why with one word, of which new ones come.
fn rejection(reason: &str, message: &str, rejected: bool) -> Option<Ending> {
    let detail = message.split_once(": ").map_or(message, |(_, detail)| detail);
    let (rejection, why) = match reason {
        "OutOfpods" => (Rejection::Room, "it runs as many pods as it may".to_owned()),
        "OutOfcpu" => (Rejection::Room, "it had too little free CPU".to_owned()),
        reason if reason.starts_with("OutOf") => {
            (Rejection::Room, format!("it had too little free {}", reason.trim_start_matches("OutOf")))
        }
        "NodeAffinity" | "NodeName" | "NodeTaint" | "TaintToleration" => {
            (Rejection::Affinity, "its labels or taints do not fit the pod".to_owned())
        }
        "Evicted" => {
            (Rejection::Pressure, format!("it was short of {}", shortage(&message.to_lowercase()).words()))
        }
        "NodeShutdown" | "Terminated" | "Shutdown" => (Rejection::Pressure, "it shuts down".to_owned()),
        "AppArmor"
        | "SysctlForbidden"
        | "ForbiddenSysctl"
        | "NoNewPrivs"
        | "PodOSSelectorNodeLabelDoesNotMatch"
        | "PodOSNotSupported"
        | "PodFeatureUnsupported" => (Rejection::Forbidden, cite(detail)),
        "UnexpectedAdmissionError"
        | "TopologyAffinityError"
        | "UnexpectedPredicateFailureType"
        | "AdmissionError" => (Rejection::Admission, cite(detail)),
        _ if rejected => (Rejection::Admission, cite(detail)),
        _ => return None,
    };
    Some(EndCause::Rejected(rejection).because(format!("the node did not accept the pod: {why}")))
}

/// What the condition `DisruptionTarget` says.
fn by_condition(status: &PodStatus) -> Option<Ending> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let disrupted = conditions
        .iter()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")?;
    let message = disrupted.message.as_deref().unwrap_or_default();
    Some(match disrupted.reason.as_deref().unwrap_or_default() {
        "PreemptionByScheduler" => {
            EndCause::Preempted.because("the pod was preempted: a pod of a higher priority needed its place")
        }
        "DeletionByTaintManager" => EndCause::DeletedByTaint
            .because("the pod was deleted: its node got a taint that it does not tolerate"),
        "EvictionByEvictionAPI" => {
            EndCause::EvictedThroughApi.because("the pod was evicted, as when its node is drained")
        }
        "DeletionByPodGC" => EndCause::NodeGone.because("the pod was removed: its node no longer exists"),
        _ if any(message, &["shutdown", "shut down"]) => {
            EndCause::NodeShutdown.because("the pod was ended: its node shuts down")
        }
        _ => EndCause::TerminatedByKubelet.because(format!("the node ended the pod: {}", cite(message))),
    })
}

fn lost() -> Ending {
    EndCause::NodeLost.because("the node of the pod does not answer")
}

/// The controller of nodes takes `Ready` away from the pods of a node that does not answer, and leaves the kubelet's own
/// `ContainersReady` as it is. A kubelet writes both together, unless the pod has readiness gates.
fn unreachable(pod: &Pod, status: &PodStatus) -> Option<Ending> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let is =
        |name: &str, value: &str| conditions.iter().any(|found| found.type_ == name && found.status == value);
    let gated = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.readiness_gates.as_ref().is_some_and(|gates| !gates.is_empty()));
    let stripped = is("Ready", "False") && is("ContainersReady", "True") && !gated;
    (is("Ready", "Unknown") || stripped).then(lost)
}

fn init_failed(seats: &[Seat<'_>], status: &PodStatus) -> Option<Ending> {
    let failed = status.phase.as_deref() == Some("Failed");
    let (seat, code) = seats.iter().filter(|seat| failed && seat.kind == Kind::Init).find_map(|seat| {
        match seat.state() {
            ContainerState::Ended { exit_code, .. } if exit_code != 0 => Some((seat, exit_code)),
            _ => None,
        }
    })?;
    Some(EndCause::InitContainerFailed.because(format!("{} ended with exit code {code}", seat.words())))
}

/// A helper that could not be started is no such end: it is why the pod waits.
fn helper_died(seats: &[Seat<'_>], oom: &[OutOfMemory]) -> Option<Ending> {
    let helper = seats.iter().find(|seat| seat.kind == Kind::Helper)?;
    let state = helper.state();
    let ContainerState::Ended { exit_code, .. } = state else { return None };
    if state.failed_to_start() {
        return None;
    }
    let line = match oom.iter().find(|oom| oom.container == helper.name) {
        Some(oom) => oom.line.clone(),
        None => format!("{} ended with exit code {exit_code} and left no record", helper.words()),
    };
    Some(EndCause::ContainerDied.because(line))
}
