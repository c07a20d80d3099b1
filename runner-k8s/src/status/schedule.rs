//! Why a pod has no node: the scheduler's message in plain words.

use runner_core::FailureReason;

use super::{
    line::{cite, quoted},
    waiting::{WaitCause, Waiting},
};

/// What keeps a pod off a node. In the order in which a line names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obstacle {
    /// The cluster has no node at all.
    NoNodes,
    /// Too little CPU is free.
    Cpu,
    /// Too little memory is free.
    Memory,
    /// Too little ephemeral storage is free.
    Storage,
    /// Too little is free of an extended resource, such as GPUs.
    Resource,
    /// As many pods run as may.
    Pods,
    /// The node selector or the node affinity fits no node.
    Selector,
    /// The affinity to other pods fits no node.
    PodAffinity,
    /// A taint is not tolerated.
    Taint,
    /// The node is closed for new pods.
    Cordoned,
    /// The node is not ready, does not answer, or is short of something.
    Unhealthy,
    /// A port of the host is taken.
    HostPort,
    /// A claim of a volume does not exist.
    NoClaim,
    /// A claim of a volume has no volume yet.
    Claim,
    /// A volume can't be reached from the node.
    Volume,
    /// A gate holds the pod back.
    Gate,
    /// Something else.
    Other,
}

/// Why the scheduler gives the pod no node, from the reason and the message of the condition `PodScheduled`.
pub(super) fn waiting(reason: &str, message: &str, gates: &[&str]) -> Waiting {
    if reason == "SchedulingGated" {
        let gates = gates.join(", ");
        return wait(
            vec![Obstacle::Gate],
            format!("waiting for a node: the gate {gates} holds the pod back"),
        );
    }
    let Some(said) = reasons(message) else {
        let obstacle =
            if message.contains("no nodes available") { Obstacle::NoNodes } else { Obstacle::Other };
        let words = match obstacle {
            Obstacle::NoNodes => "the cluster has none".to_owned(),
            _ => cite(message),
        };
        return wait(vec![obstacle], format!("waiting for a node: {words}"));
    };
    // Two parts may say the same, such as two taints that are not named.
    let mut found: Vec<_> = said.iter().map(|said| obstacle(said)).collect();
    found.sort();
    found.dedup();
    let line = match found.as_slice() {
        [(Obstacle::NoClaim | Obstacle::Claim, words)] => format!("waiting for a node: {words}"),
        [(_, words)] => match words.strip_prefix("do not match ") {
            Some(what) => format!("waiting for a node: none matches {what}"),
            None => format!("waiting for a node: all {words}"),
        },
        many => {
            let words: Vec<_> = many.iter().map(|(_, words)| format!("some {words}")).collect();
            format!("waiting for a node: {}", words.join(", "))
        }
    };
    let mut obstacles: Vec<_> = found.into_iter().map(|(obstacle, _)| obstacle).collect();
    obstacles.dedup();
    wait(obstacles, line)
}

fn wait(obstacles: Vec<Obstacle>, line: String) -> Waiting {
    // A claim that does not exist is a fault of the configuration as a missing secret is; nodes may come.
    let permanent = obstacles == [Obstacle::NoClaim];
    Waiting {
        cause: WaitCause::NotScheduled(obstacles),
        line,
        permanent,
        reason: if permanent {
            FailureReason::ConfigurationError
        } else {
            FailureReason::RunnerSystemFailure
        },
        container: None,
    }
}

/// The reasons in "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) … . preemption: …", without their counts.
///
/// The counts change while the reason stays, as a busy cluster's nodes come and go, and the order goes by the counts.
fn reasons(message: &str) -> Option<Vec<&str>> {
    let (_, list) = message.split_once("nodes are available: ")?;
    let list = list.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let parts = list.split(", ").map(without_count);
    Some(parts.filter(|part| !part.is_empty() && !part.starts_with("that the pod didn't tolerate")).collect())
}

fn without_count(part: &str) -> &str {
    let part = part.trim();
    let rest = part.trim_start_matches(|character: char| character.is_ascii_digit());
    if rest.len() < part.len() { rest.trim_start() } else { part }
}

