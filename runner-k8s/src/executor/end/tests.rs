use k8s_openapi::api::core::v1::Pod;
use runner_core::{JobEnd, outcome::LogDigest};
use serde_json::{Value, json};

use super::*;

fn record(outcome: JobOutcome) -> EndRecord {
    let end = JobEnd {
        outcome,
        reported: false,
        script_begun: true,
        log: Some(LogDigest::default()),
        phases: Vec::new(),
    };
    EndRecord { attempt: 1, end, stopped_from_outside: false, build_lost: false }
}

/// What a pod of that status means, whose containers are in those states.
fn judged(mut status: Value, helper: Value, build: Value) -> Judgement {
    let state = |name: &str, state: Value| json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    status["containerStatuses"] = json!([state("helper", helper), state("build", build)]);
    let spec = json!({
        "nodeName": "node-1",
        "containers": [
            {"name": "helper", "image": "h"},
            {"name": "build", "image": "b", "resources": {"limits": {"memory": "64Mi"}}}
        ]
    });
    let pod: Pod =
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec, "status": status})).unwrap();
    Judgement::of(&pod)
}

fn ended(code: i32, reason: &str) -> Value {
    let time = "2026-01-01T00:00:00Z";
    json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": time, "finishedAt": time}})
}

fn running() -> Value {
    json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
}

fn waiting() -> Value {
    json!({"waiting": {"reason": "ContainerCreating"}})
}

fn evicted() -> Judgement {
    let status =
        json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    judged(status, ended(137, "Error"), ended(137, "Error"))
}

fn failed(verdict: Verdict) -> (FailureReason, String, bool) {
    match verdict {
        Verdict::Ended(Found { outcome: JobOutcome::Failed(failure), script_begun, line, .. }) => {
            assert!(line.unwrap().contains(&failure.message));
            (failure.reason, failure.message, script_begun)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_agents_own_end_counts() {
    for outcome in [JobOutcome::Succeeded, JobOutcome::script_failed(3), JobOutcome::Canceled] {
        for wish in [None, Some(StoredWish::Cancel), Some(StoredWish::Interrupt)] {
            let Verdict::Ended(found) = of_record(&record(outcome.clone()), wish, None) else { panic!() };
            assert_eq!((found.outcome, found.line), (outcome.clone(), None));
        }
    }
}

#[test]
fn who_stopped_the_agent_decides_what_its_end_is_called() {
    let stopped = EndRecord { stopped_from_outside: true, ..record(JobOutcome::Canceled) };
    let Verdict::Ended(found) = of_record(&stopped, Some(StoredWish::Cancel), None) else { panic!() };
    assert_eq!(found.outcome, JobOutcome::Canceled);
    let interrupted = failed(of_record(&stopped, Some(StoredWish::Interrupt), None));
    assert_eq!(interrupted.0, FailureReason::RunnerInterrupted);
    let (reason, message, begun) = failed(of_record(&stopped, None, Some(&evicted())));
    assert_eq!(reason, FailureReason::RunnerInterrupted);
    assert!(message.contains("memory") && begun, "{message}");
}

#[test]
fn a_pod_that_was_stopped_before_its_script_is_replaced() {
    let mut stopped = EndRecord { stopped_from_outside: true, ..record(JobOutcome::Canceled) };
    stopped.end.script_begun = false;
    assert!(matches!(of_record(&stopped, None, Some(&evicted())), Verdict::Again(_)));
    assert!(matches!(of_record(&stopped, Some(StoredWish::Cancel), Some(&evicted())), Verdict::Ended(_)));
}

#[test]
fn the_status_says_why_the_build_container_went_away() {
    let lost = EndRecord {
        build_lost: true,
        ..record(JobOutcome::failed(FailureReason::RunnerSystemFailure, "the process went away"))
    };
    let oom = judged(json!({"phase": "Running"}), running(), ended(137, "OOMKilled"));
    let (reason, message, _) = failed(of_record(&lost, None, Some(&oom)));
    assert_eq!(reason, FailureReason::ScriptFailure);
    assert!(message.contains("64Mi"), "{message}");
    let crashed = judged(json!({"phase": "Running"}), running(), ended(2, "Error"));
    let (reason, message, _) = failed(of_record(&lost, None, Some(&crashed)));
    assert_eq!(reason, FailureReason::RunnerSystemFailure);
    assert!(message.contains("exit code 2"), "{message}");
    // Where the status says nothing, the agent's own words stay.
    let Verdict::Ended(found) = of_record(&lost, None, None) else { panic!() };
    assert_eq!(found.outcome, lost.end.outcome);
}

#[test]
fn no_record_is_never_a_success() {
    let done = judged(json!({"phase": "Succeeded"}), ended(0, "Completed"), ended(0, "Completed"));
    for judgement in [None, Some(&done), Some(&evicted())] {
        let (_, _, begun) = failed(without_record(None, judgement));
        assert!(begun);
        let Verdict::Ended(found) = without_record(Some(StoredWish::Cancel), judgement) else { panic!() };
        assert_eq!(found.outcome, JobOutcome::Canceled);
        let interrupted = failed(without_record(Some(StoredWish::Interrupt), judgement));
        assert_eq!(interrupted.0, FailureReason::RunnerInterrupted);
    }
}

#[test]
fn a_pod_that_was_taken_away_is_replaced_only_if_its_script_certainly_had_not_begun() {
    let status =
        json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    let never_began = judged(status.clone(), ended(137, "Error"), waiting());
    assert!(matches!(without_record(None, Some(&never_began)), Verdict::Again(_)));
    assert!(matches!(without_record(None, Some(&evicted())), Verdict::Ended(_)));
    // A helper that died by itself dies again.
    let died = judged(json!({"phase": "Failed"}), ended(1, "Error"), waiting());
    assert!(matches!(without_record(None, Some(&died)), Verdict::Ended(_)));
}

#[test]
fn a_pod_that_could_not_start_fails_for_that_and_not_for_being_gone() {
    let state = json!({"terminated": {
        "exitCode": 128,
        "reason": "StartError",
        "message": "exec: \"/usr/bin/runner-agent\": stat /usr/bin/runner-agent: no such file or directory",
        "startedAt": "1970-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:00Z"
    }});
    let judgement = judged(json!({"phase": "Failed"}), state, waiting());
    let (reason, message, begun) = failed(without_record(None, Some(&judgement)));
    assert_eq!(reason, FailureReason::ConfigurationError, "{message}");
    assert!(message.contains("does not hold our agent") && !begun, "{message}");
}

#[test]
fn the_node_of_a_pod_that_was_taken_away_is_named() {
    let (_, message, _) = failed(without_record(None, Some(&evicted())));
    assert!(message.ends_with("(node node-1)"), "{message}");
}
