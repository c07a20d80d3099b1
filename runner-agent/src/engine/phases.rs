//! The phases of a job, in their order.

use std::{sync::Arc, time::Duration};

use runner_cache::reader::{OwnFiles, TreeReader, WithDeputy};
use runner_core::{Error, ErrorKind, FailureReason, JobEvent, Phase, Result as CoreResult, executor::Stop};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Engine, artifacts, attempts, caches, clone_path, colour,
    course::{Course, Obstacle, Phased},
    duration,
    environment::Environment,
    files,
    limit::{Halt, Limit},
    process::AFTER_KILL,
    script::end_all,
    sources, steps,
    stop::StopReceiver,
    untracked::UntrackedFiles,
    workplace::Workplace,
};
use crate::host::{FileAction, HostReader, ProcessEvent};

/// How long saving caches and uploading artifacts may take together, if the job's own time leaves less.
const AFTERWARDS: Duration = Duration::from_mins(10);

/// How long output of processes that have ended may take to arrive.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Runs all phases but the last one.
pub(crate) async fn work(engine: &mut Engine, course: &mut Course) {
    let start = Instant::now();
    let root = engine.places.root.clone();
    match files::blocking("look at the job's directory", move || files::Ground::at(&root)).await {
        Ok(ground) => course.ground = Some(ground),
        Err(error) => return course.stopped_by(engine, error.into()),
    }
    let limit = Limit::new(engine.stop.clone()).within(start, engine.job.timeout);
    course
        .begin(engine, Phase::Prepare, &format!("Preparing the {} executor", engine.settings.executor))
        .await;
    let prepared = prepare(engine).await;
    course.end(engine).await;
    let mut environment = match prepared {
        Ok(environment) => environment,
        Err(obstacle) => return course.stopped_by(engine, obstacle),
    };
    if let Err(obstacle) = before_script(engine, &environment, course, &mut limit.clone()).await {
        return course.stopped_by(engine, obstacle);
    }
    if steps::main_steps(engine).next().is_some() {
        if let Err(obstacle) = hand_over(engine, course, &mut limit.clone()).await {
            return course.stopped_by(engine, obstacle);
        }
        course.begin(engine, Phase::Script, "Running the script").await;
        steps::run_main(engine, &mut environment, course, &limit).await;
        course.end(engine).await;
    }
    after_script(engine, &mut environment, course).await;
    let left = limit.remaining().unwrap_or_default().max(AFTERWARDS);
    save_caches(engine, &environment, course, left).await;
    upload_artifacts(engine, &environment, course, left).await;
}

/// Greets, and makes the environment of the job's processes.
async fn prepare(engine: &mut Engine) -> Phased<Environment> {
    let version = env!("CARGO_PKG_VERSION");
    engine.log.line(&format!("Running with runner {version} on {}", engine.settings.runner)).await;
    for line in &engine.settings.greeting {
        engine.log.line(line).await;
    }
    let (mut environment, mut warnings) = Environment::prepare(engine).await?;
    let wanted = environment.value("GIT_CLONE_PATH").to_owned();
    if !wanted.is_empty() {
        engine.places.project = clone_path::check(&wanted, &engine.places, &engine.settings)?;
        (environment, warnings) = Environment::prepare(engine).await?;
    }
    for warning in warnings {
        engine.log.line(&colour::warning(&warning)).await;
    }
    Ok(environment)
}

/// Makes everything that the script finds.
async fn before_script(
    engine: &Engine,
    environment: &Environment,
    course: &mut Course,
    limit: &mut Limit,
) -> Phased {
    course.begin(engine, Phase::GetSources, "Getting the sources").await;
    let got = sources::get(engine, environment, course, limit).await;
    course.end(engine).await;
    got?;
    if engine.cache.is_some() && caches::any_to_restore(&engine.job.caches) {
        course.begin(engine, Phase::RestoreCache, "Restoring caches").await;
        let restored = restore(engine, environment, course, limit).await;
        course.end(engine).await;
        restored?;
    }
    if artifacts::any_to_download(&engine.job.dependencies) {
        course.begin(engine, Phase::DownloadArtifacts, "Downloading artifacts").await;
        let downloaded = download(engine, environment, limit).await;
        course.end(engine).await;
        downloaded?;
    }
    Ok(())
}

/// Gives the work tree to those who run the script.
async fn hand_over(engine: &Engine, course: &mut Course, limit: &mut Limit) -> Phased {
    let project = [engine.places.project.clone()];
    limit.bound(engine.build.take_over(&project)).await??;
    Ok(limit.bound(course.restored.look_again(&engine.places.project, reader(engine))).await?)
}

