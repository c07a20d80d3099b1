//! The payload of a job, complete as GitLab sends it: with its nulls, its numbers that are strings and its JSON in a string.

use serde_json::{Value, json};

/// What stands for the token until the job is handed out.
const TOKEN: &str = "[token of the job]";
/// What stands for the address of the server.
const URL: &str = "[address of the server]";

/// The failure reasons that GitLab knows.
const FAILURE_REASONS: [&str; 18] = [
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "runner_system_failure",
    "missing_dependency_failure",
    "runner_unsupported",
    "stale_schedule",
    "job_execution_timeout",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
    "forward_deployment_failure",
    "user_blocked",
    "project_deleted",
    "image_pull_failure",
    "job_router_failure",
];

/// Builds the payload of a job: what is not said is as GitLab gives it for a job that has only a script.
#[derive(Debug, Clone)]
pub struct JobPayload {
    value: Value,
}

impl JobPayload {
    /// A job that prints its name, of the project `group/project`.
    pub fn new(name: &str) -> Self {
        let mut value = skeleton(name);
        value["variables"] = variables(name);
        Self { value }.script(["echo \"$CI_JOB_NAME\""])
    }

    /// The commands of `script`.
    #[must_use]
    pub fn script<'a>(mut self, commands: impl IntoIterator<Item = &'a str>) -> Self {
        let timeout = self.value["runner_info"]["timeout"].clone();
        self.replace_step(step("script", commands, &timeout, "on_success"));
        self
    }

    /// The commands of `after_script`.
    #[must_use]
    pub fn after_script<'a>(mut self, commands: impl IntoIterator<Item = &'a str>) -> Self {
        self.replace_step(step("after_script", commands, &json!(300), "always"));
        self
    }

    fn replace_step(&mut self, step: Value) {
        if let Some(steps) = self.value["steps"].as_array_mut() {
            steps.retain(|other| other["name"] != step["name"]);
            steps.push(step);
        }
    }

    /// A script around a phase, such as `pre_get_sources_script`.
    #[must_use]
    pub fn hook<'a>(self, name: &str, commands: impl IntoIterator<Item = &'a str>) -> Self {
        let commands: Vec<_> = commands.into_iter().collect();
        self.push("hooks", json!({ "name": name, "script": commands }))
    }

    /// One more variable; of two with the same key the last one counts.
    #[must_use]
    pub fn variable(self, key: &str, value: &str) -> Self {
        self.push("variables", variable(key, value, true, false))
    }

    /// One more variable whose value must not be seen.
    #[must_use]
    pub fn masked(self, key: &str, value: &str) -> Self {
        self.push("variables", variable(key, value, false, true))
    }

    /// One more variable whose value the job finds in a file.
    #[must_use]
    pub fn file(self, key: &str, value: &str) -> Self {
        let mut variable = variable(key, value, false, false);
        variable["file"] = json!(true);
        self.push("variables", variable)
    }

    /// The image of the job.
    #[must_use]
    pub fn image(self, name: &str) -> Self {
        let image = json!({ "name": name, "entrypoint": null, "executor_opts": {}, "ports": [], "pull_policy": null });
        self.with("image", image)
    }

    /// One more service, without a name of its own.
    #[must_use]
    pub fn service(self, name: &str) -> Self {
        self.push(
            "services",
            json!({
                "name": name, "entrypoint": null, "executor_opts": {}, "ports": [], "pull_policy": null, "alias": null,
                "command": null, "variables": null
            }),
        )
    }

    /// An archive of these paths.
    #[must_use]
    pub fn artifacts<'a>(mut self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let paths: Vec<_> = paths.into_iter().collect();
        if self.value["artifacts"].is_null() {
            self.value["artifacts"] = json!([]);
        }
        self.push(
            "artifacts",
            json!({
                "name": null, "untracked": null, "paths": paths, "exclude": null, "when": null, "expire_in": null,
                "artifact_type": "archive", "artifact_format": "zip"
            }),
        )
    }

    /// One more cache of these paths.
    #[must_use]
    pub fn cache<'a>(self, key: &str, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let paths: Vec<_> = paths.into_iter().collect();
        self.push(
            "cache",
            json!({
                "key": key, "untracked": false, "paths": paths, "policy": "pull-push", "when": "on_success",
                "fallback_keys": []
            }),
        )
    }

    /// An earlier job whose artifacts this one gets. Without a file, `artifacts_file` is not there at all.
    #[must_use]
    pub fn dependency(self, id: u64, name: &str, file: Option<(&str, u64)>) -> Self {
        let mut dependency = json!({ "id": id, "name": name, "token": TOKEN });
        if let Some((filename, size)) = file {
            dependency["artifacts_file"] = json!({ "filename": filename, "size": size });
        }
        self.push("dependencies", dependency)
    }

    /// The commit to check out, of the repository `path` (`group/project.git`) that this server serves.
    #[must_use]
    pub fn commit(mut self, path: &str, reference: &str, sha: &str) -> Self {
        let place = URL.to_owned() + "/" + path;
        self.value["git_info"]["repo_url"] = json!(place.clone());
        self.value["git_info"]["ref"] = json!(reference);
        self.value["git_info"]["sha"] = json!(sha);
        self.value["git_info"]["refspecs"] = json!([
            "+refs/pipelines/501:refs/pipelines/501",
            format!("+refs/heads/{reference}:refs/remotes/origin/{reference}")
        ]);
        self.variable("CI_REPOSITORY_URL", &place)
            .variable("CI_COMMIT_SHA", sha)
            .variable("CI_COMMIT_REF_NAME", reference)
    }

    /// How long the job may take, in seconds.
    #[must_use]
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.value["runner_info"]["timeout"] = json!(seconds);
        if let Some(script) = self.value["steps"].as_array_mut().and_then(|steps| steps.first_mut()) {
            script["timeout"] = json!(seconds);
        }
        self
    }

    /// Any other field of the payload, by its name.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.value[field] = value;
        self
    }

    /// One more entry of a field that is a list.
    #[must_use]
    pub fn push(mut self, field: &str, entry: Value) -> Self {
        if let Some(list) = self.value[field].as_array_mut() {
            list.push(entry);
        }
        self
    }

    pub(super) fn into_value(self) -> Value {
        self.value
    }
}

