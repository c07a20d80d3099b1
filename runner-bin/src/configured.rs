//! Jobs of a source with what a runner's config adds to them.

use std::sync::Arc;

use async_trait::async_trait;
use runner_config::RunnerConfig;
use runner_core::{
    Capacity, JobLease, JobSource, Result, SavedLease,
    job::{Hook, HookName, Variable},
};
use tokio_util::sync::CancellationToken;

/// What is added to each job.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Additions {
    /// `environment`: variables that count less than those of the job.
    variables: Vec<Variable>,
    /// Scripts of the runner, which run outside of the job's own.
    before: Vec<Hook>,
    after: Vec<Hook>,
}

impl Additions {
    /// Those of a `[[runners]]`.
    pub(crate) fn of(runner: &RunnerConfig) -> Self {
        let variable =
            |(key, value): &(String, String)| Variable { public: false, ..Variable::new(key, value) };
        let hook = |name, script: Option<&String>| Some(Hook { name, script: vec![script?.clone()] });
        let scripts = &runner.scripts;
        let before = [
            hook(HookName::PreGetSourcesScript, scripts.pre_get_sources.as_ref()),
            hook(HookName::PreBuildScript, scripts.pre_build.as_ref()),
        ];
        let after = [
            hook(HookName::PostGetSourcesScript, scripts.post_get_sources.as_ref()),
            hook(HookName::PostBuildScript, scripts.post_build.as_ref()),
        ];
        Self {
            variables: runner.environment.iter().map(variable).collect(),
            before: before.into_iter().flatten().collect(),
            after: after.into_iter().flatten().collect(),
        }
    }

    fn added_to(&self, mut lease: JobLease) -> JobLease {
        if *self == Self::default() {
            return lease;
        }
        let mut job = (*lease.job).clone();
        job.variables.0.splice(0..0, self.variables.iter().cloned());
        job.hooks.splice(0..0, self.before.iter().cloned());
        job.hooks.extend(self.after.iter().cloned());
        lease.job = Arc::new(job);
        lease.saved.job = Arc::clone(&lease.job);
        lease
    }
}

/// A source whose jobs get additions.
#[derive(Debug)]
pub(crate) struct ConfiguredSource {
    inner: Arc<dyn JobSource>,
    additions: Additions,
}

impl ConfiguredSource {
    /// The jobs of `inner` with `additions`.
    pub(crate) fn new(inner: Arc<dyn JobSource>, additions: Additions) -> Self {
        Self { inner, additions }
    }
}

#[async_trait]
impl JobSource for ConfiguredSource {
    async fn next(&self, capacity: Capacity, stop: &CancellationToken) -> Result<Option<JobLease>> {
        Ok(self.inner.next(capacity, stop).await?.map(|lease| self.additions.added_to(lease)))
    }

    /// As it was stored: what was added then is part of it.
    async fn resume(&self, saved: SavedLease) -> Result<JobLease> {
        self.inner.resume(saved).await
    }

    fn is_exhausted(&self) -> bool {
        self.inner.is_exhausted()
    }
}

#[cfg(test)]
mod tests {
    use runner_config::Surroundings;

    use super::*;

    #[test]
    fn variables_and_scripts_of_the_config_are_added() {
        let text = "[[runners]]\nexecutor = \"kubernetes\"\nenvironment = [\"A=b=c\"]\npre_build_script = \"true\"\n";
        let config = runner_config::parse("c", text).resolve_offline(&Surroundings::default()).unwrap();
        let additions = Additions::of(&config.runners[0]);
        assert_eq!(additions.variables, [Variable { public: false, ..Variable::new("A", "b=c") }]);
        let hook = Hook { name: HookName::PreBuildScript, script: vec!["true".into()] };
        assert_eq!((additions.before, additions.after), (vec![hook], vec![]));
    }
}