/// One reason as what "all …" or "some …" nodes do.
fn obstacle(said: &str) -> (Obstacle, String) {
    let plain = |obstacle, words: &str| (obstacle, words.to_owned());
    if let Some(resource) = said.strip_prefix("Insufficient ") {
        return match resource {
            "cpu" => plain(Obstacle::Cpu, "have too little free CPU"),
            "memory" => plain(Obstacle::Memory, "have too little free memory"),
            "ephemeral-storage" => plain(Obstacle::Storage, "have too little free ephemeral storage"),
            "pods" => plain(Obstacle::Pods, "run as many pods as they may"),
            other => (Obstacle::Resource, format!("have too little free {other}")),
        };
    }
    let said_of_nodes = said.trim_start_matches("node(s) ");
    match said_of_nodes {
        "Too many pods" => plain(Obstacle::Pods, "run as many pods as they may"),
        "were unschedulable" => plain(Obstacle::Cordoned, "are closed for new pods"),
        text if text.contains("untolerated taint") || text.starts_with("had taint") => taint(text),
        text if text.contains("volume") && text.contains("affinity") => {
            plain(Obstacle::Volume, "cannot reach a volume of the pod")
        }
        text if text.contains("node affinity/selector") || text.contains("node selector") => {
            plain(Obstacle::Selector, "do not match the node selector or the node affinity")
        }
        text if text.contains("pod affinity") || text.contains("anti-affinity") => {
            plain(Obstacle::PodAffinity, "do not match the affinity to other pods")
        }
        text if text.contains("topology spread") => {
            plain(Obstacle::PodAffinity, "do not match the spread over the topology")
        }
        text if text.contains("free ports") => plain(Obstacle::HostPort, "have a port of the host taken"),
        text if text.starts_with("persistentvolumeclaim") && text.contains("not found") => {
            let name = quoted(text).unwrap_or_default();
            (Obstacle::NoClaim, format!("the volume claim {name} does not exist"))
        }
        text if text.contains("unbound immediate") => {
            plain(Obstacle::Claim, "a volume claim has no volume yet")
        }
        text if text.contains("volume") => {
            (Obstacle::Volume, format!("cannot reach a volume ({})", cite(text)))
        }
        text => (Obstacle::Other, format!("do not fit ({})", cite(text))),
    }
}

/// "had untolerated taint {gpu: true}" and its older forms; a newer scheduler names no taint.
fn taint(said: &str) -> (Obstacle, String) {
    let inside =
        said.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(inside, _)| inside.trim());
    let Some(inside) = inside else {
        return (Obstacle::Taint, "have a taint that the pod does not tolerate".to_owned());
    };
    let (key, value) = inside.split_once(':').map_or((inside, ""), |(key, value)| (key.trim(), value.trim()));
    let health = match key.strip_prefix("node.kubernetes.io/").unwrap_or_default() {
        "not-ready" => "are not ready",
        "unreachable" => "do not answer",
        "memory-pressure" => "are short of memory",
        "disk-pressure" => "are short of disk",
        "pid-pressure" => "are short of process ids",
        "network-unavailable" => "have no network yet",
        "unschedulable" => return (Obstacle::Cordoned, "are closed for new pods".to_owned()),
        _ if key == "node.cloudprovider.kubernetes.io/uninitialized" => "are not ready",
        _ if value.is_empty() => return (Obstacle::Taint, format!("have the taint {key}")),
        _ => return (Obstacle::Taint, format!("have the taint {key}={value}")),
    };
    (Obstacle::Unhealthy, health.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> String {
        waiting("Unschedulable", message, &[]).line
    }

    #[test]
    fn counts_and_their_order_change_no_line() {
        let one = "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: true}, 2 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.";
        let two = "0/12 nodes are available: 4 Insufficient memory, 8 node(s) had untolerated taint {gpu: true}. preemption: not eligible due to preemptionPolicy=Never.";
        assert_eq!(
            line(one),
            "waiting for a node: some have too little free memory, some have the taint gpu=true"
        );
        assert_eq!(line(one), line(two));
        assert_eq!(waiting("Unschedulable", one, &[]), waiting("Unschedulable", two, &[]));
    }

    #[test]
    fn each_reason_has_plain_words() {
        for (said, words) in [
            ("2 Insufficient ephemeral-storage", "all have too little free ephemeral storage"),
            ("2 Too many pods", "all run as many pods as they may"),
            ("2 node(s) were unschedulable", "all are closed for new pods"),
            ("2 node(s) had untolerated taint {node.kubernetes.io/not-ready: }", "all are not ready"),
            ("2 node(s) had untolerated taint {dedicated: }", "all have the taint dedicated"),
            ("2 node(s) had taint {a: b}, that the pod didn't tolerate", "all have the taint a=b"),
            (
                "2 node(s) didn't match pod topology spread constraints",
                "none matches the spread over the topology",
            ),
            ("2 node(s) had volume node affinity conflict", "all cannot reach a volume of the pod"),
        ] {
            assert_eq!(
                line(&format!("0/2 nodes are available: {said}.")),
                format!("waiting for a node: {words}")
            );
        }
        assert_eq!(line("no nodes available to schedule pods"), "waiting for a node: the cluster has none");
    }
}
