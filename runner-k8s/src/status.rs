//! What a pod's status says: why it waits, why it ended, and whether a script may have run in it.
//!
//! Everything here is a pure function of one status. What only two statuses tell together is in [`Judgement::after`].

mod begun;
mod container;
mod ending;
mod image;
mod line;
mod memory;
mod refusal;
mod schedule;
mod start;
mod waiting;

pub use begun::Begun;
pub use container::ContainerState;
pub use ending::{EndCause, Ending, Rejection, Shortage};
pub use image::ImageTrouble;
pub use memory::OutOfMemory;
pub use refusal::{Refusal, refusal};
pub use schedule::Obstacle;
pub use start::StartTrouble;
pub use waiting::{WaitCause, Waiting};

use k8s_openapi::api::core::v1::Pod;

use self::container::{Kind, Seat};

/// What one status of a job's pod says.
///
/// The containers of a job's pod are named `helper`, `svc-0` and so on, and `build`; all others are somebody else's.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The node that the pod is bound to.
    pub bound: Option<String>,
    /// The container of the agent that orchestrates.
    pub helper: ContainerState,
    /// The container of the user's image.
    pub build: ContainerState,
    /// The services by the names of their containers, in the order of the pod's list.
    pub services: Vec<(String, ContainerState)>,
    /// Why something of the pod has not started, where something has not. The pod of a service that can't start
    /// waits too, though its build container runs.
    pub waiting: Option<Waiting>,
    /// Why the pod ended, or is about to, other than by its own work.
    pub ending: Option<Ending>,
    /// The containers that were killed because they needed more memory than they may have.
    pub oom: Vec<OutOfMemory>,
    /// Whether the build container may ever have run a line of a script.
    pub begun: Begun,
    /// What the helper left as its termination message. Without it nothing is a success.
    pub record: Option<String>,
}

impl Judgement {
    /// Judges the status that `pod` carries.
    pub fn of(pod: &Pod) -> Self {
        let seats = Seat::all(pod);
        let state = |kind| seats.iter().find(|seat| seat.kind == kind).map(Seat::state).unwrap_or_default();
        let helper = state(Kind::Helper);
        let record = record(&helper);
        let oom = memory::of(pod, &seats);
        let ending = ending::of(pod, &seats, &oom, record.is_some());
        Self {
            bound: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).filter(|node| !node.is_empty()),
            waiting: waiting::of(pod, &seats),
            begun: begun::of(pod, &seats, ending.as_ref()),
            build: state(Kind::Build),
            services: seats
                .iter()
                .filter(|seat| seat.kind == Kind::Service)
                .map(|seat| (seat.name.to_owned(), seat.state()))
                .collect(),
            helper,
            ending,
            oom,
            record,
        }
    }

    /// Adds what an `earlier` judgement of the same pod knew and this status no longer says.
    ///
    /// - A kubelet that restarts may reject a pod that it had started, and its status then says nothing of any
    ///   container: a pod with a container that was seen to run has begun for good.
    /// - A kubelet before 1.31 says the cause of a failed pull once, and then only that it backs off: the cause stays.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        let ran = |state: &ContainerState| state.has_run();
        if ran(&earlier.build) || ran(&earlier.helper) && matches!(self.helper, ContainerState::Unknown) {
            self.begun = Begun::MayHave;
        }
        let unsaid = |waiting: &Waiting| waiting.cause == WaitCause::Image(ImageTrouble::Unsaid);
        if let (Some(now), Some(before)) = (&self.waiting, &earlier.waiting)
            && unsaid(now)
            && matches!(before.cause, WaitCause::Image(_))
            && now.container == before.container
        {
            self.waiting = Some(before.clone());
        }
        self
    }
}

/// The helper's record. The other texts that may stand there are not the helper's: those of a runtime that could not
/// start it, and of a kubelet that could not find it.
fn record(helper: &ContainerState) -> Option<String> {
    match helper {
        ContainerState::Ended { reason, message, .. } if !message.is_empty() => {
            let foreign =
                matches!(reason.as_str(), "StartError" | "ContainerCannotRun" | "ContainerStatusUnknown");
            (!foreign).then(|| message.clone())
        }
        _ => None,
    }
}
