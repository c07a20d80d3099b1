//! The status of a pod as a kubelet words it, of what its containers do.

use k8s_openapi::{
    api::core::v1::{Container, Pod},
    jiff::Timestamp,
};
use serde_json::{Value, json};

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It was not started.
    Waiting,
    /// It runs since then.
    Running(Timestamp),
    /// It has ended.
    Ended(Ended),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) reason: &'static str,
    /// What it left in its termination log.
    pub(super) message: String,
    /// None where it never ran.
    pub(super) started: Option<Timestamp>,
    pub(super) at: Timestamp,
}

impl Ended {
    /// What a kubelet says of a container that had not started when its pod was ended.
    pub(super) fn never_ran(at: Timestamp) -> Self {
        let message = "The container could not be located when the pod was terminated".to_owned();
        Self { code: 137, reason: "ContainerStatusUnknown", message, started: None, at }
    }
}

/// What the status of a pod is made of.
#[derive(Debug, Clone)]
pub(super) struct Picture<'a> {
    pub(super) pod: &'a Pod,
    pub(super) host: String,
    pub(super) address: &'a str,
    pub(super) since: Timestamp,
    pub(super) states: &'a [State],
    /// Everything was ended from outside.
    pub(super) is_terminated: bool,
}

impl Picture<'_> {
    /// The phase.
    pub(super) fn phase(&self) -> &'static str {
        let all = |of: fn(&State) -> bool| self.states.iter().all(of);
        if all(|state| matches!(state, State::Ended(ended) if ended.code == 0)) {
            "Succeeded"
        } else if all(|state| matches!(state, State::Ended(_))) || self.is_terminated {
            "Failed"
        } else if all(|state| *state != State::Waiting) {
            "Running"
        } else {
            // While an image is pulled the other containers may run.
            "Pending"
        }
    }

    /// A strategic patch for the status.
    pub(super) fn patch(&self) -> Value {
        let containers = self.pod.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
        let statuses: Vec<Value> =
            containers.iter().zip(self.states).map(|(container, state)| status(container, state)).collect();
        let is_up = self.states.iter().all(|state| matches!(state, State::Running(_)));
        let has_network = self.states.iter().any(|state| *state != State::Waiting);
        let since = self.since.to_string();
        let condition = |kind: &str, is: bool| {
            let status = if is { "True" } else { "False" };
            let reason = match (is, self.phase()) {
                (true, _) => None,
                (false, "Succeeded") => Some("PodCompleted"),
                (false, "Failed") => Some("PodFailed"),
                (false, _) => Some("ContainersNotReady"),
            };
            json!({ "type": kind, "status": status, "reason": reason, "lastTransitionTime": since })
        };
        let conditions = json!([
            condition("PodReadyToStartContainers", has_network),
            condition("Initialized", true),
            condition("ContainersReady", is_up),
            condition("Ready", is_up),
        ]);
        let mut status = json!({
            "phase": self.phase(), "startTime": since, "hostIP": self.host, "conditions": conditions,
            "containerStatuses": statuses,
        });
        if has_network {
            status["podIP"] = json!(self.address);
            status["podIPs"] = json!([{ "ip": self.address }]);
        }
        json!({ "status": status })
    }
}

fn status(container: &Container, state: &State) -> Value {
    let id = |started: bool| if started { format!("simulated://{}", container.name) } else { String::new() };
    let is_running = matches!(state, State::Running(_));
    let (shown, has_run) = match state {
        State::Waiting => (json!({ "waiting": { "reason": "ContainerCreating" } }), false),
        State::Running(since) => (json!({ "running": { "startedAt": since.to_string() } }), true),
        State::Ended(ended) => {
            let has_run = ended.started.is_some();
            let mut terminated = json!({
                "exitCode": ended.code, "reason": ended.reason, "containerID": id(has_run),
                "startedAt": ended.started.map(|at| at.to_string()), "finishedAt": ended.at.to_string(),
            });
            if !ended.message.is_empty() {
                terminated["message"] = json!(ended.message);
            }
            (json!({ "terminated": terminated }), has_run)
        }
    };
    json!({
        "name": container.name, "image": container.image, "imageID": if has_run { "simulated" } else { "" },
        "containerID": id(has_run), "ready": is_running, "started": is_running, "restartCount": 0, "state": shown,
        "lastState": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(states: &[State]) -> &'static str {
        let now = Timestamp::now();
        let picture = Picture {
            pod: &Pod::default(),
            host: String::new(),
            address: "",
            since: now,
            states,
            is_terminated: false,
        };
        picture.phase()
    }

    #[test]
    fn a_pod_is_pending_until_its_last_container_has_started() {
        let now = Timestamp::now();
        let ended = |code| {
            State::Ended(Ended { code, reason: "Error", message: String::new(), started: Some(now), at: now })
        };
        assert_eq!(phase(&[State::Running(now), State::Waiting]), "Pending");
        assert_eq!(phase(&[State::Running(now), State::Running(now)]), "Running");
        assert_eq!(phase(&[ended(0), State::Running(now)]), "Running");
        assert_eq!(phase(&[ended(0), ended(0)]), "Succeeded");
        assert_eq!(phase(&[ended(0), ended(3)]), "Failed");
    }
}