async fn restore(
    engine: &Engine,
    environment: &Environment,
    course: &mut Course,
    limit: &mut Limit,
) -> Phased {
    let attempts = attempts(engine, environment, "RESTORE_CACHE_ATTEMPTS").await;
    let scope = engine.cache_scope();
    let Some(caches) = engine.caches(&scope, attempts) else { return Ok(()) };
    let untracked = UntrackedFiles::new(engine, environment, limit);
    let place = workplace(engine, environment, &untracked);
    let work = Box::pin(caches::restore(&engine.job.caches, caches, &place, &mut course.restored));
    Ok(limit.bound(work).await?)
}

async fn download(engine: &Engine, environment: &Environment, limit: &mut Limit) -> Phased {
    let attempts = attempts(engine, environment, "ARTIFACT_DOWNLOAD_ATTEMPTS").await;
    let Engine { job, artifacts: store, places, log, .. } = engine;
    let work = artifacts::download(&job.dependencies, &**store, &places.project, log, attempts);
    limit.bound(work).await?.map_err(of_store)
}

async fn attempts(engine: &Engine, environment: &Environment, key: &str) -> u32 {
    let mut warnings = Vec::new();
    let attempts = attempts::count(environment, key, &mut warnings);
    for warning in warnings {
        engine.log.line(&colour::warning(&warning)).await;
    }
    attempts
}

async fn after_script(engine: &Engine, environment: &mut Environment, course: &mut Course) {
    let Some(step) = steps::after_script(engine) else { return };
    if engine.stop.is_sharp() {
        return;
    }
    course.begin(engine, Phase::AfterScript, "Running after_script").await;
    steps::run_after(engine, environment, course, step).await;
    course.end(engine).await;
}

/// Saves caches. That they are not saved never fails a job.
async fn save_caches(engine: &Engine, environment: &Environment, course: &mut Course, allowed: Duration) {
    let scope = engine.cache_scope();
    let Some(caches) = engine.caches(&scope, 1) else { return };
    if !caches::any_to_save(&engine.job.caches, course.is_good()) || engine.stop.is_sharp() {
        return;
    }
    course.begin(engine, Phase::SaveCache, "Saving caches").await;
    let mut limit = Limit::new(engine.stop.clone()).outliving_cancel().within(Instant::now(), allowed);
    let untracked = UntrackedFiles::new(engine, environment, &limit);
    let place = workplace(engine, environment, &untracked);
    let restored = std::mem::take(&mut course.restored);
    let work = Box::pin(caches::save(&engine.job.caches, course.is_good(), caches, &place, restored));
    if let Err(Halt::TimedOut(allowed)) = limit.bound(work).await {
        let text =
            format!("saving caches took longer than {}, so they are not saved", duration::show(allowed));
        engine.log.line(&colour::warning(&text)).await;
    }
    course.used(untracked.usage());
    course.end(engine).await;
}

/// Uploads artifacts. That they are not uploaded fails a job that was good.
async fn upload_artifacts(
    engine: &Engine,
    environment: &Environment,
    course: &mut Course,
    allowed: Duration,
) {
    let specs = &engine.job.artifacts;
    if !artifacts::any_to_upload(specs, course.is_good()) || engine.stop.is_sharp() {
        return;
    }
    course.begin(engine, Phase::UploadArtifacts, "Uploading artifacts").await;
    let mut limit = Limit::new(engine.stop.clone()).outliving_cancel().within(Instant::now(), allowed);
    let untracked = UntrackedFiles::new(engine, environment, &limit);
    let place = workplace(engine, environment, &untracked);
    let work = artifacts::upload(specs, course.is_good(), &*engine.artifacts, &place);
    let uploaded = match limit.bound(work).await {
        Ok(uploaded) => uploaded.map_err(of_store),
        Err(Halt::TimedOut(allowed)) => {
            let message = format!("uploading artifacts took longer than {}", duration::show(allowed));
            Err(Obstacle::failed(FailureReason::ExternalDependencyFailure, message))
        }
        Err(halt) => Err(halt.into()),
    };
    if let Err(obstacle) = uploaded {
        if let Obstacle::Failed(failure) = &obstacle {
            engine.log.line(&colour::error(&failure.message)).await;
        }
        course.stopped_by(engine, obstacle);
    }
    course.used(untracked.usage());
    course.end(engine).await;
}