fn step<'a>(name: &str, commands: impl IntoIterator<Item = &'a str>, timeout: &Value, when: &str) -> Value {
    let commands: Vec<_> = commands.into_iter().collect();
    let may_fail = name == "after_script";
    json!({ "name": name, "script": commands, "timeout": timeout, "when": when, "allow_failure": may_fail })
}

fn variable(key: &str, value: &str, public: bool, masked: bool) -> Value {
    json!({ "key": key, "value": value, "public": public, "masked": masked })
}

fn skeleton(name: &str) -> Value {
    json!({
        "id": 0,
        "token": TOKEN,
        "allow_git_fetch": true,
        "job_info": {
            "id": 0, "name": name, "stage": "test", "project_id": 7, "project_name": "project",
            "project_full_path": "group/project", "namespace_id": 3, "root_namespace_id": 3, "organization_id": 1,
            "user_id": 2, "time_in_queue_seconds": 1, "project_jobs_running_on_instance_runners_count": "+Inf",
            "queue_size": 0, "queue_depth": 0
        },
        "git_info": {
            "repo_url": format!("{URL}/group/project.git"), "repo_object_format": "sha1", "ref": "main",
            "sha": "91956efe32fb7bef54f378d90c9bd74c19025872", "before_sha": "0".repeat(40), "ref_type": "branch",
            "refspecs": ["+refs/pipelines/501:refs/pipelines/501", "+refs/heads/main:refs/remotes/origin/main"],
            "depth": 20, "protected": true
        },
        "runner_info": { "timeout": 3600, "runner_session_url": null },
        "inputs": [],
        "variables": [],
        "steps": [],
        "hooks": [],
        "image": null,
        "services": [],
        "artifacts": null,
        "cache": [],
        "credentials": [{
            "type": "registry", "url": "registry.example.invalid", "username": "gitlab-ci-token", "password": TOKEN
        }],
        "dependencies": [],
        "features": {
            "trace_sections": true, "token_mask_prefixes": ["glpat-", "glcbt-", "glrt-"],
            "failure_reasons": FAILURE_REASONS
        },
        "policy_options": null,
        "run": null
    })
}

fn variables(name: &str) -> Value {
    json!([
        variable("CI_PIPELINE_ID", "501", true, false),
        variable("CI_JOB_ID", "0", true, false),
        variable("CI_JOB_TOKEN", TOKEN, false, true),
        variable("CI_JOB_NAME", name, true, false),
        variable("CI_JOB_STAGE", "test", true, false),
        variable("CI", "true", true, false),
        variable("GITLAB_CI", "true", true, false),
        variable("CI_SERVER_URL", URL, true, false),
        variable("CI_API_V4_URL", &format!("{URL}/api/v4"), true, false),
        variable("CI_PROJECT_ID", "7", true, false),
        variable("CI_PROJECT_NAME", "project", true, false),
        variable("CI_PROJECT_PATH", "group/project", true, false),
        variable("CI_COMMIT_REF_NAME", "main", true, false),
        variable("CI_DEPENDENCY_PROXY_PASSWORD", TOKEN, false, true)
    ])
}

/// The payload as a runner gets it: with its id, its token and the addresses of this server.
pub(super) fn complete(mut payload: Value, id: u64, token: &str, url: &str) -> Value {
    let with_login = url.replacen("://", &format!("://gitlab-ci-token:{token}@"), 1);
    fill(&mut payload["git_info"]["repo_url"], token, &with_login);
    if let Some(variables) = payload["variables"].as_array_mut() {
        for variable in variables {
            if variable["key"] == "CI_JOB_ID" {
                variable["value"] = json!(id.to_string());
            }
            if variable["key"] == "CI_REPOSITORY_URL" {
                fill(variable, token, &with_login);
            }
        }
    }
    payload["id"] = json!(id);
    payload["job_info"]["id"] = json!(id);
    fill(&mut payload, token, url);
    payload
}

fn fill(value: &mut Value, token: &str, url: &str) {
    match value {
        Value::String(text) => *text = text.replace(TOKEN, token).replace(URL, url),
        Value::Array(list) => list.iter_mut().for_each(|value| fill(value, token, url)),
        Value::Object(fields) => fields.values_mut().for_each(|value| fill(value, token, url)),
        _ => {}
    }
}
