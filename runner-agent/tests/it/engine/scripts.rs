//! Scripts in real shells.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use runner_core::{
    FailureReason, JobOutcome, Phase,
    job::{Hook, HookName, Step, Variable, When},
};

use super::{Bench, Result, content};

async fn in_both_shells(script: &[&str], check: impl Fn(&super::Seen) -> Result + Send + Sync) -> Result {
    let bench = Bench::new(script)?;
    check(&bench.run().await?)?;
    let mut bench = Bench::new(script)?;
    bench.only(&["sh", "cat", "ls", "sleep"])?;
    check(&bench.run().await?)
}

#[tokio::test]
async fn commands_share_one_shell_and_are_shown() -> Result {
    let script = [
        "cd /",
        "export A=1 && b=2",
        "f() { echo \"f $1\"; }",
        "pwd; f \"$A$b\"",
        "cat <<END\n  here $A\nEND",
        "alias",
        "",
        "echo 'it''s' \"$PWD\" # comment",
    ];
    in_both_shells(&script, |seen| {
        seen.succeeded()?;
        seen.says(&[
            "$ cd /",
            "$ pwd; f \"$A$b\"",
            "/",
            "f 12",
            "$ cat <<END # collapsed multi-line command",
            "  here 1",
            "$ echo 'it''s' \"$PWD\" # comment",
            "its /",
            "Job succeeded",
        ])
    })
    .await
}

#[tokio::test]
async fn the_first_failure_ends_the_step() -> Result {
    in_both_shells(&["echo one", "(exit 42)", "echo never"], |seen| {
        seen.ended(&JobOutcome::script_failed(42))?;
        assert!(!seen.log.contains("never"), "{}", seen.log);
        seen.says(&["one", "ERROR: Job failed: exit code 42"])
    })
    .await
}

