//! `POST jobs/request`: a job, or none.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    answer::{self, Answer},
    job::JobState,
    shared::Shared,
    world::World,
};

const LAST_UPDATE: &str = "x-gitlab-last-update";

/// Answers a runner that asks for a job. One that knows the newest value of the queue is held until that changes, and
/// gets 204 without the header then: it is to ask again with the value that it has.
pub(super) async fn request(shared: &Arc<Shared>, body: Value) -> Answer {
    let Some(token) = body["token"].as_str() else { return answer::missing("token") };
    let last_update = body["last_update"].as_str().unwrap_or_default();
    let poll = shared.settings.long_poll;
    let is_known = |world: &World| world.runners.contains_key(token);
    if !poll.is_zero() && shared.read(|world| is_known(world) && world.queue_value() == last_update) {
        let moved = shared.wait(|world| (world.queue_value() != last_update).then_some(()));
        // A change and the end of the time look the same to the runner.
        let _either: Result<(), _> = timeout(poll, moved).await;
        return answer::no_content();
    }
    shared.change(|world| hand_out(shared, world, token, last_update, &body))
}

fn hand_out(shared: &Arc<Shared>, world: &mut World, token: &str, last_update: &str, body: &Value) -> Answer {
    let Some(runner) = world.runners.get_mut(token) else { return answer::error(StatusCode::FORBIDDEN, "") };
    let cancels_gracefully = runner.hear(body)["cancel_gracefully"] == true;
    let value = world.queue_value();
    if value == last_update {
        return answer::with(answer::no_content(), LAST_UPDATE, value);
    }
    let is_two_phase = body["info"]["features"]["two_phase_job_commit"] == true;
    let acknowledge_by = is_two_phase.then(|| Instant::now() + shared.settings.acknowledge_within);
    let Some((id, payload)) = world.assign(cancels_gracefully, acknowledge_by) else {
        return answer::with(answer::no_content(), LAST_UPDATE, value);
    };
    if let Some(deadline) = acknowledge_by {
        shared.spawn(take_back(Arc::clone(shared), id, deadline));
    }
    answer::json(StatusCode::CREATED, &payload)
}

/// Queues a job again that is not acknowledged in time. Each message that it is still pending moves that time.
async fn take_back(shared: Arc<Shared>, id: u64, mut deadline: Instant) {
    loop {
        sleep_until(deadline).await;
        let later = shared.change(|world| {
            let job = world.jobs.get(&id)?;
            let due = job.acknowledge_by.filter(|_| job.record.state == JobState::Assigned)?;
            if due <= Instant::now() {
                world.queue_again(id);
                return None;
            }
            Some(due)
        });
        let Some(later) = later else { return };
        deadline = later;
    }
}
