//! A job as the server sends it, made into a [`JobSpec`].

use std::time::Duration;

use runner_core::{
    Error, ErrorKind, FailureReason, JobId, JobSpec, Result,
    job::{
        ArtifactFormat, ArtifactSpec, CachePolicy, CacheSpec, Credential, Dependency, DependencyFile,
        GitInfo, Hook, HookName, Project, RefKind, SourceFeatures, Step, Variable, Variables, When,
        artifact::FOREVER, duration,
    },
};
use serde_json::{Value, from_slice};

use crate::connection::Connection;

mod image;
mod inputs;
mod lenient;
mod wire;

use lenient::{Text, unsupported, word};

const WHEN: [(&str, When); 3] =
    [("on_success", When::OnSuccess), ("on_failure", When::OnFailure), ("always", When::Always)];

/// A job that cannot be run as it is.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// The job, with no more than what is needed to report that it failed.
    pub(crate) job: JobSpec,
    /// Why; one line for whoever wrote the job.
    pub(crate) error: Error,
}

/// What the body of an answer holds.
#[derive(Debug)]
pub(crate) enum Read {
    /// A job.
    Job(Box<JobSpec>),
    /// A job that must be ended as failed.
    Unusable(Box<Unusable>),
}

/// Reads a job for an executor of that name.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where not even its id and its token can be read, so that nobody can be told.
pub(crate) fn read(body: &[u8], connection: &Connection, executor: &str) -> Result<Read> {
    let head: wire::Head = from_slice(body).map_err(|cause| unreadable(&cause))?;
    let read = from_slice(body)
        .map_err(|cause| unreadable(&cause))
        .and_then(|payload| convert(payload, connection, executor));
    Ok(match read {
        Ok(job) => Read::Job(Box::new(job)),
        Err(error) => {
            let features = from_slice::<OnlyFeatures>(body).unwrap_or_default().features;
            let mut job = JobSpec { token: head.token, ..JobSpec::new(head.id.to_string(), "") };
            job.features = source_features(features);
            Read::Unusable(Box::new(Unusable { job, error }))
        }
    })
}

#[derive(Default, serde::Deserialize)]
struct OnlyFeatures {
    #[serde(default, deserialize_with = "lenient::nullable")]
    features: wire::Features,
}

/// The cause itself could quote a secret: what it says is only where to look.
fn unreadable(cause: &serde_json::Error) -> Error {
    let what = if cause.is_eof() { "it ends too early" } else { "it is not as GitLab writes one" };
    Error::new(ErrorKind::Corrupt, format!("read a job: {what}"))
        .with("line", cause.line())
        .with("column", cause.column())
}

fn convert(payload: wire::Payload, connection: &Connection, executor: &str) -> Result<JobSpec> {
    refuse_what_is_not_done(&payload)?;
    let mut steps = payload.steps.into_iter().map(step).collect::<Result<Vec<_>>>()?;
    inputs::fill(&mut steps, &payload.inputs)?;
    let mut all = of_connection(connection, payload.allow_git_fetch);
    all.extend(read_variables(payload.variables));
    let variables = Variables(all);
    let info = payload.job_info;
    let mut job = JobSpec {
        token: payload.token,
        stage: info.stage,
        project: Project { id: info.project_id, name: info.project_name },
        git: git(payload.git_info),
        steps,
        hooks: payload.hooks.into_iter().map(hook).collect::<Result<_>>()?,
        image: image::of_job(payload.image, executor)?,
        services: payload
            .services
            .into_iter()
            .map(|service| image::service(service, executor))
            .collect::<Result<_>>()?,
        caches: payload.cache.into_iter().map(|spec| cache(spec, &variables)).collect::<Result<_>>()?,
        artifacts: payload
            .artifacts
            .into_iter()
            .map(|spec| artifact(spec, &variables))
            .collect::<Result<_>>()?,
        dependencies: payload.dependencies.into_iter().map(dependency).collect(),
        credentials: payload.credentials.into_iter().map(credential).collect(),
        features: source_features(payload.features),
        queued: info.time_in_queue_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        ..JobSpec::new(payload.id.to_string(), info.name)
    };
    if let Some(seconds) = payload.runner_info.timeout.filter(|seconds| *seconds > 0) {
        job.timeout = Duration::from_secs(seconds);
    }
    job.variables = variables;
    Ok(job)
}

/// Jobs of kinds that need what is not there would otherwise run without it, and look like a success.
fn refuse_what_is_not_done(payload: &wire::Payload) -> Result<()> {
    let is_given = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !matches!(text.trim(), "" | "null" | "[]" | "{}"),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    if is_given(&payload.run) {
        return Err(unsupported("`run`: write its steps as a `script`"));
    }
    if is_given(&payload.secrets) {
        return Err(unsupported("`secrets`: fetch them in the `script`, with an id token"));
    }
    Ok(())
}

/// Variables that are not the server's but follow from how it is reached. They come first: what a job says counts.
fn of_connection(connection: &Connection, allow_git_fetch: bool) -> Vec<Variable> {
    let mut variables = Vec::new();
    if !allow_git_fetch {
        variables.push(Variable::raw("GIT_STRATEGY", "clone"));
    }
    let mut file = |key: &str, value: &str| {
        variables.push(Variable { file: true, public: false, ..Variable::raw(key, value) });
    };
    if let Some(ca) = &connection.ca {
        file("CI_SERVER_TLS_CA_FILE", ca);
    }
    if let Some(identity) = &connection.identity {
        file("CI_SERVER_TLS_CERT_FILE", &identity.certificate);
        file("CI_SERVER_TLS_KEY_FILE", identity.key.expose());
    }
    variables
}

