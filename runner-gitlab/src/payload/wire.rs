//! The job as the server writes it. Most of it may be null, and what is not known is left alone.

use runner_core::Secret;
use serde::Deserialize;

use super::lenient::{Text, Texts, nullable};

/// What is needed to tell the server that a job cannot be read.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) id: u64,
    pub(super) token: Secret,
}

/// The whole job.
#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    pub(super) id: u64,
    pub(super) token: Secret,
    #[serde(default = "yes", deserialize_with = "nullable")]
    pub(super) allow_git_fetch: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) job_info: JobInfo,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) git_info: GitInfo,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) runner_info: RunnerInfo,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) variables: Vec<Variable>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) steps: Vec<Step>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) hooks: Vec<Hook>,
    #[serde(default)]
    pub(super) image: Option<Image>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) services: Vec<Service>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) artifacts: Vec<Artifact>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) cache: Vec<Cache>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) credentials: Vec<Credential>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) dependencies: Vec<Dependency>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) features: Features,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) inputs: Vec<Input>,
    /// Steps of another kind: a text that holds JSON.
    #[serde(default)]
    pub(super) run: serde_json::Value,
    /// Secrets that the runner is to fetch.
    #[serde(default)]
    pub(super) secrets: serde_json::Value,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct JobInfo {
    #[serde(deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) stage: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) project_id: u64,
    #[serde(deserialize_with = "nullable")]
    pub(super) project_name: String,
    pub(super) time_in_queue_seconds: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GitInfo {
    #[serde(deserialize_with = "nullable")]
    pub(super) repo_url: String,
    pub(super) repo_object_format: Option<String>,
    #[serde(rename = "ref", deserialize_with = "nullable")]
    pub(super) reference: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) ref_type: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) sha: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) before_sha: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) refspecs: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) depth: u32,
    #[serde(deserialize_with = "nullable")]
    pub(super) protected: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RunnerInfo {
    /// The job's timeout, in seconds.
    pub(super) timeout: Option<u64>,
}

#[expect(clippy::struct_excessive_bools, reason = "these are GitLab's")]
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Variable {
    #[serde(deserialize_with = "nullable")]
    pub(super) key: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) value: Text,
    #[serde(deserialize_with = "nullable")]
    pub(super) public: bool,
    #[serde(deserialize_with = "nullable")]
    pub(super) masked: bool,
    #[serde(deserialize_with = "nullable")]
    pub(super) file: bool,
    #[serde(deserialize_with = "nullable")]
    pub(super) raw: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Step {
    #[serde(deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) script: Texts,
    pub(super) timeout: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub(super) when: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) allow_failure: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Hook {
    #[serde(deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) script: Texts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Image {
    #[serde(deserialize_with = "nullable")]
    pub(super) name: String,
    pub(super) entrypoint: Option<Vec<String>>,
    #[serde(deserialize_with = "nullable")]
    pub(super) pull_policy: Texts,
    #[serde(deserialize_with = "nullable")]
    pub(super) executor_opts: ExecutorOptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ExecutorOptions {
    #[serde(deserialize_with = "nullable")]
    pub(super) docker: DockerOptions,
    #[serde(deserialize_with = "nullable")]
    pub(super) kubernetes: KubernetesOptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DockerOptions {
    #[serde(deserialize_with = "nullable")]
    pub(super) platform: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) user: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KubernetesOptions {
    #[serde(deserialize_with = "nullable")]
    pub(super) user: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    #[serde(flatten)]
    pub(super) image: Image,
    #[serde(deserialize_with = "nullable")]
    pub(super) alias: String,
    pub(super) command: Option<Texts>,
    #[serde(deserialize_with = "nullable")]
    pub(super) variables: Vec<Variable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Artifact {
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) untracked: bool,
    #[serde(deserialize_with = "nullable")]
    pub(super) paths: Texts,
    #[serde(deserialize_with = "nullable")]
    pub(super) exclude: Texts,
    #[serde(deserialize_with = "nullable")]
    pub(super) when: String,
    #[serde(rename = "artifact_type", deserialize_with = "nullable")]
    pub(super) kind: String,
    #[serde(rename = "artifact_format", deserialize_with = "nullable")]
    pub(super) format: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) expire_in: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cache {
    #[serde(deserialize_with = "nullable")]
    pub(super) key: Text,
    #[serde(deserialize_with = "nullable")]
    pub(super) untracked: bool,
    #[serde(deserialize_with = "nullable")]
    pub(super) policy: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) paths: Texts,
    #[serde(deserialize_with = "nullable")]
    pub(super) when: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) fallback_keys: Texts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Credential {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub(super) kind: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) url: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) username: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) password: Secret,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Dependency {
    pub(super) id: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    pub(super) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) token: Secret,
    pub(super) artifacts_file: Option<ArtifactsFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ArtifactsFile {
    #[serde(deserialize_with = "nullable")]
    pub(super) filename: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) size: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Features {
    #[serde(deserialize_with = "nullable")]
    pub(super) trace_sections: bool,
    #[serde(deserialize_with = "nullable")]
    pub(super) token_mask_prefixes: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) failure_reasons: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) two_phase_job_commit: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    #[serde(deserialize_with = "nullable")]
    pub(super) key: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) value: InputValue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InputValue {
    pub(super) content: serde_json::Value,
}
