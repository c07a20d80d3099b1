//! The helper container: it puts the agent in place, runs the job's phases, and tells how they end.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use flate2::read::GzDecoder;
use fs_err as fs;
use nix::sys::stat::{Mode, umask};
use runner_cache::GrantedCache;
use runner_core::{
    ArtifactStore, CacheBackend, Event, EventSink, FailureReason, JobEnd, JobEvent, JobOutcome, JobSpec,
    RemoteReport,
    agent::{AgentEvent, Order},
    artifact::NoArtifacts,
    cache::CacheGrants,
    executor::Stop,
    log::{JobLog, Masks},
    report::Reporter,
};
use tokio::{
    net::UnixListener,
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    build_host::{BuildHost, BuildSettings},
    channel::Channel,
    output::Output,
    paths,
    reporting::{Remote, Reporting},
    telling::{stay_if, successor, tell_end, was_stopped},
};
use crate::{
    engine::{Engine, EngineSettings, Places, StopReceiver, StopSender, stop_channel},
    host::Host,
    job_run::JobRun,
    supervise::{SupervisedHost, SupervisorProgram},
    workspace,
};

/// A wait for sources that is shorter than this is not spoken of.
const SHORT_WAIT: Duration = Duration::from_secs(3);

/// How long [`await_installed`] looks for the agent: a file copy and not more.
const INSTALLATION: Duration = Duration::from_mins(1);

/// What the helper has read of its job.
struct Work {
    job: JobSpec,
    order: Order,
    /// How its source is reached without the manager.
    remote: Option<RemoteReport>,
    /// What the manager granted to its caches.
    caches: Option<CacheGrants>,
}

/// Runs the job to its end. It fails only where it cannot even tell.
pub(super) fn main(arguments: &[String]) -> io::Result<()> {
    // What git and others make must be usable for the user of the build container.
    umask(Mode::empty());
    let attempt = attempt(arguments)?;
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(async {
        // The kernel drops a TERM for a first process that does not listen, and the pod would live to the end of its grace.
        let terminate = signal(SignalKind::terminate())?;
        let listener = install()?;
        let nonce = fs::read_to_string(paths::NONCE)?;
        let work = Work::read(Path::new(paths::JOB))?;
        if work.order.attempt != attempt {
            return Err(io::Error::other(format!(
                "this pod was made for attempt {attempt} at the job, which is at attempt {}: nothing is run",
                work.order.attempt
            )));
        }
        run(work, listener, nonce, terminate).await
    });
    // A thread that reads a file system which does not answer must not hold the container.
    runtime.shutdown_background();
    ended
}

/// Returns when the agent is in place, so that the build container can be started.
pub(super) fn await_installed() -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let start = Instant::now();
        while !Path::new(paths::AGENT).exists() {
            if start.elapsed() > INSTALLATION {
                return Err(io::Error::other("the helper did not put its agent in place"));
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    })
}

fn attempt(arguments: &[String]) -> io::Result<u32> {
    match arguments {
        [] => Ok(1),
        [number] => number.parse().map_err(|_| io::Error::other("the attempt must be a number")),
        _ => Err(io::Error::other("usage: runner-agent helper [ATTEMPT]")),
    }
}

/// Puts everything that the build container needs into the volume, the agent last.
fn install() -> io::Result<UnixListener> {
    let listener = UnixListener::bind(paths::SOCKET)?;
    fs::set_permissions(paths::SOCKET, PermissionsExt::from_mode(0o666))?;
    let mut random = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let nonce = format!("{:032x}", u128::from_le_bytes(random));
    fs::write(paths::NONCE, nonce)?;
    fs::set_permissions(paths::NONCE, PermissionsExt::from_mode(0o444))?;
    let partial = format!("{}.partial", paths::AGENT);
    fs::copy("/proc/self/exe", &partial)?;
    fs::set_permissions(&partial, PermissionsExt::from_mode(0o755))?;
    fs::rename(&partial, paths::AGENT)?;
    // Who cannot write here cannot put anything in the place of the agent.
    fs::set_permissions(paths::VOLUME, PermissionsExt::from_mode(0o755)).ok();
    Ok(listener)
}

