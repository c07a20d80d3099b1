//! The jobs as the server hands them out.

use std::time::Duration;

use runner_testkit::gitlab::JobPayload;
use serde_json::json;

use super::Stage;
use crate::{
    BUSYBOX,
    soak::{
        Kind, Random, SoakJob,
        kinds::{ARTIFACT, SERVE},
    },
};

/// What a pod waits for before it can run its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// For a node, so long after the job was accepted.
    Node(Duration),
    /// For the image of the build container, which its registry refuses at first.
    Image,
}

impl Wait {
    /// That of the next job.
    pub(super) fn draw(random: &mut Random) -> Option<Self> {
        match random.below(12) {
            0 | 1 => Some(Self::Node(Duration::from_millis(random.below(12_000)))),
            2 => Some(Self::Image),
            _ => None,
        }
    }
}

impl Stage {
    /// A job for the queue.
    pub(super) fn payload(&self, job: &SoakJob, wait: Option<Wait>) -> JobPayload {
        let mut payload = JobPayload::new(&job.id).image(BUSYBOX).variable("GIT_STRATEGY", "none");
        for step in &job.spec().steps {
            let commands: Vec<&str> = step.script.iter().map(String::as_str).collect();
            payload =
                if step.name == "script" { payload.script(commands) } else { payload.after_script(commands) };
        }
        if job.kind == Kind::Serviced {
            let service = json!({ "name": BUSYBOX, "alias": "backend", "command": ["sh", "-c", SERVE] });
            payload = payload.push("services", service);
        }
        if job.kind == Kind::Uploading {
            payload = payload.artifacts([ARTIFACT]);
        }
        match (wait, &self.places) {
            (None, _) | (_, None) => payload,
            (Some(Wait::Node(_)), Some(places)) => {
                let selected = format!("{}=yes", places.label(&job.id));
                payload.variable("KUBERNETES_NODE_SELECTOR_SOAK", &selected)
            }
            (Some(Wait::Image), Some(places)) => payload.image(&places.image()),
        }
    }
}
