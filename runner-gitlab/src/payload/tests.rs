use runner_core::{Secret, job::PullPolicy};
use serde_json::{Value, json};

use super::*;
use crate::connection::Identity;

/// What GitLab sends for a small job, with null wherever it sends one.
fn sent() -> Value {
    json!({
        "id": 7, "token": "glcbt-7", "allow_git_fetch": true,
        "job_info": {
            "id": 7, "name": "build", "stage": "compile", "project_id": 3, "project_name": "app",
            "time_in_queue_seconds": 1.5, "project_jobs_running_on_instance_runners_count": "+Inf"
        },
        "git_info": {
            "repo_url": "https://gitlab-ci-token:glcbt-7@gitlab.example/group/app.git", "repo_object_format": "sha1",
            "ref": "main", "sha": "0f1e", "before_sha": "0000", "ref_type": "branch",
            "refspecs": ["+refs/pipelines/9:refs/pipelines/9"], "depth": 20, "protected": null
        },
        "runner_info": {"timeout": 3600, "runner_session_url": null},
        "inputs": [],
        "variables": [
            {"key": "A", "value": "1", "public": true, "file": false, "masked": false, "raw": false},
            {"key": "A", "value": null, "public": true, "masked": null},
            {"key": "KEY", "value": "k", "file": true, "masked": true, "raw": true, "public": false}
        ],
        "steps": [
            {"name": "script", "script": ["make"], "timeout": 3600, "when": "on_success", "allow_failure": false},
            {"name": "after_script", "script": ["echo"], "timeout": 300, "when": "always", "allow_failure": true}
        ],
        "hooks": [{"name": "pre_get_sources_script", "script": ["date"]}],
        "image": {"name": "alpine", "entrypoint": null, "ports": [], "executor_opts": {}, "pull_policy": null},
        "services": [{
            "name": "postgres", "alias": "db, other", "entrypoint": null, "command": null, "ports": [],
            "variables": null, "executor_opts": {"kubernetes": {"user": "1000:2000"}}, "pull_policy": ["always"]
        }],
        "artifacts": [
            {"name": null, "untracked": null, "paths": ["out/"], "exclude": null, "when": null,
             "expire_in": null, "artifact_type": "archive", "artifact_format": "zip"},
            {"name": "junit.xml", "untracked": false, "paths": ["*.xml"], "when": "always",
             "expire_in": "1 week", "artifact_type": "junit", "artifact_format": "gzip"}
        ],
        "cache": [{"key": "k", "untracked": false, "unprotect": false, "policy": "pull", "paths": ["c/"],
                   "when": "always", "fallback_keys": ["f"]}],
        "credentials": [{"type": "registry", "url": "r.example", "username": "u", "password": "p"}],
        "dependencies": [
            {"id": 5, "name": "first", "token": "glcbt-7", "artifacts_file": {"filename": "a.zip", "size": 9}},
            {"id": 6, "name": "none", "token": "glcbt-7"}
        ],
        "features": {"trace_sections": true, "token_mask_prefixes": ["glpat-"], "two_phase_job_commit": true,
                     "failure_reasons": ["unknown_failure", "script_failure", "not_known_here"]},
        "secrets": {}, "run": null, "policy_options": null
    })
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut payload = sent();
    for (pointer, value) in changes {
        *payload.pointer_mut(pointer).unwrap() = value.clone();
    }
    payload
}

fn read_for(payload: &Value, connection: &Connection, executor: &str) -> Read {
    read(payload.to_string().as_bytes(), connection, executor).unwrap()
}

fn job(payload: &Value) -> JobSpec {
    match read_for(payload, &Connection::new("https://gitlab.example"), "kubernetes") {
        Read::Job(job) => *job,
        Read::Unusable(unusable) => panic!("{}", unusable.error.chain()),
    }
}

fn refusal(payload: &Value) -> Unusable {
    match read_for(payload, &Connection::new("https://gitlab.example"), "kubernetes") {
        Read::Job(job) => panic!("{job:?} was taken"),
        Read::Unusable(unusable) => *unusable,
    }
}