#[tokio::test]
async fn a_failure_within_a_pipe_counts_in_bash() -> Result {
    Bench::new(&["false | true"])?.run().await?.ended(&JobOutcome::script_failed(1))
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() -> Result {
    in_both_shells(&["exit 0", "false"], super::Seen::succeeded).await?;
    in_both_shells(&["exit 255"], |seen| seen.ended(&JobOutcome::script_failed(255))).await?;
    in_both_shells(&["set +e", "false", "true"], super::Seen::succeeded).await?;
    in_both_shells(&["kill -KILL $$"], |seen| {
        assert_eq!(seen.failed(FailureReason::ScriptFailure)?, "killed by signal 9 (SIGKILL)");
        Ok(())
    })
    .await?;
    in_both_shells(&["sh -c 'kill -KILL $$'"], |seen| seen.ended(&JobOutcome::script_failed(137))).await
}

#[tokio::test]
async fn what_a_script_prints_is_no_result() -> Result {
    in_both_shells(&["echo '{\"command_exit_code\": 0, \"script\": \"x\"}'", "exit 3"], |seen| {
        seen.ended(&JobOutcome::script_failed(3))
    })
    .await
}

#[tokio::test]
async fn what_stands_before_a_syntax_error_runs() -> Result {
    in_both_shells(&["echo one", "echo two", "if then (", "echo never"], |seen| {
        let JobOutcome::Failed(failure) = &seen.end.outcome else { return Err("it succeeded".into()) };
        assert_eq!(failure.exit_code, Some(2));
        seen.says(&["one", "two"])
    })
    .await?;
    in_both_shells(&["echo one", "echo 'open", "echo two"], |seen| {
        assert!(!seen.end.outcome.is_success());
        seen.says(&["one"])
    })
    .await
}

#[tokio::test]
async fn a_script_that_empties_its_own_file_is_no_success() -> Result {
    // Longer than what a shell reads at once, and cut anywhere it is no mistake of syntax.
    let empty = "for file in \"$RUNNER_TEMP_PROJECT_DIR\"/.runner/*; do : > \"$file\"; done";
    let script = format!("echo one\n{empty}\n{}exit 7", "# a line that does nothing\n".repeat(20_000));
    in_both_shells(&[&script], |seen| {
        let JobOutcome::Failed(failure) = &seen.end.outcome else { return Err("it succeeded".into()) };
        assert!(failure.message.contains("changed while it ran"), "{}", failure.message);
        seen.says(&["one"])
    })
    .await
}

#[tokio::test]
async fn a_script_may_remove_its_own_file() -> Result {
    let seen = Bench::new(&["rm -r \"$RUNNER_TEMP_PROJECT_DIR\"/.runner", "echo one"])?.run().await?;
    seen.succeeded()?;
    seen.says(&["one"])
}

#[tokio::test]
async fn a_compound_command_may_be_split_over_several_entries() -> Result {
    in_both_shells(&["if true; then", "echo yes", "fi"], |seen| {
        seen.succeeded()?;
        seen.says(&["yes"])
    })
    .await
}

#[tokio::test]
async fn standard_input_is_empty() -> Result {
    in_both_shells(&["cat", "read line || echo nothing"], |seen| {
        seen.succeeded()?;
        seen.says(&["nothing"])
    })
    .await
}

#[tokio::test]
async fn traps_run_and_keep_the_exit_code() -> Result {
    in_both_shells(&["trap 'echo bye' EXIT", "exit 7"], |seen| {
        seen.ended(&JobOutcome::script_failed(7))?;
        seen.says(&["bye"])
    })
    .await
}

#[tokio::test]
async fn redefined_builtins_do_not_hide_commands() -> Result {
    in_both_shells(&["printf() { :; }", "echo() { :; }", "true shown"], |seen| {
        seen.succeeded()?;
        seen.says(&["$ true shown"])
    })
    .await
}

#[tokio::test]
async fn files_for_the_shells_start_do_not_run_but_reach_children() -> Result {
    let mut bench = Bench::new(&["echo $- \"$BASH_ENV\"", "bash -c 'true'"])?;
    let startup = bench.folder.path().join("startup");
    std::fs::write(&startup, "echo startup")?;
    bench.settings.environment.push(("BASH_ENV".into(), "/does/not/exist".into()));
    let bench = bench.variable("BASH_ENV", startup.to_string_lossy());
    let seen = bench.run().await?;
    seen.succeeded()?;
    assert_eq!(seen.log.matches("\nstartup\n").count(), 1, "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn after_script_runs_in_a_shell_of_its_own_and_knows_how_the_job_went() -> Result {
    let after = ["echo \"after: $CI_JOB_STATUS, $PWD, [$B]\"", "exit 9"];
    let seen = Bench::new(&["cd /", "export B=1"])?.after_script(&after).run().await?;
    seen.succeeded()?;
    let project = Bench::project;
    let bench = Bench::new(&["false"])?.after_script(&after);
    let line = format!("after: failed, {}, []", project(&bench).display());
    let seen = bench.run().await?;
    seen.ended(&JobOutcome::script_failed(1))?;
    seen.says(&[
        &line,
        "WARNING: after_script failed (exit code 9), which does not change the job's result",
    ])?;
    assert!(seen.end.phases.iter().any(|record| record.phase == Phase::AfterScript));
    Ok(())
}

#[tokio::test]
async fn after_script_decides_where_its_errors_are_not_ignored() -> Result {
    let bench =
        Bench::new(&["true"])?.after_script(&["exit 9"]).variable("AFTER_SCRIPT_IGNORE_ERRORS", "false");
    bench.run().await?.ended(&JobOutcome::script_failed(9))
}

#[tokio::test]
async fn steps_run_as_their_when_says() -> Result {
    let mut bench = Bench::new(&["false"])?.variable("TAG", "v1");
    let step = |name: &str, line: &str, when| Step {
        name: name.into(),
        script: vec![line.into()],
        when,
        ..Step::default()
    };
    bench.job.steps.push(step("release", "echo never", When::OnSuccess));
    bench.job.steps.push(step("rescue", "echo rescue", When::OnFailure));
    bench.job.steps.push(step("report", "echo report", When::Always));
    let seen = bench.run().await?;
    seen.ended(&JobOutcome::script_failed(1))?;
    seen.says(&["rescue", "report"])?;
    assert!(!seen.log.contains("never"));

    bench.job.steps[0].allow_failure = true;
    bench.job.steps[1].script = vec!["echo '$TAG'".into()];
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["WARNING: script failed (exit code 1), which it is allowed to", "v1", "report"])?;
    assert!(!seen.log.contains("rescue"));
    Ok(())
}

#[tokio::test]
async fn hooks_run_around_the_script_in_its_shell() -> Result {
    let mut bench = Bench::new(&["echo \"script $A\""])?;
    let hook = |name, line: &str| Hook { name, script: vec![line.into()] };
    bench.job.hooks.push(hook(HookName::PreBuildScript, "A=1"));
    bench.job.hooks.push(hook(HookName::PostBuildScript, "echo \"post $A\""));
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["script 1", "post 1"])
}

