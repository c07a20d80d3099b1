//! Volumes, and where each container has them.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, ProjectedVolumeSource, SecretProjection, Volume, VolumeMount, VolumeProjection,
};
use runner_core::{Error, ErrorKind, Result};

use super::{PodPlan, text};
use crate::settings::is_same_path;

/// Where the agent and its socket are.
const RUNNER_DIR: &str = "/runner";

/// Where the helper finds the job.
const JOB_DIR: &str = "/run/runner/job";

/// Where the socket of the side channel is, and what comes over it.
const CHANNEL_DIR: &str = "/run/runner/channel";

/// The volumes of a pod, and the mounts of each kind of container.
pub(super) struct Layout {
    pub(super) volumes: Vec<Volume>,
    pub(super) helper: Vec<VolumeMount>,
    pub(super) build: Vec<VolumeMount>,
    pub(super) service: Vec<VolumeMount>,
}

impl Layout {
    pub(super) fn of(plan: &PodPlan<'_>) -> Result<Self> {
        let (added, shared) = added(plan)?;
        let name_for = |wanted: &str| {
            let mut name = wanted.to_owned();
            while added.iter().any(|volume| volume.name == name) {
                name.push_str("-0");
            }
            name
        };
        let (runner, job, builds) = (name_for("runner"), name_for("job"), name_for("builds"));
        let builds_dir = &plan.settings.builds_dir;
        let has_builds = shared.iter().any(|mount| is_same_path(&mount.mount_path, builds_dir));
        let mut volumes = vec![runner_volume(&runner), job_volume(&job, &plan.names.secrets)];
        let mut common = Vec::new();
        if !has_builds {
            volumes.push(empty_dir(&builds, None));
            common.push(mount(&builds, builds_dir));
        }
        common.extend(shared);
        let mut helper = vec![mount(&runner, RUNNER_DIR), read_only(mount(&job, JOB_DIR))];
        let mut build = vec![read_only(mount(&runner, RUNNER_DIR))];
        if plan.has_channel {
            let channel = name_for("channel");
            volumes.push(empty_dir(&channel, None));
            helper.push(mount(&channel, CHANNEL_DIR));
        }
        helper.extend(common.iter().cloned());
        build.extend(common.iter().cloned());
        volumes.extend(added);
        Ok(Self { volumes, helper, build, service: common })
    }
}

/// What the config adds. A volume that it names several times is mounted several times.
fn added(plan: &PodPlan<'_>) -> Result<(Vec<Volume>, Vec<VolumeMount>)> {
    let variables = &plan.job.variables;
    let config = &plan.config.volumes;
    let (mut volumes, mut mounts) = (Vec::<Volume>::new(), Vec::new());
    for entry in config.mounts() {
        let name = if entry.kind == "pvc" { variables.expand(entry.name) } else { entry.name.to_owned() };
        let mount_path = variables.expand(entry.path);
        if is_ours(&mount_path) {
            let text = format!("mount the volume {name}: {mount_path} is the runner's own");
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        if !volumes.iter().any(|volume| volume.name == name) {
            volumes.extend(config.volume(&entry, name.clone()));
        }
        mounts.push(VolumeMount {
            name,
            mount_path,
            sub_path: text(&variables.expand(entry.sub_path)),
            read_only: entry.read_only.then_some(true),
            mount_propagation: entry.propagation.and_then(text),
            ..VolumeMount::default()
        });
    }
    Ok((volumes, mounts))
}

/// Whether a path lies in a directory of ours. A variable of the job may be part of it, so it is taken apart.
fn is_ours(path: &str) -> bool {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.starts_with(&["runner"]) || parts.starts_with(&["run", "runner"])
}

fn runner_volume(name: &str) -> Volume {
    empty_dir(name, Some("Memory"))
}

fn empty_dir(name: &str, medium: Option<&str>) -> Volume {
    let source = EmptyDirVolumeSource { medium: medium.map(ToOwned::to_owned), size_limit: None };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

fn job_volume(name: &str, secrets: &[String]) -> Volume {
    let source = |secret: &String| VolumeProjection {
        secret: Some(SecretProjection { name: secret.clone(), ..SecretProjection::default() }),
        ..VolumeProjection::default()
    };
    let sources = secrets.iter().map(source).collect();
    let projected = ProjectedVolumeSource { sources: Some(sources), default_mode: None };
    Volume { name: name.to_owned(), projected: Some(projected), ..Volume::default() }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn read_only(mount: VolumeMount) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount }
}