#[test]
fn a_job_is_read_as_a_whole() {
    let job = job(&sent());
    assert_eq!((job.id.as_str(), job.name.as_str(), job.stage.as_str()), ("7", "build", "compile"));
    assert_eq!(job.token, Secret::new("glcbt-7"));
    assert_eq!(job.project, Project { id: 3, name: "app".into() });
    assert_eq!(job.git.refspecs, ["+refs/pipelines/9:refs/pipelines/9"]);
    assert_eq!((job.git.depth, job.git.protected), (20, false));
    assert_eq!(job.timeout, Duration::from_hours(1));
    assert_eq!(job.queued, Some(Duration::from_millis(1500)));
    assert_eq!(job.steps[1].when, When::Always);
    assert_eq!(job.steps[1].timeout, Some(Duration::from_mins(5)));
    assert_eq!(job.hooks[0].name, HookName::PreGetSourcesScript);
    assert_eq!(job.image.as_ref().map(|image| image.name.as_str()), Some("alpine"));
    assert_eq!(job.caches[0].policy, CachePolicy::Pull);
    assert_eq!(job.caches[0].fallback_keys, ["f"]);
    assert_eq!(job.credentials[0].password, Secret::new("p"));
    assert_eq!(job.dependencies[0].file.as_ref().map(|file| file.size), Some(9));
    assert_eq!(job.dependencies[1].file, None);
    assert!(job.features.sections && job.features.two_phase_commit);
}

#[test]
fn what_is_null_is_as_if_it_was_missing() {
    let job = job(&sent());
    let archive = &job.artifacts[0];
    assert_eq!((archive.when, archive.untracked, archive.expire_in), (When::OnSuccess, false, None));
    assert_eq!(archive.name, None);
    assert_eq!(job.variables.value("A"), "");
    assert_eq!(job.services[0].command, None);
    assert_eq!(job.image.unwrap().pull_policies, []);
}

#[test]
fn everything_but_id_and_token_may_be_null_or_missing() {
    let Value::Object(all) = sent() else { panic!("no object") };
    for key in all.keys().filter(|key| !matches!(key.as_str(), "id" | "token")) {
        job(&with(&[(&format!("/{key}"), Value::Null)]));
        let mut without = all.clone();
        without.remove(key);
        job(&Value::Object(without));
    }
    let smallest = job(&json!({"id": 7, "token": "t"}));
    assert_eq!(smallest.timeout, Duration::from_hours(1));
    assert_eq!(smallest.variables, Variables::default());
}

#[test]
fn options_of_another_executor_are_not_taken() {
    let options =
        json!({"docker": {"user": "name", "platform": "linux/arm64"}, "kubernetes": {"user": 1000}});
    let payload = with(&[("/image/executor_opts", options)]);
    let image = |executor| match read_for(&payload, &Connection::new("https://gitlab.example"), executor) {
        Read::Job(job) => job.image.unwrap(),
        Read::Unusable(unusable) => panic!("{unusable:?}"),
    };
    assert_eq!(image("kubernetes").user.as_deref(), Some("1000"));
    assert_eq!(image("docker").user.as_deref(), Some("name"));
    assert_eq!(image("kubernetes").platform.as_deref(), Some("linux/arm64"));
}

#[test]
fn a_service_has_all_its_names_and_options() {
    let service = job(&sent()).services.remove(0);
    assert_eq!(service.aliases, ["db", "other"]);
    assert_eq!(service.image.user.as_deref(), Some("1000:2000"));
    assert_eq!(service.image.pull_policies, [PullPolicy::Always]);
}