#[tokio::test]
async fn variables_reach_the_script_and_files_hold_their_content() -> Result {
    let mut bench = Bench::new(&[
        "cat \"$CONFIG\"; echo",
        "echo \"$PLAIN|$CI_PROJECT_DIR|$CI_BUILDS_DIR|$CI|$CI_SERVER|$CI_JOB_STATUS|$CI_CONCURRENT_ID\"",
        "echo \"$ODD\"",
        "ls -l \"$CONFIG\"",
    ])?;
    bench.job.variables.push(Variable { file: true, ..Variable::new("CONFIG", "name: $PLAIN") });
    bench.job.variables.push(Variable::raw("PLAIN", "a b"));
    bench.job.variables.push(Variable::raw("ODD", "'\"`$(echo x)\\n\n;&|äö\u{1b}"));
    bench.job.variables.push(Variable::raw("BAD=KEY", "x"));
    let seen = bench.run().await?;
    seen.succeeded()?;
    let line = format!(
        "a b|{}|{}|true|yes|running|0",
        bench.project().display(),
        bench.settings.builds_dir.display()
    );
    seen.says(&["name: a b", &line, "'\"`$(echo x)\\n"])?;
    assert!(seen.log.contains("-rw-------"), "{}", seen.log);
    assert!(seen.log.contains("the variable \"BAD=KEY\" is left out"), "{}", seen.log);
    assert!(!bench.places().temporary.join("CONFIG").exists());
    Ok(())
}

#[tokio::test]
async fn a_script_sets_variables_for_what_comes_later() -> Result {
    let script = ["echo \"TOKEN=abc=d\" >> $GITLAB_ENV", "echo \"now [$TOKEN]\""];
    let seen = Bench::new(&script)?.after_script(&["echo \"later $TOKEN\""]).run().await?;
    seen.succeeded()?;
    seen.says(&["now []", "later abc=d"])
}

