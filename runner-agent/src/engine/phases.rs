//! The phases of a job, in their order.

use std::{sync::Arc, time::Duration};

use runner_core::{JobEvent, Phase};
use tokio::time::{Instant, timeout};

use super::{
    Engine, clone_path, colour,
    course::{Course, Phased},
    environment::Environment,
    files,
    limit::Limit,
    script::end_all,
    sources, steps,
};

/// How long saving caches and uploading artifacts may take together, if the job's own time leaves less.
const AFTERWARDS: Duration = Duration::from_mins(10);

/// How long output of processes that have ended may take to arrive.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Runs all phases but the last one.
pub(crate) async fn work(engine: &mut Engine, course: &mut Course) {
    let start = Instant::now();
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
        course.begin(engine, Phase::Script, "Running the script").await;
        steps::run_main(engine, &mut environment, course, &limit).await;
        course.end(engine).await;
    }
    after_script(engine, &mut environment, course).await;
    let left = limit.remaining().unwrap_or_default().max(AFTERWARDS);
    let limit = Limit::new(engine.stop.clone()).outliving_cancel().within(Instant::now(), left);
    if let Err(obstacle) = keep(engine, &environment, course, limit).await {
        course.stopped_by(engine, obstacle);
    }
    course.heed(engine);
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
    got
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

/// Keeps what the job made.
async fn keep(_engine: &Engine, _environment: &Environment, _course: &mut Course, _limit: Limit) -> Phased {
    Ok(())
}

/// Ends what still runs and removes what the phases wrote. Nothing that stops the job stops this; an abort makes it
/// quick.
pub(crate) async fn clean_up(engine: &Engine, course: &mut Course) {
    course.begin(engine, Phase::Cleanup, "Cleaning up").await;
    let mut hosts = vec![&engine.build];
    if !Arc::ptr_eq(&engine.build, &engine.sources) {
        hosts.push(&engine.sources);
    }
    for host in hosts {
        let mut limit = Limit::new(engine.stop.clone());
        if let Err(error) = end_all(&**host, engine.settings.grace, &mut limit).await {
            let text = format!("processes of the job may still run: failed to {}", error.chain());
            engine.log.line(&colour::warning(&text)).await;
            engine.events.job(&engine.job.id, JobEvent::Notice(text));
        }
    }
    let leftovers = course.leftovers();
    let _all_arrived = timeout(LAST_OUTPUT, async { while leftovers.join_next().await.is_some() {} }).await;
    leftovers.abort_all();
    let temporary = engine.places.temporary.clone();
    let cleared = files::blocking("remove the job's file variables", move || files::clear(&temporary)).await;
    if let Err(error) = cleared {
        let text = format!("files that may hold secrets were left: failed to {}", error.chain());
        engine.log.line(&colour::warning(&text)).await;
        engine.events.job(&engine.job.id, JobEvent::Notice(text));
    }
    course.end(engine).await;
}