fn read_variables(variables: Vec<wire::Variable>) -> Vec<Variable> {
    let read = |variable: wire::Variable| {
        let wire::Variable { key, value: Text(value), public, masked, file, raw } = variable;
        Variable { key, value, public, masked, file, raw }
    };
    variables.into_iter().filter(|variable| !variable.key.is_empty()).map(read).collect()
}

fn git(git: wire::GitInfo) -> GitInfo {
    let ref_kind = match git.ref_type.as_str() {
        "tag" => RefKind::Tag,
        _ if git.reference.starts_with("refs/merge-requests/") => RefKind::MergeRequest,
        _ => RefKind::Branch,
    };
    GitInfo {
        repo_url: git.repo_url,
        reference: git.reference,
        ref_kind,
        sha: git.sha,
        before_sha: git.before_sha,
        refspecs: git.refspecs,
        depth: git.depth,
        object_format: git.repo_object_format.filter(|format| !format.is_empty()),
        protected: git.protected,
        ..GitInfo::default()
    }
}

fn step(step: wire::Step) -> Result<Step> {
    Ok(Step {
        when: word("when", &step.when, &WHEN)?,
        name: step.name,
        script: step.script.0,
        timeout: step.timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        allow_failure: step.allow_failure,
    })
}

fn hook(hook: wire::Hook) -> Result<Hook> {
    let name = match hook.name.as_str() {
        "pre_get_sources_script" => HookName::PreGetSourcesScript,
        "post_get_sources_script" => HookName::PostGetSourcesScript,
        "pre_build_script" => HookName::PreBuildScript,
        "post_build_script" => HookName::PostBuildScript,
        other => return Err(unsupported(format_args!("`hooks: {other}`"))),
    };
    Ok(Hook { name, script: hook.script.0 })
}

fn cache(cache: wire::Cache, variables: &Variables) -> Result<CacheSpec> {
    let policies =
        [("pull-push", CachePolicy::PullPush), ("pull", CachePolicy::Pull), ("push", CachePolicy::Push)];
    // An error shows what is written and not what stands in a variable.
    let policy = word("cache:policy", &variables.expand(&cache.policy), &policies)
        .map_err(|_| unsupported(format_args!("`cache:policy: {}`", cache.policy)))?;
    Ok(CacheSpec {
        policy,
        when: word("cache:when", &cache.when, &WHEN)?,
        key: cache.key.0,
        fallback_keys: cache.fallback_keys.0,
        paths: cache.paths.0,
        untracked: cache.untracked,
    })
}

fn artifact(artifact: wire::Artifact, variables: &Variables) -> Result<ArtifactSpec> {
    let formats =
        [("zip", ArtifactFormat::Zip), ("gzip", ArtifactFormat::Gzip), ("raw", ArtifactFormat::Raw)];
    let kind = artifact.kind;
    Ok(ArtifactSpec {
        format: word("artifacts:format", &artifact.format, &formats)?,
        when: word("artifacts:when", &artifact.when, &WHEN)?,
        expire_in: expiry(&artifact.expire_in.0, variables)?,
        name: artifact.name.filter(|name| !name.is_empty()),
        kind: if kind.is_empty() { "archive".into() } else { kind },
        paths: artifact.paths.0,
        exclude: artifact.exclude.0,
        untracked: artifact.untracked,
    })
}

fn expiry(written: &str, variables: &Variables) -> Result<Option<Duration>> {
    match variables.expand(written).trim() {
        "" => Ok(None),
        "never" => Ok(Some(FOREVER)),
        text => match duration::parse(text) {
            Some(duration) => Ok(Some(duration)),
            None => Err(unsupported(format_args!("`artifacts:expire_in: {written}`"))),
        },
    }
}

fn dependency(dependency: wire::Dependency) -> Dependency {
    let file = dependency.artifacts_file.filter(|file| !file.filename.is_empty());
    Dependency {
        id: dependency.id.map(|id| JobId::new(id.to_string())),
        name: dependency.name,
        token: dependency.token,
        file: file.map(|file| DependencyFile { filename: file.filename, size: file.size }),
    }
}

fn credential(credential: wire::Credential) -> Credential {
    let wire::Credential { kind, url, username, password } = credential;
    Credential { kind, url, username, password }
}

fn source_features(features: wire::Features) -> SourceFeatures {
    let known = |name: &String| serde_json::from_value::<FailureReason>(Value::String(name.clone())).ok();
    let mut failure_reasons: Vec<_> = features.failure_reasons.iter().filter_map(known).collect();
    // An empty list would say that all are known.
    if failure_reasons.is_empty() && !features.failure_reasons.is_empty() {
        failure_reasons.push(FailureReason::UnknownFailure);
    }
    SourceFeatures {
        sections: features.trace_sections,
        token_mask_prefixes: features.token_mask_prefixes,
        failure_reasons,
        two_phase_commit: features.two_phase_job_commit,
    }
}

#[cfg(test)]
mod tests;
