//! What `--executor kubernetes` makes of the command line: a client, a config, and what brings the sources.

use std::{path::Path, sync::Arc};

use anyhow::anyhow;
use runner_cache::name;
use runner_config::{ExecutorConfig, RunnerConfig};
use runner_core::{CacheBackend, ErrorKind, executor::LogLimits};
use runner_k8s::{
    KubernetesExecutor, KubernetesSettings,
    config::{KubernetesConfig, Remark, RemarkClass},
};
use runner_pipeline::PipelineJob;

use crate::{
    cache_store::{self, StoreSurrounding},
    cli::Exec,
    configured::Additions,
    fault::Fault,
    plan::Plan,
    wire,
};

mod config_file;
mod shipper;

pub(crate) use shipper::Shipper;

/// How many bytes of a log are kept where there is no config.
const LOG_SIZE: u64 = 4 << 20;

/// What runs jobs on a cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterParts {
    /// Runs them.
    pub(crate) executor: Arc<KubernetesExecutor>,
    /// Brings their sources; it must be given the snapshot.
    pub(crate) shipper: Arc<Shipper>,
    /// What the config adds to each job.
    pub(crate) additions: Additions,
    /// How logs are treated.
    pub(crate) log: LogLimits,
    /// Where caches are kept, if the config names a store and they are wanted.
    pub(crate) cache: Option<Arc<dyn CacheBackend>>,
}

impl ClusterParts {
    /// The parts for `jobs`.
    pub(crate) async fn new(options: &Exec, plan: &Plan, jobs: &[PipelineJob]) -> Result<Self, Fault> {
        let source = options.config.as_deref();
        let entry = source.map(|path| config_file::read(path, options.runner.as_deref())).transpose()?;
        let mut config = match entry.as_ref().map(|entry| &entry.executor) {
            Some(ExecutorConfig::Kubernetes(config)) => (**config).clone(),
            _ => KubernetesConfig::default(),
        };
        refuse_what_is_not_done(&config, source)?;
        refuse_jobs_without_image(&config, jobs)?;
        let client = runner_k8s::connect(&config).await.map_err(|error| no_cluster(&error))?;
        if source.is_none() {
            client.default_namespace().clone_into(&mut config.namespace);
        }
        let shipper = Arc::new(Shipper::default());
        let root = plan.repository.root();
        let mut settings = KubernetesSettings::new(manager(&wire::machine(), root));
        settings.patch_files = wire::patch_files(&config).map_err(Fault::wrong_use)?;
        settings.config = config;
        settings.token = "exec".into();
        settings.channel = Some(Arc::clone(&shipper) as _);
        let mut log = LogLimits { size: LOG_SIZE, ..wire::log_limits() };
        if let Some(entry) = &entry {
            settings.runner.flags.clone_from(&entry.feature_flags);
            if let Some(builds) = &entry.builds_dir {
                settings.runner.builds_dir.clone_from(builds);
            }
            log.size = entry.output_limit;
        }
        let additions = entry.as_ref().map(Additions::of).unwrap_or_default();
        let cache = entry.as_ref().filter(|_| !options.no_cache).map(cache).transpose()?.flatten();
        Ok(Self { executor: KubernetesExecutor::new(client, settings), shipper, additions, log, cache })
    }
}

/// The cache of a runner of the config.
fn cache(entry: &RunnerConfig) -> Result<Option<Arc<dyn CacheBackend>>, Fault> {
    let Some(cache) = &entry.cache else { return Ok(None) };
    let ca = entry.tls.ca_file.as_ref().map(fs_err::read_to_string).transpose().map_err(Fault::wrong_use)?;
    let surrounding = StoreSurrounding { identity: "exec", variables: &wire::variables(), ca };
    let backend = cache_store::backend(cache, &surrounding);
    backend.map(Some).map_err(|error| Fault::wrong_use(anyhow!("failed to {}", error.chain())))
}

