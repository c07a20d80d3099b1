//! Runs one script of a job in a shell of its own.

use std::{sync::Arc, time::Duration};

use runner_core::{FailureReason, Result as CoreResult};
use tokio::time::{sleep, timeout};

use super::{
    Engine, attempts, colour,
    course::{Course, Obstacle, Phased},
    environment::{Environment, OWN_FOLDER},
    limit::{Halt, Limit},
    process::{AFTER_KILL, End, Output, Ran, run},
    shell::{Script, Shell, trace_would_disguise},
    written::Written,
};
use crate::host::{Command, Exit, Host};

/// A script, and where it runs.
pub(crate) struct ScriptRun<'a> {
    /// Names its file, and so the messages of its shell.
    pub(crate) name: &'a str,
    /// Its commands.
    pub(crate) commands: Vec<&'a str>,
    /// What runs it.
    pub(crate) host: &'a Arc<dyn Host>,
    /// The directory that it starts in.
    pub(crate) directory: &'a std::path::Path,
}

impl ScriptRun<'_> {
    /// Runs it within `limit`. When it is stopped, so is everything that it started.
    pub(crate) async fn run(
        self,
        engine: &Engine,
        environment: &Environment,
        course: &mut Course,
        limit: &mut Limit,
    ) -> Phased<End> {
        let (command, written) = self.command(engine, environment, limit).await?;
        course.script_begun = true;
        let ran = self.start(engine, environment, limit, command).await?;
        let end = course.took(engine, ran);
        course.look_at_memory(engine, &**self.host, limit).await;
        if end == End::Exited(Exit::Code(0)) && !written.unchanged().await? {
            let message =
                "the script's own file was changed while it ran, so nobody knows whether all of it ran";
            return Err(Obstacle::failed(FailureReason::ScriptFailure, message));
        }
        if matches!(end, End::Halted(halt) if halt != Halt::Aborted) {
            end_descendants(&**self.host, engine.settings.grace, limit).await;
        }
        Ok(end)
    }

    /// Writes the script's file; returns what runs it, and the file.
    async fn command(
        &self,
        engine: &Engine,
        environment: &Environment,
        limit: &mut Limit,
    ) -> Phased<(Command, Written)> {
        let of_host = limit.bound(self.host.environment()).await??.map(|base| environment.on(base));
        let environment = of_host.as_ref().unwrap_or(environment);
        let (pairs, exports) = environment.for_shell();
        let path = environment.path();
        let Some(program) = limit.bound(self.host.find(&["bash", "sh"], &path)).await?? else {
            let message = format!("neither bash nor sh is on PATH ({path}), so no script can run");
            return Err(Obstacle::failed(FailureReason::RunnerSystemFailure, message));
        };
        let (shell, flags) = Shell::at(&program);
        let trace = trace(engine, environment).await;
        let text = Script { commands: self.commands.clone(), exports, trace }.text(shell);
        let file = engine.places.temporary.join(OWN_FOLDER).join(self.name);
        let written = Written::create(file.clone(), text).await?;
        let ours = [engine.places.temporary.clone()];
        limit.bound(self.host.take_over(&ours)).await??;
        let mut arguments: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        arguments.push(file.to_string_lossy().into_owned());
        let directory = self.directory.to_owned();
        Ok((Command { program, arguments, environment: pairs, directory }, written))
    }

    /// Starts it, again where the host may do better next time. A script that was started is never started again.
    async fn start(
        &self,
        engine: &Engine,
        environment: &Environment,
        limit: &mut Limit,
        command: Command,
    ) -> Phased<Ran> {
        let mut warnings = Vec::new();
        let most = attempts::count(environment, "EXECUTOR_JOB_SECTION_ATTEMPTS", &mut warnings);
        for warning in warnings {
            engine.log.line(&colour::warning(&warning)).await;
        }
        let mut attempt = 1;
        loop {
            let output = Output::Log(&engine.log);
            match run(&**self.host, command.clone(), output, limit, engine.settings.grace).await {
                Ok(ran) => return Ok(ran),
                Err(error) if error.is_retryable() && attempt < most => {
                    let text = format!("failed to {}; trying again", error.chain());
                    engine.log.line(&colour::warning(&text)).await;
                    limit.bound(sleep(attempts::pause(attempt))).await?;
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether the shell shows everything that it does. It does not where that would show what masking cannot find.
async fn trace(engine: &Engine, environment: &Environment) -> bool {
    if !environment.is_true("CI_DEBUG_TRACE") {
        return false;
    }
    let masked = |secret: &&runner_core::job::Variable| secret.masked && trace_would_disguise(&secret.value);
    let refusal = if engine.settings.debug_trace_disabled {
        Some(String::from("this runner does not allow it"))
    } else {
        let disguised = environment.variables().0.iter().find(masked);
        disguised.map(|variable| {
            format!("a shell would show the masked variable {} in a form that cannot be masked", variable.key)
        })
    };
    if let Some(refusal) = &refusal {
        let text = format!("CI_DEBUG_TRACE has no effect: {refusal}");
        engine.log.line(&colour::warning(&text)).await;
    }
    refusal.is_none()
}

/// Ends what a script that was stopped left running. An abort makes it quick.
async fn end_descendants(host: &dyn Host, grace: Duration, limit: &mut Limit) {
    tokio::select! {
        biased;
        () = limit.aborted() => {}
        // What goes wrong here shows again at the end of the job, where it is said.
        _ended = timeout(grace.saturating_add(AFTER_KILL), host.end_all(grace)) => {}
    }
}

/// Ends every process on `host`: politely, but at once if the job is to end at once.
pub(crate) async fn end_all(host: &dyn Host, grace: Duration, limit: &mut Limit) -> CoreResult<()> {
    let too_long = || runner_core::Error::new(runner_core::ErrorKind::TimedOut, "end the job's processes");
    let politely = tokio::select! {
        biased;
        () = limit.aborted() => None,
        ended = timeout(grace.saturating_add(AFTER_KILL), host.end_all(grace)) => Some(ended),
    };
    let ended = match politely {
        Some(ended) => ended,
        None => timeout(AFTER_KILL, host.end_all(Duration::ZERO)).await,
    };
    ended.unwrap_or_else(|_| Err(too_long()))
}
