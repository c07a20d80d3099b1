//! Makes a runner ready: its server knows it, and what runs its jobs is there.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use runner_agent::local::{LocalConfig, LocalExecutor};
use runner_cache::name;
use runner_config::{ExecutorConfig, Report, RunnerConfig, registration::Server};
use runner_core::{
    CacheBackend, Executor, Finding, JobSource, Severity, executor::LogLimits, run::RunnerConfig as Ready,
};
use runner_gitlab::{Client, GitLabSource, RunnerInfo, SourceSettings, register};
use runner_k8s::{KubernetesExecutor, KubernetesSettings, config::KubernetesConfig};
use tokio::time::timeout;

use crate::{
    cache_store::{self, StoreSurrounding},
    cli::accounts::Variables,
    configured::{Additions, ConfiguredSource},
    connection::connection,
    environment,
    short_token::short_token,
    wire,
};

/// A store that does not answer holds up a runner no longer than this.
const CHECK_OF_CACHE: Duration = Duration::from_secs(20);

/// What all runners share.
#[derive(Debug)]
pub(super) struct Surrounding {
    /// What tells this machine from others with the same token.
    pub(super) system_id: String,
    /// What this process is called among those that share jobs in a cluster.
    pub(super) replica: String,
    /// Variables of the environment.
    pub(super) variables: Variables,
    /// Where the config is.
    pub(super) folder: PathBuf,
}

/// Makes a runner ready, if it can be. It fails with what completes "failed to …".
pub(super) async fn prepare(
    config: &RunnerConfig,
    check_interval: Duration,
    surrounding: &Surrounding,
) -> Result<Ready> {
    let identity = identity(config);
    let server = Server { url: config.url.clone(), tls: config.tls.clone() };
    let mut connection = connection(&server, &surrounding.folder, &surrounding.variables)?;
    let ca = connection.ca.clone();
    connection.response_timeout = connection.response_timeout.max(config.artifact.response_header_timeout);
    connection.upload_timeout = config.artifact.upload_timeout;
    let info = RunnerInfo::new(config.executor.name());
    // GitLab learns here what a runner can do: without that it cancels without a grace.
    let known =
        register::verify(&Client::new(&connection)?, &config.token, &surrounding.system_id, &info).await?;
    let lease_name = lasting_identity(config, known.id);
    let executor = executor(config, &lease_name, surrounding).await?;
    let mut settings =
        SourceSettings::new(&lease_name, connection, config.token.clone(), &surrounding.system_id, info);
    settings.check_interval = check_interval;
    settings.strict_check_interval = config.strict_check_interval;
    settings.unhealthy_requests_limit = config.unhealthy_requests_limit;
    settings.unhealthy_interval = config.unhealthy_interval;
    settings.clone_url.clone_from(&config.clone_url);
    let cache = cache(config, &identity, surrounding, ca)?;
    let source = GitLabSource::new(settings)?;
    said(config, executor.check().await)?;
    if let Some(cache) = &cache {
        say_of_cache(config, &**cache).await;
    }
    let source: Arc<dyn JobSource> = Arc::new(ConfiguredSource::new(Arc::new(source), Additions::of(config)));
    let title = if config.name.is_empty() { identity.clone() } else { format!("{} {identity}", config.name) };
    Ok(Ready {
        title,
        lease_name,
        cache,
        limit: config.limit.and_then(NonZeroUsize::new),
        requests: NonZeroUsize::new(config.request_concurrency).unwrap_or(NonZeroUsize::MIN),
        log: LogLimits {
            size: config.output_limit,
            timestamps: config.is_on("FF_TIMESTAMPS"),
            ..LogLimits::default()
        },
        ..Ready::new(identity, source, executor)
    })
}

/// Says what a check found; what keeps jobs from running is an error.
fn said(config: &RunnerConfig, findings: Vec<Finding>) -> Result<()> {
    let mut fatal = Vec::new();
    for Finding { severity, message, mend } in findings {
        let line = if mend.is_empty() { message } else { format!("{message}; {mend}") };
        match severity {
            Severity::Note => tracing::info!(runner = config.name, "{line}"),
            Severity::Warning => tracing::warn!(runner = config.name, "{line}"),
            Severity::Fatal => fatal.push(line),
        }
    }
    if !fatal.is_empty() {
        bail!("no job can run before this is mended: {}", fatal.join("; "));
    }
    Ok(())
}

/// What a runner is known by in stored jobs. The server's number of it stays the same when its token is rotated: jobs that
/// run meanwhile are found by a process that knows only the new one. A server that tells no number has its token count.
fn lasting_identity(config: &RunnerConfig, id: u64) -> String {
    match id {
        0 => identity(config),
        id => {
            let server = name::unique(config.url.trim_end_matches('/'));
            format!("{id}-{}", server.split_at(server.len().saturating_sub(9)).1)
        }
    }
}