/// What does not work on a cluster.
pub(crate) fn left_out(options: &Exec, jobs: &[PipelineJob], has_cache: bool) -> Vec<String> {
    let caches = !options.no_cache && !has_cache && jobs.iter().any(|job| !job.spec.caches.is_empty());
    let caches = caches.then(|| {
        "caches are neither restored nor saved: no --config names a store for them that can be used ([runners.cache])"
            .to_owned()
    });
    let keep =
        options.keep.then(|| "--keep has no effect: the directories of jobs go with their pods".to_owned());
    caches.into_iter().chain(keep).collect()
}

/// Who the jobs of a project belong to: the same for each run on this machine, so that one removes what was left by
/// another one that was killed.
fn manager(machine: &str, root: &Path) -> String {
    let digest = name::unique(&format!("{machine}\n{}", root.display()));
    format!("exec-{}", digest.split_at(digest.len().saturating_sub(16)).1)
}

fn no_cluster(error: &runner_core::Error) -> Fault {
    let is_absent = error.kind() == ErrorKind::NotFound;
    let fault = Fault::ours(anyhow!("failed to {}", error.chain()));
    if is_absent {
        fault.help("without a cluster, run the jobs on this machine: --executor local")
    } else {
        fault
    }
}

/// Refuses a config that asks for what is not done. What merely has no effect is a finding of the executor.
fn refuse_what_is_not_done(config: &KubernetesConfig, source: Option<&Path>) -> Result<(), Fault> {
    let Some(source) = source else { return Ok(()) };
    let is_refused = |remark: &Remark| remark.class == RemarkClass::Refused;
    let mistakes: Vec<_> = config.review().into_iter().filter(is_refused).collect();
    if mistakes.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    let text = format!("[runners.kubernetes] of {}: {}", source.display(), lines.join("; "));
    Err(Fault::wrong_use(anyhow!(text)))
}

fn refuse_jobs_without_image(config: &KubernetesConfig, jobs: &[PipelineJob]) -> Result<(), Fault> {
    if !config.image.is_empty() {
        return Ok(());
    }
    let without: Vec<_> =
        jobs.iter().filter(|job| job.spec.image.is_none()).map(|job| job.name.as_str()).collect();
    if without.is_empty() {
        return Ok(());
    }
    let (noun, verb) = if without.len() == 1 { ("job", "names") } else { ("jobs", "name") };
    let text = format!("{noun} {} {verb} no image:, and a pod needs one", without.join(", "));
    let help = "name one in the pipeline, for all jobs with `default: image:`, or as `image` in [runners.kubernetes] \
                of a --config";
    Err(Fault::wrong_use(anyhow!(text)).help(help))
}

#[cfg(test)]
mod tests {
    use runner_core::job::{Image, JobSpec};

    use super::*;

    #[test]
    fn the_jobs_of_a_project_belong_to_the_same_in_each_run() {
        let one = manager("machine", Path::new("/a"));
        assert_eq!(one, manager("machine", Path::new("/a")));
        assert_ne!(one, manager("machine", Path::new("/b")));
        assert_ne!(one, manager("other", Path::new("/a")));
        let is_label = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        assert!(one.len() <= 63 && one.chars().all(is_label), "{one}");
    }

    #[test]
    fn a_job_without_an_image_is_named_before_anything_runs() {
        let job = |name: &str, image: Option<&str>| {
            let image = image.map(|name| Image { name: name.into(), ..Image::default() });
            let spec = JobSpec { image, ..JobSpec::new("", name) };
            PipelineJob { name: name.into(), spec, ..PipelineJob::default() }
        };
        let jobs = [job("lint", None), job("unit", Some("alpine"))];
        let mut config = KubernetesConfig::default();
        let fault = refuse_jobs_without_image(&config, &jobs).unwrap_err();
        insta::assert_snapshot!(fault.text(false), @r"
        error: job lint names no image:, and a pod needs one
          help: name one in the pipeline, for all jobs with `default: image:`, or as `image` in [runners.kubernetes] of a --config
        ");
        config.image = "alpine".into();
        refuse_jobs_without_image(&config, &jobs).unwrap();
    }
}