impl Work {
    fn read(folder: &Path) -> io::Result<Self> {
        let mut packed = Vec::new();
        let mut part = 0;
        // What does not fit into one Secret goes on in the next one.
        while let Ok(bytes) = fs::read(folder.join(part_name(part))) {
            packed.extend(bytes);
            part += 1;
        }
        let mut text = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut text)?;
        let job = serde_json::from_slice(&text)?;
        let mut order: Order = serde_json::from_slice(&fs::read(folder.join("order"))?)?;
        let remote = match fs::read(folder.join("remote")) {
            Ok(text) => Some(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let caches = fs::read(folder.join("caches")).ok().and_then(|packed| {
            let read = serde_json::from_reader(GzDecoder::new(packed.as_slice()));
            if let Err(error) = &read {
                // No cache is worth a job.
                order
                    .greeting
                    .push(format!("WARNING: the job has no cache: what was granted cannot be read: {error}"));
            }
            read.ok()
        });
        Ok(Self { job, order, remote, caches })
    }
}

fn part_name(part: usize) -> String {
    if part == 0 { "job".into() } else { format!("job-{part}") }
}

async fn run(work: Work, listener: UnixListener, nonce: String, terminate: Signal) -> io::Result<()> {
    let output = Output::new(io::stdout());
    let Work { job, order, remote, caches } = work;
    let job = Arc::new(job);
    let remote = remote.as_ref().map(Remote::of).transpose().map_err(io::Error::other)?.flatten();
    let Reporting { spool, reporter, log_start } = Reporting::of(&order, remote.as_ref(), &output).await;
    let log = JobLog::new(&order.log, Masks::of_job(&job), job.features.sections, Arc::clone(&spool));
    let settings = BuildSettings {
        log: log.clone(),
        output: output.clone(),
        start_budget: order.start_budget,
        services: order.services.clone(),
    };
    let build = Arc::new(BuildHost::new(listener, nonce, settings));
    let (stop, stop_receiver) = stop_channel();
    let stopped = CancellationToken::new();
    let _signals = listen(terminate, stop.clone(), order.patience, stopped.clone());
    let channel = if order.channel {
        Some(Channel::listen(Path::new(paths::CHANNEL_SOCKET), PathBuf::from(paths::SOURCES))?)
    } else {
        None
    };
    let artifacts = artifacts(channel.as_ref(), remote.as_ref());
    let came = match &channel {
        Some(channel) => bring_sources(channel, &order, &log, stop_receiver.clone()).await,
        None => Ok(None),
    };
    let job = match came {
        Ok(Some(repository)) => Arc::new(with_sources(&job, &repository)),
        Ok(None) => job,
        Err(error) => {
            let end = without_sources(&error, &log, &reporter).await;
            return tell_end(&output, &order, (end, false, false)).await;
        }
    };
    let sources = SupervisedHost::start(&SupervisorProgram::ThisProgram).map_err(io::Error::other)?;
    let sources: Arc<dyn Host> = Arc::new(sources);
    let hosts = vec![Arc::clone(&build) as Arc<dyn Host>, Arc::clone(&sources)];
    let engine = Engine {
        places: places(&job, &order)?,
        settings: engine_settings(&order),
        job: Arc::clone(&job),
        sources,
        build: Arc::clone(&build) as Arc<dyn Host>,
        artifacts,
        cache: caches.map(|grants| Arc::new(GrantedCache::new(grants)) as Arc<dyn CacheBackend>),
        log: log.clone(),
        events: events(output.clone()),
        stop: stop_receiver,
    };
    let successor = Some(successor(&order, &build, &stopped, remote.is_some()));
    let run = JobRun { job, engine, hosts, log, reporter, stop, log_start, successor };
    let end = to_end(run).await;
    let is_unread = stopped.is_cancelled() && !end.reported;
    let is_stopped = was_stopped(&stopped, &end.outcome);
    tell_end(&output, &order, (end, is_stopped, build.is_lost())).await?;
    stay_if(is_unread).await;
    Ok(())
}

fn artifacts(channel: Option<&Channel>, remote: Option<&Remote>) -> Arc<dyn ArtifactStore> {
    match (channel, remote) {
        (Some(channel), _) => Arc::new(channel.artifacts()),
        (None, Some(remote)) => Arc::clone(&remote.artifacts),
        (None, None) => Arc::new(NoArtifacts),
    }
}

/// Waits for the sources. A job that is to stop does not wait: its engine ends it.
async fn bring_sources(
    channel: &Channel,
    order: &Order,
    log: &JobLog,
    mut stop: StopReceiver,
) -> runner_core::Result<Option<PathBuf>> {
    let sources = channel.sources(order.start_budget);
    tokio::pin!(sources);
    let said = async {
        sleep(SHORT_WAIT).await;
        log.line("Waiting for the sources…").await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        came = &mut sources => came,
        _ = stop.sharper_than(None) => Ok(None),
        () = said => Ok(None),
    }
}

/// The job, as one whose repository is here.
fn with_sources(job: &JobSpec, repository: &Path) -> JobSpec {
    let mut job = job.clone();
    let url = format!("file://{}", repository.display());
    for variable in &mut job.variables.0 {
        if variable.value == job.git.repo_url {
            variable.value.clone_from(&url);
        }
    }
    job.git.repo_url = url;
    job
}

/// The end of a job whose sources never came.
async fn without_sources(error: &runner_core::Error, log: &JobLog, reporter: &Reporter) -> JobEnd {
    let message = format!("failed to {}", error.chain());
    log.line(&format!("ERROR: Job failed (system failure): {message}")).await;
    let digest = Some(log.finish().await);
    let finished = CancellationToken::new();
    finished.cancel();
    reporter.run(&finished).await;
    let outcome = JobOutcome::failed(FailureReason::RunnerSystemFailure, message);
    JobEnd { outcome, reported: false, script_begun: false, log: digest, phases: Vec::new() }
}

async fn to_end(run: JobRun) -> JobEnd {
    let tasks = TaskTracker::new();
    let (sender, mut end) = watch::channel(None);
    run.run(tasks, CancellationToken::new(), sender).await;
    let ended = end.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
    ended.unwrap_or_else(unknown)
}

fn unknown() -> JobEnd {
    JobEnd {
        outcome: JobOutcome::failed(FailureReason::RunnerSystemFailure, "the agent lost the end of the job"),
        reported: false,
        script_begun: true,
        log: None,
        phases: Vec::new(),
    }
}

/// Makes TERM a wish to stop: who deletes the pod knows whether that is a cancel, and the agent does not.
fn listen(
    mut terminate: Signal,
    stop: StopSender,
    patience: Duration,
    stopped: CancellationToken,
) -> JoinSet<()> {
    let mut listening = JoinSet::new();
    listening.spawn(async move {
        if terminate.recv().await.is_some() {
            stopped.cancel();
            let now = Instant::now();
            stop.stop(Stop::Graceful { deadline: now.checked_add(patience).unwrap_or(now) });
        }
        // Later ones say nothing new, and must not end this process.
        while terminate.recv().await.is_some() {}
    });
    listening
}

fn places(job: &JobSpec, order: &Order) -> io::Result<Places> {
    let root = PathBuf::from(&order.builds_dir);
    let path = match job.variables.value("CI_PROJECT_PATH") {
        path if path.is_empty() => job.project.name.clone(),
        path => path,
    };
    let project = workspace::project_below(&root, &path);
    let mut temporary = project.clone().into_os_string();
    temporary.push(".tmp");
    let places = Places { root, project, temporary: temporary.into() };
    fs::create_dir_all(&places.project)?;
    fs::create_dir_all(&places.temporary)?;
    Ok(places)
}

fn engine_settings(order: &Order) -> EngineSettings {
    EngineSettings {
        executor: order.executor.clone(),
        runner: order.runner.clone(),
        greeting: order.greeting.clone(),
        slot: order.slot,
        builds_dir: PathBuf::from(&order.builds_dir),
        environment: std::env::vars().filter(|(key, _)| matches!(key.as_str(), "HOME" | "PATH")).collect(),
        cache_scope: order.cache_scope.clone(),
        grace: order.grace,
        debug_trace_disabled: order.debug_trace_disabled,
    }
}

fn events(output: Output) -> EventSink {
    EventSink::new(move |event| {
        let Event::Job { event, .. } = event else { return };
        match event {
            JobEvent::PhaseStarted(phase) => output.event(AgentEvent::PhaseStarted(phase)),
            JobEvent::PhaseEnded(record) => output.event(AgentEvent::PhaseEnded(record)),
            JobEvent::Notice(text) => output.event(AgentEvent::Notice(text)),
            _ => {}
        }
    })
}
