//! What a job is: everything that a source says of it, in GitLab's terms.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

pub mod artifact;
pub mod cache;
pub mod container;
pub mod duration;
pub mod git;
pub mod step;
pub mod variable;

pub use artifact::{ArtifactFormat, ArtifactSpec, Dependency, DependencyFile};
pub use cache::{CachePolicy, CacheSpec};
pub use container::{Credential, Image, PullPolicy, Service};
pub use git::{GitInfo, RefKind};
pub use step::{Hook, HookName, Step, When};
pub use variable::{Variable, Variables};

use crate::{FailureReason, Secret};

/// The id of a job: stable, and unique within its source. Other letters than `a-z A-Z 0-9 _ . -` are allowed, so
/// whoever makes a name of it must clean it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// An id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A job, complete: whoever holds this can run it.
///
/// It is serde so that it can be stored and handed to an agent; it holds secrets, so what it is stored in must be
/// as safe as they are. [`JobSpec::new`] gives one in which everything optional is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobSpec {
    /// The id.
    pub id: JobId,
    /// The job's own token: it reports, clones and downloads with it. Empty where the source has none.
    pub token: Secret,
    /// The name, as in the pipeline's file.
    pub name: String,
    /// The stage.
    pub stage: String,
    /// The project that it belongs to.
    pub project: Project,
    /// What to check out.
    pub git: GitInfo,
    /// How long the job may take, from its start to the end of its script.
    pub timeout: Duration,
    /// The variables, in order: of two with the same key the last one counts.
    pub variables: Variables,
    /// What to run, in order.
    pub steps: Vec<Step>,
    /// Scripts around phases.
    pub hooks: Vec<Hook>,
    /// The image that the steps run in. An executor without images says once that it has no effect.
    pub image: Option<Image>,
    /// Services beside the job.
    pub services: Vec<Service>,
    /// Caches to restore and to save.
    pub caches: Vec<CacheSpec>,
    /// What to keep of the job.
    pub artifacts: Vec<ArtifactSpec>,
    /// Jobs whose artifacts this one gets.
    pub dependencies: Vec<Dependency>,
    /// Logins to registries.
    pub credentials: Vec<Credential>,
    /// What the source understands and asks for.
    pub features: SourceFeatures,
    /// How long the job waited at the source before it was handed out, where the source says so.
    pub queued: Option<Duration>,
}

impl JobSpec {
    /// A job with an id and a name; everything else is empty, the timeout is one hour.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: JobId::new(id), name: name.into(), ..Self::default() }
    }
}

impl Default for JobSpec {
    fn default() -> Self {
        Self {
            id: JobId::new(""),
            token: Secret::default(),
            name: String::new(),
            stage: "test".into(),
            project: Project::default(),
            git: GitInfo::default(),
            timeout: Duration::from_hours(1),
            variables: Variables::default(),
            steps: Vec::new(),
            hooks: Vec::new(),
            image: None,
            services: Vec::new(),
            caches: Vec::new(),
            artifacts: Vec::new(),
            dependencies: Vec::new(),
            credentials: Vec::new(),
            features: SourceFeatures::default(),
            queued: None,
        }
    }
}

/// The project of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Project {
    /// Its number at the source.
    pub id: u64,
    /// Its name, without the path.
    pub name: String,
}

/// What the source of a job understands and asks for (`features` of GitLab's job payload).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceFeatures {
    /// The log may hold section marks.
    pub sections: bool,
    /// Prefixes of tokens that are masked together with what follows them, such as `glpat-`.
    pub token_mask_prefixes: Vec<String>,
    /// The failure reasons that the source knows; others are sent as [`FailureReason::UnknownFailure`]. Empty: all.
    pub failure_reasons: Vec<FailureReason>,
    /// The source hands a job out again unless it is accepted within minutes.
    pub two_phase_commit: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_being_stored() {
        let mut job = JobSpec::new("42", "build");
        job.token = Secret::new("t");
        job.steps.push(Step::script(vec!["make".into()]));
        let stored = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<JobSpec>(&stored).unwrap(), job);
    }
}
