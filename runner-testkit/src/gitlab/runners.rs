//! `runners`: who may ask for jobs.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    answer::{self, Answer},
    world::World,
};

/// A runner that is known.
#[derive(Debug)]
pub(super) struct Runner {
    id: u64,
    /// The features of each of its processes (`system_id`), as first told. GitLab looks again only after most of an hour,
    /// so what `verify` leaves out stays unknown.
    features: BTreeMap<String, Value>,
}

impl Runner {
    /// Takes what a runner says of itself, unless it is known.
    pub(super) fn hear(&mut self, body: &Value) -> &Value {
        let system = body["system_id"].as_str().unwrap_or_default().to_owned();
        self.features.entry(system).or_insert_with(|| body["info"]["features"].clone())
    }
}

/// Makes a runner with this token.
pub(super) fn add(world: &mut World, token: &str) -> u64 {
    let id = world.runners.values().map(|runner| runner.id).max().unwrap_or(0) + 1;
    world.runners.insert(token.to_owned(), Runner { id, features: BTreeMap::new() });
    id
}

/// `POST runners/verify`.
pub(super) fn verify(world: &mut World, body: &Value) -> Answer {
    let Some(token) = body["token"].as_str() else { return answer::missing("token") };
    let Some(runner) = world.runners.get_mut(token) else { return answer::error(StatusCode::FORBIDDEN, "") };
    runner.hear(body);
    answer::json(StatusCode::OK, &details(runner.id, token))
}

/// `POST runners`, with a registration token.
pub(super) fn register(world: &mut World, body: &Value) -> Answer {
    let Some(token) = body["token"].as_str() else { return answer::missing("token") };
    if token != world.registration_token {
        return answer::error(StatusCode::FORBIDDEN, "");
    }
    let made = format!("glrtr-{:020}", world.runners.len() + 1);
    let id = add(world, &made);
    answer::json(StatusCode::CREATED, &details(id, &made))
}

/// `DELETE runners`.
pub(super) fn unregister(world: &mut World, body: &Value) -> Answer {
    let Some(token) = body["token"].as_str() else { return answer::missing("token") };
    if world.runners.remove(token).is_none() {
        return answer::error(StatusCode::FORBIDDEN, "");
    }
    answer::no_content()
}

/// `DELETE runners/managers`: one process of a runner, which stays itself.
pub(super) fn unregister_manager(world: &mut World, body: &Value) -> Answer {
    let Some(token) = body["token"].as_str() else { return answer::missing("token") };
    let Some(system) = body["system_id"].as_str() else { return answer::missing("system_id") };
    let Some(runner) = world.runners.get_mut(token) else { return answer::error(StatusCode::FORBIDDEN, "") };
    if runner.features.remove(system).is_none() {
        return answer::error(StatusCode::NOT_FOUND, "");
    }
    answer::no_content()
}

fn details(id: u64, token: &str) -> Value {
    json!({ "id": id, "token": token, "token_expires_at": null })
}