#[test]
fn how_long_an_artifact_is_kept_is_read_as_people_write_it() {
    let kept = |text: &str| job(&with(&[("/artifacts/1/expire_in", json!(text))])).artifacts[1].expire_in;
    assert_eq!(kept("1 week"), Some(Duration::from_hours(168)));
    assert_eq!(kept("3600"), Some(Duration::from_hours(1)));
    assert_eq!(kept("never"), Some(FOREVER));
    let unusable = refusal(&with(&[("/artifacts/1/expire_in", json!("soon"))]));
    assert_eq!(unusable.error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_variable_may_stand_for_a_policy_and_for_a_time() {
    let mut payload =
        with(&[("/cache/0/policy", json!("$POLICY")), ("/artifacts/1/expire_in", json!("${KEEP}"))]);
    payload["variables"] = json!([{"key": "POLICY", "value": "push"}, {"key": "KEEP", "value": "2 days"}]);
    let job = job(&payload);
    assert_eq!(job.caches[0].policy, CachePolicy::Push);
    assert_eq!(job.artifacts[1].expire_in, Some(Duration::from_hours(48)));
}

#[test]
fn the_value_of_a_variable_that_is_no_policy_is_not_told() {
    for (pointer, place) in
        [("/cache/0/policy", "cache:policy"), ("/artifacts/1/expire_in", "artifacts:expire_in")]
    {
        let mut payload = with(&[(pointer, json!("$KEY"))]);
        payload["variables"] = json!([{"key": "KEY", "value": "hunter2"}]);
        let text = refusal(&payload).error.chain();
        assert!(text.contains(&format!("`{place}: $KEY`")), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_kind_of_a_ref_is_known() {
    let kind = |kind: &str, reference: &str| {
        let changes = [("/git_info/ref_type", json!(kind)), ("/git_info/ref", json!(reference))];
        job(&with(&changes)).git.ref_kind
    };
    assert_eq!(kind("tag", "v1"), RefKind::Tag);
    assert_eq!(kind("branch", "main"), RefKind::Branch);
    assert_eq!(kind("branch", "refs/merge-requests/1/head"), RefKind::MergeRequest);
}

#[test]
fn reasons_that_are_not_known_here_are_left_out_and_never_all() {
    let reasons = |reasons| job(&with(&[("/features/failure_reasons", reasons)])).features.failure_reasons;
    assert_eq!(
        reasons(json!(["unknown_failure", "script_failure", "not_known_here"])),
        [FailureReason::UnknownFailure, FailureReason::ScriptFailure]
    );
    assert_eq!(reasons(json!(["not_known_here"])), [FailureReason::UnknownFailure]);
    assert_eq!(reasons(Value::Null), []);
}

#[test]
fn a_job_that_may_not_fetch_clones_unless_it_says_otherwise() {
    let mut payload = with(&[("/allow_git_fetch", json!(false))]);
    assert_eq!(job(&payload).variables.value("GIT_STRATEGY"), "clone");
    payload["variables"] = json!([{"key": "GIT_STRATEGY", "value": "none"}]);
    assert_eq!(job(&payload).variables.value("GIT_STRATEGY"), "none");
}

#[test]
fn git_trusts_the_server_as_we_do() {
    let mut connection = Connection::new("https://gitlab.example");
    connection.ca = Some("PEM".into());
    connection.identity = Some(Identity { certificate: "CERT".into(), key: Secret::new("KEY") });
    let Read::Job(job) = read_for(&sent(), &connection, "kubernetes") else { panic!("refused") };
    for (key, value) in [
        ("CI_SERVER_TLS_CA_FILE", "PEM"),
        ("CI_SERVER_TLS_CERT_FILE", "CERT"),
        ("CI_SERVER_TLS_KEY_FILE", "KEY"),
    ] {
        let variable = job.variables.get(key).unwrap();
        assert_eq!((variable.value.as_str(), variable.file), (value, true));
    }
}

#[test]
fn a_job_with_what_is_not_done_is_refused_and_can_be_reported() {
    for (pointer, value, told) in [
        ("/run", json!("[{\"name\":\"a\",\"step\":\"b\"}]"), "`run`"),
        ("/secrets", json!({"A": {"vault": {}}}), "`secrets`"),
        ("/steps/0/when", json!("delayed"), "`when: delayed`"),
        ("/cache/0/policy", json!("teleport"), "`cache:policy: teleport`"),
        ("/hooks/0/name", json!("post_everything"), "`hooks: post_everything`"),
        ("/image/pull_policy", json!(["sometimes"]), "`pull_policy: sometimes`"),
    ] {
        let Unusable { job, error } = refusal(&with(&[(pointer, value)]));
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{pointer}");
        assert!(error.chain().contains(told), "{}", error.chain());
        assert_eq!((job.id.as_str(), job.token.expose()), ("7", "glcbt-7"));
        assert!(job.features.failure_reasons.contains(&FailureReason::ScriptFailure));
    }
}

#[test]
fn empty_steps_of_another_kind_are_none() {
    for empty in [json!(""), json!("null"), json!("[]"), json!([])] {
        job(&with(&[("/run", empty)]));
    }
}

#[test]
fn a_job_that_cannot_be_read_is_reported_without_its_secrets() {
    let Unusable { job, error } = refusal(&with(&[("/git_info/depth", json!("hunter2"))]));
    assert_eq!(job.id.as_str(), "7");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!error.chain().contains("hunter2"), "{}", error.chain());
}

#[test]
fn what_is_no_job_at_all_is_an_error() {
    let whole = sent().to_string();
    for body in ["", "<html>", "null", "[]", "{}", whole.split_at(300).0] {
        let error =
            read(body.as_bytes(), &Connection::new("https://gitlab.example"), "kubernetes").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{body}");
    }
}