fn workplace<'a>(
    engine: &'a Engine,
    environment: &'a Environment,
    untracked: &'a UntrackedFiles<'a>,
) -> Workplace<'a> {
    Workplace {
        project: &engine.places.project,
        reader: reader(engine),
        variables: environment.variables(),
        untracked,
        log: &engine.log,
    }
}

/// Reads the work tree, and has the build host read what only its user may.
fn reader(engine: &Engine) -> Arc<dyn TreeReader> {
    let deputy = Arc::new(HostReader::new(Arc::clone(&engine.build)));
    Arc::new(WithDeputy { own: Arc::new(OwnFiles), deputy })
}

/// A failure of the store of artifacts.
fn of_store(error: Error) -> Obstacle {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Unsupported | ErrorKind::Internal => error.into(),
        _ => {
            Obstacle::failed(FailureReason::ExternalDependencyFailure, format!("failed to {}", error.chain()))
        }
    }
}

/// Ends what still runs and removes what the phases wrote. Nothing that stops the job stops this; an abort makes it
/// quick.
pub(crate) async fn clean_up(engine: &Engine, course: &mut Course) {
    // Processes do not outlive a job because its log has no room.
    let (faults, ()) = tokio::join!(end_processes(engine), begin_cleanup(engine, course));
    for text in faults {
        engine.log.line(&colour::warning(&text)).await;
    }
    let leftovers = course.leftovers();
    let _all_arrived = timeout(LAST_OUTPUT, async { while leftovers.join_next().await.is_some() {} }).await;
    leftovers.abort_all();
    let cleared = clear_temporary(engine, course).await;
    if let Err(error) = cleared {
        let text = format!("files that may hold secrets were left: failed to {}", error.chain());
        engine.events.job(&engine.job.id, JobEvent::Notice(text.clone()));
        engine.log.line(&colour::warning(&text)).await;
    }
    course.end(engine).await;
}

/// Removes what may hold secrets.
async fn clear_temporary(engine: &Engine, course: &Course) -> CoreResult<()> {
    // Without it nothing was made.
    let Some(ground) = course.ground.clone() else { return Ok(()) };
    let clear = || {
        let (ground, temporary) = (ground.clone(), engine.places.temporary.clone());
        files::blocking("remove the job's file variables", move || ground.clear(&temporary))
    };
    match clear().await {
        // What the job itself put there may be for its user alone to remove.
        Err(error) if error.kind() == ErrorKind::Unauthorized => {
            drop(timeout(AFTER_KILL, clear_as_job(engine)).await);
            clear().await
        }
        cleared => cleared,
    }
}

/// Removes what the user of the job may remove. What is left shows in what is tried next.
async fn clear_as_job(engine: &Engine) {
    let Ok(mut work) = engine.build.files(FileAction::Clear, &engine.places.temporary).await else { return };
    while let Some(ProcessEvent::Output(_)) = work.next().await {}
}

async fn begin_cleanup(engine: &Engine, course: &mut Course) {
    // A phase that was given up has not ended.
    course.end(engine).await;
    course.begin(engine, Phase::Cleanup, "Cleaning up").await;
}

/// Ends all processes of the job; returns what is to be said about it.
async fn end_processes(engine: &Engine) -> Vec<String> {
    let mut hosts = vec![&engine.build];
    if !Arc::ptr_eq(&engine.build, &engine.sources) {
        hosts.push(&engine.sources);
    }
    let mut faults = Vec::new();
    for host in hosts {
        let mut limit = Limit::new(engine.stop.clone());
        if let Err(error) = end_all(&**host, engine.settings.grace, &mut limit).await {
            let text = format!("processes of the job may still run: failed to {}", error.chain());
            engine.events.job(&engine.job.id, JobEvent::Notice(text.clone()));
            faults.push(text);
        }
    }
    faults
}

/// Waits until a job that was told to stop has had more time for it than it can need. Something that cannot be
/// stopped holds it then: a log without room, or a file system that does not answer.
pub(crate) async fn overdue(mut stop: StopReceiver, grace: Duration) {
    let mut known = None;
    loop {
        let patience = match known {
            Some(Stop::Interrupt) => Some(grace.saturating_add(AFTER_KILL).saturating_mul(2)),
            Some(Stop::Abort) => Some(AFTER_KILL * 2),
            Some(Stop::Graceful { .. }) | None => None,
        };
        tokio::select! {
            biased;
            sharper = stop.sharper_than(known) => known = Some(sharper),
            () = wait(patience) => return,
        }
    }
}

async fn wait(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}
