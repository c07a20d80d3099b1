//! The services of a job: what their containers get, and what is said of them at the end.

use std::collections::BTreeMap;

use futures_util::AsyncReadExt;
use runner_core::{JobSpec, agent::AwaitedService, log::Masks};

use super::course::Course;
use crate::{
    api::LogWanted,
    pod::service_key,
    record::Stored,
    settings::{JobSettings, ServiceSettings},
    status::{ContainerState, Judgement},
};

/// How long a service is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// So many lines of a service's log are shown.
const LINES: i64 = 100;

/// So many bytes of a service's log are shown.
const LONGEST: u64 = 32 << 10;

/// The Secret with the variables of the job for its services; none where there are no services.
pub(super) fn secret_name(stored: &Stored, settings: &JobSettings) -> Option<String> {
    (!settings.services.is_empty()).then(|| format!("{}-services", stored.name()))
}

/// The variables that the services of a job get, with their values.
pub(super) fn variables(job: &JobSpec) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for variable in job.variables.0.iter().filter(|variable| !variable.file) {
        // Only what Kubernetes takes for the name of a variable.
        if service_key(0, &variable.key).is_some() {
            values.insert(variable.key.clone(), job.variables.value(&variable.key));
        }
    }
    values
}

/// The variables of the services themselves, by the keys that the pod refers to.
pub(super) fn own_variables(job: &JobSpec, settings: &JobSettings) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (index, service) in settings.services.iter().enumerate() {
        for variable in &service.variables.0 {
            if let Some(key) = service_key(index, &variable.key) {
                let value =
                    if variable.raw { variable.value.clone() } else { job.variables.expand(&variable.value) };
                values.insert(key, value);
            }
        }
    }
    values
}

/// The services that the agent waits for.
pub(super) fn awaited(settings: &JobSettings) -> Vec<AwaitedService> {
    let with_port = |service: &ServiceSettings| {
        let port = service.health_port.or_else(|| usual_port(&service.container.image))?;
        Some(AwaitedService { name: service.container.image.clone(), port, patience: PATIENCE })
    };
    settings.services.iter().filter_map(with_port).collect()
}

/// The port on which a service of a well-known image accepts connections. What an image exposes stands in the registry
/// alone, which the manager does not talk to.
fn usual_port(image: &str) -> Option<u16> {
    let name = image.split(['@', ':']).next()?.rsplit('/').next()?;
    Some(match name {
        "postgres" | "postgresql" | "postgis" | "timescaledb" => 5432,
        "mysql" | "mariadb" | "percona" => 3306,
        "redis" | "valkey" | "keydb" => 6379,
        "mongo" | "mongodb" => 27017,
        "memcached" => 11211,
        "rabbitmq" => 5672,
        "elasticsearch" | "opensearch" => 9200,
        "minio" => 9000,
        "docker" => 2375,
        "selenium" | "standalone-chrome" | "standalone-firefox" => 4444,
        _ => return None,
    })
}

/// What the log says of services at its end: those that did not come up or ended, and with `CI_DEBUG_SERVICES` all.
pub(super) async fn epilogue(
    course: &Course,
    missing: &[usize],
    judgement: Option<&Judgement>,
) -> Vec<String> {
    let Some(judgement) = judgement else { return Vec::new() };
    let shows_all = course.job.variables.is_true("CI_DEBUG_SERVICES");
    let awaited: Vec<String> = awaited(&course.settings).into_iter().map(|service| service.name).collect();
    let is_missing =
        |image: &str| missing.iter().any(|number| awaited.get(*number).is_some_and(|name| name == image));
    let mut lines = Vec::new();
    for ((container, state), service) in judgement.services.iter().zip(&course.settings.services) {
        let image = &service.container.image;
        let ended = match state {
            ContainerState::Ended { exit_code, reason, .. }
                if *exit_code != 0 && course.wished().is_none() =>
            {
                Some(format!("service {image} ended by itself: {reason}, exit code {exit_code}"))
            }
            _ => None,
        };
        if ended.is_none() && !is_missing(image) && !shows_all {
            continue;
        }
        lines.extend(ended.map(|text| format!("*** WARNING: {text}")));
        lines.extend(log_of(course, container, image).await);
    }
    lines
}

async fn log_of(course: &Course, container: &str, image: &str) -> Vec<String> {
    let wanted = LogWanted { container, follow: false, since: None, tail: Some(LINES) };
    let (namespace, pod) = (&course.stored.namespace, &course.stored.record.pod);
    let stream = match course.cluster.log(namespace, pod, wanted).await {
        Ok(stream) => stream,
        Err(error) => return vec![format!("the log of service {image} is not to be had: {error}")],
    };
    let mut bytes = Vec::new();
    // What was read before it broke off is shown.
    drop(stream.take(LONGEST).read_to_end(&mut bytes).await);
    let text = Masks::of_job(&course.job).mask(&String::from_utf8_lossy(&bytes));
    if text.trim().is_empty() {
        return vec![format!("service {image} has printed nothing")];
    }
    text.lines().map(|line| format!("[service:{image}] {line}")).collect()
}