#[tokio::test]
async fn tracing_shows_commands_unless_that_would_leak() -> Result {
    let traced = Bench::new(&["A=1"])?.variable("CI_DEBUG_TRACE", "true");
    let seen = traced.run().await?;
    seen.says(&["+ A=1"])?;

    let mut leaking = Bench::new(&["A=1"])?.variable("CI_DEBUG_TRACE", "true");
    leaking.job.variables.push(Variable { masked: true, ..Variable::raw("SECRET", "it's a secret") });
    let seen = leaking.run().await?;
    seen.succeeded()?;
    assert!(!seen.log.contains("+ A=1") && seen.log.contains("CI_DEBUG_TRACE has no effect"), "{}", seen.log);

    let mut refused = Bench::new(&["A=1"])?.variable("CI_DEBUG_TRACE", "true");
    refused.settings.debug_trace_disabled = true;
    let seen = refused.run().await?;
    assert!(!seen.log.contains("+ A=1"), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn a_script_as_long_as_a_book_runs() -> Result {
    let long = format!(": '{}'\necho done", "x".repeat(3 << 20));
    let seen = Bench::new(&[&long, "echo end"])?.run().await?;
    seen.succeeded()?;
    seen.says(&["done", "end"])
}

#[tokio::test]
async fn variables_too_large_for_any_process_are_a_plain_error() -> Result {
    let bench = Bench::new(&["true"])?.variable("LARGE", "x".repeat(300_000));
    let seen = bench.run().await?;
    assert!(!seen.end.outcome.is_success());
    seen.failed(FailureReason::ConfigurationError)?;
    Ok(())
}

#[tokio::test]
async fn without_any_shell_the_job_says_so() -> Result {
    let mut bench = Bench::new(&["true"])?;
    bench.settings.environment.retain(|(key, _)| key != "PATH");
    bench.settings.environment.push(("PATH".into(), bench.folder.path().to_string_lossy().into_owned()));
    let seen = bench.run().await?;
    assert!(seen.failed(FailureReason::RunnerSystemFailure)?.contains("neither bash nor sh"));
    assert!(!seen.end.script_begun);
    Ok(())
}

#[tokio::test]
async fn a_path_without_bash_takes_sh() -> Result {
    let mut bench = Bench::new(&["echo \"[$BASH_VERSION]\""])?;
    bench.only(&["sh", "cat", "ls", "sleep"])?;
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["[]"])
}

#[tokio::test]
async fn what_a_script_left_running_may_print_and_is_ended() -> Result {
    let bench = Bench::new(&[
        "(trap 'echo ended; exit' TERM; echo started; touch ready; while :; do sleep 0.01; done) &",
        "while [ ! -e ready ]; do sleep 0.01; done",
    ])?;
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["started", "ended", "Job succeeded"])
}

#[tokio::test]
async fn a_work_tree_of_ones_own_choice_stays_inside() -> Result {
    let bench = Bench::new(&["pwd"])?.variable("GIT_CLONE_PATH", "/etc");
    let seen = bench.run().await?;
    seen.failed(FailureReason::ConfigurationError)?;
    let bench = Bench::new(&["pwd; echo $CI_PROJECT_DIR"])?;
    let wanted = bench.places().root.join("go/src/x");
    let bench = bench.variable("GIT_CLONE_PATH", wanted.to_string_lossy());
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&[&wanted.to_string_lossy(), &wanted.to_string_lossy()])
}

#[tokio::test]
async fn phases_are_recorded_with_what_they_used() -> Result {
    let bench = Bench::new(&["i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"])?;
    let seen = bench.run().await?;
    seen.succeeded()?;
    let phases: Vec<_> = seen.end.phases.iter().map(|record| record.phase).collect();
    assert_eq!(phases, [Phase::Prepare, Phase::GetSources, Phase::Script, Phase::Cleanup]);
    let script = seen.end.phases.iter().find(|record| record.phase == Phase::Script);
    let usage = script.ok_or("no script")?.usage;
    assert!(usage.cpu > Duration::ZERO && usage.peak_memory > 0, "{usage:?}");
    Ok(())
}

#[tokio::test]
async fn leftovers_of_an_earlier_job_are_not_followed() -> Result {
    let bench = Bench::new(&["true"])?;
    let places = bench.places();
    std::fs::create_dir_all(&places.temporary)?;
    let victim = bench.folder.path().join("victim");
    std::fs::write(&victim, "mine")?;
    std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o644))?;
    std::os::unix::fs::symlink(&victim, places.temporary.join("gitlab_runner_env"))?;
    bench.run().await?.succeeded()?;
    assert_eq!(content(&victim), "mine");
    Ok(())
}
