use bytes::Bytes;
use runner_core::{JobEnd, JobOutcome};
use serde_json::{Value, json};
use tokio::time::advance;

use super::*;

fn running() -> Value {
    json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
}

fn waiting() -> Value {
    json!({"waiting": {"reason": "ContainerCreating"}})
}

fn ended() -> Value {
    let time = "2026-01-01T00:00:00Z";
    json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": time, "finishedAt": time}})
}

/// A pod whose containers are in that state, and whose node answers or not.
fn seen(state: &Value, answers: bool) -> Seen {
    let container = |name: &str| json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    let ready = if answers { "True" } else { "Unknown" };
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "helper", "image": "h"}, {"name": "build", "image": "b"}]
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [container("helper"), container("build")]
        }
    });
    Seen { pod: Some(Arc::new(serde_json::from_value(pod).unwrap())), gone: false }
}

fn frame(body: FrameBody) -> Frame {
    Frame { number: 0, time: 0, body }
}

fn end(reported: bool) -> Frame {
    let end = JobEnd {
        outcome: JobOutcome::Succeeded,
        reported,
        script_begun: true,
        log: None,
        phases: Vec::new(),
    };
    let record = EndRecord { attempt: 1, end, stopped_from_outside: false, build_lost: false };
    frame(FrameBody::End(Box::new(record)))
}

fn view(state: &Value) -> View {
    let mut view = View::new();
    view.see(seen(state, true));
    view
}

#[tokio::test]
async fn an_agent_that_told_its_end_leaves_the_rest_to_the_manager_before_the_status_says_so() {
    let mut view = view(&running());
    assert_eq!(view.duty(true, false), Duty::Nothing);
    view.take(&end(false));
    assert_eq!(view.duty(true, false), Duty::Everything);
}

#[tokio::test]
async fn of_a_job_that_the_agent_has_reported_nothing_is_left() {
    let mut view = view(&running());
    view.take(&end(true));
    assert_eq!(view.duty(true, false), Duty::Nothing);
}

#[tokio::test]
async fn the_log_of_a_pod_that_is_not_seen_yet_may_be_its_agents() {
    let view = View::new();
    assert_eq!(view.duty(false, false), Duty::Everything);
    assert_eq!(view.duty(true, false), Duty::Heartbeats);
    assert_eq!(self::view(&waiting()).duty(true, false), Duty::Heartbeats);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_answered_again_has_all_its_time_when_it_does_not_later() {
    let mut view = view(&running());
    view.see(seen(&running(), false));
    view.see(seen(&running(), true));
    advance(Duration::from_hours(1)).await;
    view.see(seen(&running(), false));
    assert!(!view.is_over());
    advance(OVERDUE).await;
    assert!(view.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_for_room_is_not_given_up() {
    let mut view = view(&ended());
    view.stream = Stream::Open(Box::new(Relay::of_nothing()));
    for _ in 0..100 {
        view.cut_if_silent(false);
        advance(LAG).await;
    }
    view.cut_if_silent(true);
    advance(LAG).await;
    view.take(&frame(FrameBody::Log { offset: 0, bytes: Bytes::from_static(b"x") }));
    view.cut_if_silent(true);
    advance(LAG).await;
    view.cut_if_silent(true);
    assert!(!view.is_read() && !view.may_lack_log());
    advance(LAG).await;
    view.cut_if_silent(true);
    assert!(view.is_read() && view.may_lack_log());
}
