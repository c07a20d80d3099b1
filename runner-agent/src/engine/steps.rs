//! The job's own scripts: its steps, its `after_script`, and its hooks.

use std::time::Duration;

use runner_core::{
    FailureReason,
    job::{HookName, Step},
};
use tokio::time::Instant;

use super::{
    Engine, colour,
    course::{Course, Obstacle, Phased, script_end},
    duration,
    environment::Environment,
    limit::{Halt, Limit},
    script::ScriptRun,
};

/// How long `after_script` may take where nothing else is said.
const AFTER_SCRIPT: Duration = Duration::from_mins(5);

/// The steps that there is something of to run.
pub(crate) fn main_steps(engine: &Engine) -> impl Iterator<Item = &Step> {
    engine.job.steps.iter().filter(|step| !step.is_after_script() && !step.script.is_empty())
}

/// The step that runs after the others, however they ended.
pub(crate) fn after_script(engine: &Engine) -> Option<&Step> {
    engine.job.steps.iter().find(|step| step.is_after_script() && !step.script.is_empty())
}

/// Runs the main steps. What stops them is noted in `course`.
pub(crate) async fn run_main(
    engine: &Engine,
    environment: &mut Environment,
    course: &mut Course,
    limit: &Limit,
) {
    let limit = match own_timeout(engine, environment, "RUNNER_SCRIPT_TIMEOUT").await {
        Some(allowed) => limit.clone().within(Instant::now(), allowed),
        None => limit.clone(),
    };
    for step in main_steps(engine) {
        if !step.when.applies(course.is_good()) {
            continue;
        }
        let mut limit = match step.timeout {
            Some(allowed) => limit.clone().within(Instant::now(), allowed),
            None => limit.clone(),
        };
        match run_step(engine, environment, course, &mut limit, step).await {
            Ok(()) => {}
            Err(Obstacle::Failed(failure))
                if step.allow_failure && failure.reason == FailureReason::ScriptFailure =>
            {
                let text = format!("{} failed ({}), which it is allowed to", step.name, failure.message);
                engine.log.line(&colour::warning(&text)).await;
            }
            Err(Obstacle::Halted(halt)) => return course.stopped_by(engine, Obstacle::Halted(halt)),
            Err(obstacle) => course.stopped_by(engine, obstacle),
        }
    }
}

async fn run_step(
    engine: &Engine,
    environment: &mut Environment,
    course: &mut Course,
    limit: &mut Limit,
    step: &Step,
) -> Phased {
    let expanded: Vec<String>;
    let mut commands: Vec<&str> = Vec::new();
    if step.name == "script" {
        commands.extend(hook_commands(engine, HookName::PreBuildScript));
        commands.extend(step.script.iter().map(String::as_str));
        commands.extend(hook_commands(engine, HookName::PostBuildScript));
    } else if step.name == "release" {
        // GitLab writes this step itself and leaves variables in it to the runner.
        let variables = environment.variables();
        expanded = step.script.iter().map(|command| variables.expand(command)).collect();
        commands.extend(expanded.iter().map(String::as_str));
    } else {
        commands.extend(step.script.iter().map(String::as_str));
    }
    let name = format!("step_{}", safe_name(&step.name));
    let script = ScriptRun { name: &name, commands, host: &engine.build, directory: &engine.places.project };
    let end = script.run(engine, environment, course, limit).await?;
    environment.read_added().await;
    script_end(end)
}

/// Runs `after_script`, if the job has one. It decides the outcome only if `AFTER_SCRIPT_IGNORE_ERRORS` is false.
pub(crate) async fn run_after(
    engine: &Engine,
    environment: &mut Environment,
    course: &mut Course,
    step: &Step,
) {
    let allowed = own_timeout(engine, environment, "RUNNER_AFTER_SCRIPT_TIMEOUT").await;
    let allowed = allowed.or(step.timeout).unwrap_or(AFTER_SCRIPT);
    let mut limit = Limit::new(engine.stop.clone()).outliving_cancel().within(Instant::now(), allowed);
    environment.set("CI_JOB_STATUS", course.outcome().status());
    let script = ScriptRun {
        name: "after_script",
        commands: step.script.iter().map(String::as_str).collect(),
        host: &engine.build,
        directory: &engine.places.project,
    };
    let ended = match script.run(engine, environment, course, &mut limit).await {
        Ok(end) => script_end(end),
        Err(obstacle) => Err(obstacle),
    };
    let (what, decides) = match &ended {
        Ok(()) => return,
        Err(Obstacle::Halted(Halt::TimedOut(allowed))) => {
            (format!("took longer than {}", duration::show(*allowed)), !errors_ignored(environment))
        }
        Err(Obstacle::Halted(_)) => (String::from("was stopped"), true),
        Err(Obstacle::Failed(failure)) if failure.reason == FailureReason::ScriptFailure => {
            (format!("failed ({})", failure.message), !errors_ignored(environment))
        }
        Err(Obstacle::Failed(failure)) => (format!("failed ({})", failure.message), true),
    };
    let consequence = if decides { "" } else { ", which does not change the job's result" };
    engine.log.line(&colour::warning(&format!("after_script {what}{consequence}"))).await;
    if let (Err(obstacle), true) = (ended, decides) {
        course.stopped_by(engine, obstacle);
    }
}

fn errors_ignored(environment: &Environment) -> bool {
    environment.value("AFTER_SCRIPT_IGNORE_ERRORS").is_empty()
        || environment.is_true("AFTER_SCRIPT_IGNORE_ERRORS")
}

/// Runs a hook of the sources, if the job has one.
pub(crate) async fn run_hook(
    engine: &Engine,
    environment: &Environment,
    course: &mut Course,
    limit: &mut Limit,
    (hook, directory): (HookName, &std::path::Path),
) -> Phased {
    let commands: Vec<&str> = hook_commands(engine, hook).collect();
    if commands.is_empty() {
        return Ok(());
    }
    let name = match hook {
        HookName::PreGetSourcesScript => "pre_get_sources_script",
        _ => "post_get_sources_script",
    };
    let script = ScriptRun { name, commands, host: &engine.sources, directory };
    script_end(script.run(engine, environment, course, limit).await?)
}

fn hook_commands(engine: &Engine, name: HookName) -> impl Iterator<Item = &str> {
    let hooks = engine.job.hooks.iter().filter(move |hook| hook.name == name);
    hooks.flat_map(|hook| hook.script.iter().map(String::as_str))
}

/// The time that a variable allows; `None` where it says nothing, nothing that can be understood, or no bound (`0`).
async fn own_timeout(engine: &Engine, environment: &Environment, key: &str) -> Option<Duration> {
    let text = environment.value(key);
    if text.trim().is_empty() {
        return None;
    }
    let allowed = runner_core::go_duration::parse(text);
    if allowed.is_none() {
        let text = format!("{key} is {text:?}, which is no time such as 10m or 1h30m: it has no effect");
        engine.log.line(&colour::warning(&text)).await;
    }
    allowed.filter(|allowed| !allowed.is_zero())
}

fn safe_name(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).take(64).collect()
}
