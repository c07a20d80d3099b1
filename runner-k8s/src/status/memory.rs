//! Which containers were killed because they needed too much memory.

use k8s_openapi::{
    api::core::v1::{ContainerStateTerminated, Pod, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use super::{container::Seat, line::any};

/// A container of which a process was killed because there was no memory left for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfMemory {
    /// The name of the container.
    pub container: String,
    /// Its limit, or that of the pod, as the pod's specification writes it. Without one it was the node that ran out.
    pub limit: Option<String>,
    /// The line for the job's log.
    pub line: String,
}

/// All containers of the pod that ran out of memory, in their order.
///
/// With cgroup v1 the runtime reports it also where one process of many was killed; with cgroup v2 all processes of the
/// container are killed together.
pub(super) fn of(pod: &Pod, seats: &[Seat<'_>]) -> Vec<OutOfMemory> {
    let pod_limit = pod.spec.as_ref().and_then(|spec| memory(spec.resources.as_ref()));
    let killed = seats.iter().filter(|seat| {
        let states =
            seat.status.iter().flat_map(|status| [status.state.as_ref(), status.last_state.as_ref()]);
        states.flatten().filter_map(|state| state.terminated.as_ref()).any(ran_out)
    });
    killed
        .map(|seat| {
            let limit = memory(seat.container.resources.as_ref()).or_else(|| pod_limit.clone());
            let line = match &limit {
                Some(limit) => format!("{} ran out of memory: its limit is {limit}", seat.words()),
                None => {
                    format!("{} ran out of memory: it has no limit, and the node has no more", seat.words())
                }
            };
            OutOfMemory { container: seat.name.to_owned(), limit, line }
        })
        .collect()
}

fn ran_out(ended: &ContainerStateTerminated) -> bool {
    let message = ended.message.as_deref().unwrap_or_default().to_lowercase();
    let ours = matches!(ended.reason.as_deref(), Some("StartError" | "ContainerCannotRun" | "Error"));
    // A termination message is the container's own words where it ended by itself.
    let says = ours
        && matches!(ended.exit_code, 137 | 128)
        && any(&message, &["oom-kill", "oomkill", "out of memory"]);
    ended.reason.as_deref() == Some("OOMKilled") || says
}

fn memory(resources: Option<&ResourceRequirements>) -> Option<String> {
    let Quantity(limit) = resources?.limits.as_ref()?.get("memory")?;
    Some(limit.clone())
}