/// What a runner is known by in this process and in the names of pods: the part of its token that GitLab shows as well, or
/// what is made of a token that is too short to show any of it. Two runners have two.
pub(super) fn identity(config: &RunnerConfig) -> String {
    let token = config.token.expose();
    let shown = match short_token(token) {
        shown if shown.is_empty() => {
            let digest = name::unique(&format!("{}\n{token}", config.url));
            digest.split_at(digest.len().saturating_sub(9)).1.to_owned()
        }
        shown => shown,
    };
    // The end of a label is a letter or a digit.
    shown.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric()).to_owned()
}

async fn executor(
    config: &RunnerConfig,
    lease_name: &str,
    surrounding: &Surrounding,
) -> Result<Arc<dyn Executor>> {
    match &config.executor {
        ExecutorConfig::Kubernetes(kubernetes) => {
            let client = runner_k8s::connect(kubernetes).await?;
            let mut settings = kubernetes_settings(config, lease_name, kubernetes)?;
            settings.replica = Some(surrounding.replica.clone());
            Ok(KubernetesExecutor::new(client, settings))
        }
        ExecutorConfig::Shell => {
            let environment = environment::for_jobs(
                surrounding.variables.iter().map(|(name, value)| (name.into(), value.into())),
            );
            let builds = config.builds_dir.as_ref().map_or_else(|| home("builds"), PathBuf::from);
            Ok(LocalExecutor::new(LocalConfig { environment, ..LocalConfig::new(builds) }))
        }
    }
}

fn kubernetes_settings(
    config: &RunnerConfig,
    lease_name: &str,
    kubernetes: &KubernetesConfig,
) -> Result<KubernetesSettings> {
    let mut settings = KubernetesSettings::new(lease_name);
    settings.patch_files = wire::patch_files(kubernetes).context("read what `patch_path` names")?;
    settings.config = kubernetes.clone();
    settings.token = identity(config);
    settings.relays = config.report == Report::Relay;
    settings.debug_trace_disabled = config.debug_trace_disabled;
    settings.runner.flags.clone_from(&config.feature_flags);
    if let Some(builds) = &config.builds_dir {
        settings.runner.builds_dir.clone_from(builds);
    }
    Ok(settings)
}

/// The store that the config names; without one, jobs on this machine keep their caches there, and those in pods have none.
fn cache(
    config: &RunnerConfig,
    identity: &str,
    surrounding: &Surrounding,
    ca: Option<String>,
) -> Result<Option<Arc<dyn CacheBackend>>> {
    match (&config.cache, &config.executor) {
        (Some(cache), _) => {
            let parts = StoreSurrounding { identity, variables: &surrounding.variables, ca };
            Ok(Some(cache_store::backend(cache, &parts)?))
        }
        (None, ExecutorConfig::Kubernetes(_)) => Ok(None),
        (None, ExecutorConfig::Shell) => Ok(Some(cache_store::folder(config, || home("cache")))),
    }
}

/// Says what the cache lacks. Jobs run without one.
async fn say_of_cache(config: &RunnerConfig, cache: &dyn CacheBackend) {
    let creates = config.cache.as_ref().is_none_or(|cache| cache.is_bucket_made);
    let Ok(findings) = timeout(CHECK_OF_CACHE, cache.check(creates)).await else {
        let seconds = CHECK_OF_CACHE.as_secs();
        tracing::warn!(runner = config.name, "the store of the cache does not answer within {seconds} s");
        return;
    };
    for Finding { message, mend, .. } in findings {
        tracing::warn!(runner = config.name, "{}", [message, mend].join(" "));
    }
}

/// A folder below the one that this program was started in.
fn home(name: &str) -> PathBuf {
    std::path::absolute(name).unwrap_or_else(|_| name.into())
}

#[cfg(test)]
mod tests {
    use runner_config::Surroundings;

    use super::*;

    fn config(token: &str) -> RunnerConfig {
        let text =
            format!("[[runners]]\nurl = \"https://g.example\"\ntoken = \"{token}\"\nexecutor = \"shell\"\n");
        runner_config::parse("c", &text).resolve(&Surroundings::default()).unwrap().runners.remove(0)
    }

    fn of(token: &str) -> String {
        identity(&config(token))
    }

    #[test]
    fn stored_jobs_are_found_after_the_token_was_rotated() {
        let (old, new) = (config("glrt-8cvaznryhXabcdefghij"), config("glrt-zzzzznryhXabcdefghij"));
        let name = lasting_identity(&old, 42);
        assert!(name.starts_with("42-") && name.len() < 40, "{name}");
        assert_eq!(name, lasting_identity(&new, 42));
        assert_ne!(name, lasting_identity(&old, 43));
        assert_eq!(lasting_identity(&old, 0), "8cvaznryh");
    }

    #[test]
    fn a_runner_is_known_by_what_gitlab_shows_of_its_token() {
        assert_eq!(of("glrt-8cvaznryhXabcdefghij"), "8cvaznryh");
        assert_eq!(of("glrt-8cvaznr_-Xabcdefghij"), "8cvaznr");
    }

    #[test]
    fn nothing_of_a_short_token_is_shown() {
        let shown = of("glrt-short");
        assert_eq!(shown, of("glrt-short"));
        assert!(!shown.contains("short") && shown != of("glrt-other"), "{shown}");
    }
}
