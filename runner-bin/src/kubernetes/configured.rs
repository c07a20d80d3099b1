//! Jobs of a source with what a runner's config adds to them.

use std::sync::Arc;

use anyhow::{Result as Parsed, anyhow};
use async_trait::async_trait;
use runner_core::{
    Capacity, JobLease, JobSource, Result, SavedLease,
    job::{Hook, HookName, Variable},
};
use tokio_util::sync::CancellationToken;

use super::config_file::RunnerEntry;

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
    pub(super) fn of(entry: &RunnerEntry) -> Parsed<Self> {
        let variable = |text: &String| match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Variable { public: false, ..Variable::new(key.trim(), value) })
            }
            _ => Err(anyhow!("{text:?} in `environment` of the config is no KEY=VALUE")),
        };
        let hook = |name, script: Option<&String>| {
            let script = script.filter(|script| !script.trim().is_empty())?;
            Some(Hook { name, script: vec![script.clone()] })
        };
        let before = [
            hook(HookName::PreGetSourcesScript, entry.pre_get_sources()),
            hook(HookName::PreBuildScript, entry.pre_build_script.as_ref()),
        ];
        let after = [
            hook(HookName::PostGetSourcesScript, entry.post_get_sources_script.as_ref()),
            hook(HookName::PostBuildScript, entry.post_build_script.as_ref()),
        ];
        Ok(Self {
            variables: entry.environment.iter().map(variable).collect::<Parsed<_>>()?,
            before: before.into_iter().flatten().collect(),
            after: after.into_iter().flatten().collect(),
        })
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
    use super::*;

    #[test]
    fn a_line_of_the_environment_without_a_value_is_refused() {
        let entry = |line: &str| RunnerEntry { environment: vec![line.into()], ..RunnerEntry::default() };
        assert!(Additions::of(&entry("A")).is_err());
        assert_eq!(
            Additions::of(&entry("A=b=c")).unwrap().variables,
            [Variable { public: false, ..Variable::new("A", "b=c") }]
        );
    }
}
