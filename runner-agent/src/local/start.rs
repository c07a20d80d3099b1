//! Starting a job: its directory, its supervisor, its acceptance, and the task that runs it.

use std::{path::Path, sync::Arc};

use runner_core::{
    CacheScope, Error, ErrorKind, JobContext, JobLease, JobSpec, Result,
    log::{JobLog, LogSpool, Masks},
    outcome::LogDigest,
    report::{ACCEPTANCE, Reporter, accept},
};
use tokio::{sync::watch, task::JoinError};
use tokio_util::sync::CancellationToken;

use super::{LocalConfig, Shared, job::LocalJob};
use crate::{
    engine::{Engine, EngineSettings, stop_channel},
    host::Host,
    job_run::{JobRun, stop_for},
    kept_log,
    supervise::SupervisedHost,
    workspace::{HOME_DIRECTORY, Workspace},
};

/// Starts a job. Where that fails nothing is left of it.
pub(super) async fn start(
    shared: &Arc<Shared>,
    lease: JobLease,
    context: JobContext,
) -> Result<Arc<LocalJob>> {
    let workspace = Workspace::create(&shared.config.builds, &directory_name(&lease.job)).await?;
    let workspace = Arc::new(workspace);
    let (config, directory) = (Arc::clone(shared), Arc::clone(&workspace));
    // A task of its own, so that a panic in it leaves no directory.
    let prepared =
        shared.tasks.spawn(async move { prepare(&config.config, &directory, lease, context).await }).await;
    let (course, spool) = match prepared.unwrap_or_else(|panicked| Err(unprepared(panicked))) {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Err(error) = workspace.remove().await {
                tracing::warn!(error = error.chain(), "a job that could not be started left its directory");
            }
            return Err(error);
        }
    };
    let (end_sender, end) = watch::channel(None);
    let done = CancellationToken::new();
    let job = LocalJob {
        id: course.job.id.clone(),
        shared: Arc::downgrade(shared),
        workspace,
        keep: shared.config.keep,
        hosts: course.hosts.clone(),
        stop: course.stop.clone(),
        spool,
        done: done.clone(),
        end,
    };
    shared.tasks.spawn(course.run(shared.tasks.clone(), done, end_sender));
    Ok(Arc::new(job))
}

/// Gives a job all that it needs, and accepts it.
async fn prepare(
    config: &LocalConfig,
    workspace: &Workspace,
    lease: JobLease,
    context: JobContext,
) -> Result<(JobRun, Arc<dyn LogSpool>)> {
    let places = workspace.places(&project_path(&lease.job)).await?;
    let host = Arc::new(SupervisedHost::start(&config.supervisor)?);
    let (stop, stop_receiver) = stop_channel();
    let wish = match accept(&*lease.report, ACCEPTANCE).await {
        Ok(wish) => wish,
        Err(error) => {
            host.close().await;
            return Err(error);
        }
    };
    if let Some(how) = stop_for(wish.action, &lease.job) {
        stop.stop(how);
    }
    let spool: Arc<dyn LogSpool> = Arc::new(kept_log::spool(context.log.size));
    let sections = lease.job.features.sections;
    let log = JobLog::new(&context.log, Masks::of_job(&lease.job), sections, Arc::clone(&spool));
    let reporter = Reporter::new(Arc::clone(&lease.report), Arc::clone(&spool), context.log.interval);
    reporter.note(wish);
    let settings = settings(config, &lease, &context, &places.root);
    let shared_host = Arc::clone(&host) as Arc<dyn Host>;
    let engine = Engine {
        job: Arc::clone(&lease.job),
        settings,
        places,
        sources: Arc::clone(&shared_host),
        build: shared_host,
        artifacts: lease.artifacts,
        cache: context.cache,
        log: log.clone(),
        events: context.events,
        stop: stop_receiver,
    };
    let hosts = vec![host as Arc<dyn Host>];
    let run = JobRun {
        engine,
        hosts,
        log,
        reporter,
        stop,
        job: lease.job,
        log_start: LogDigest::default(),
        successor: None,
    };
    Ok((run, spool))
}

fn unprepared(panicked: JoinError) -> Error {
    Error::new(ErrorKind::Internal, "prepare the job").because(panicked)
}

/// What does not depend on what the job is made of.
fn settings(config: &LocalConfig, lease: &JobLease, context: &JobContext, root: &Path) -> EngineSettings {
    EngineSettings {
        executor: "local".into(),
        runner: context.runner.clone(),
        greeting: if config.warns_of_containers { greeting(&lease.job) } else { Vec::new() },
        slot: context.slot,
        // A job must not make anything outside its own directory, which is all that is removed.
        builds_dir: root.to_owned(),
        environment: environment(config, root),
        cache_scope: cache_scope(&lease.job),
        grace: config.grace,
        ..EngineSettings::default()
    }
}

/// The name of a job's directory: the same from run to run.
fn directory_name(job: &JobSpec) -> String {
    match job.project.id {
        0 => job.name.clone(),
        project => format!("{project}-{}", job.name),
    }
}

fn project_path(job: &JobSpec) -> String {
    match job.variables.value("CI_PROJECT_PATH") {
        path if path.is_empty() => job.project.name.clone(),
        path => path,
    }
}

fn cache_scope(job: &JobSpec) -> CacheScope {
    let project = match job.project.id {
        0 => job.project.name.clone(),
        project => project.to_string(),
    };
    CacheScope { runner: String::new(), project, protected: job.git.protected }
}

/// What has no effect here.
fn greeting(job: &JobSpec) -> Vec<String> {
    let image = job.image.as_ref().map(|image| format!("the image {}", image.name));
    let services = (!job.services.is_empty()).then(|| String::from("services"));
    let without: Vec<String> = [image, services].into_iter().flatten().collect();
    if without.is_empty() {
        return Vec::new();
    }
    vec![format!("This job runs on this machine itself, without {}", without.join(" and without "))]
}

fn environment(config: &LocalConfig, root: &Path) -> Vec<(String, String)> {
    let mut environment = config.environment.clone();
    if !environment.iter().any(|(key, _)| key == "HOME") {
        environment.push(("HOME".into(), root.join(HOME_DIRECTORY).to_string_lossy().into_owned()));
    }
    environment
}
