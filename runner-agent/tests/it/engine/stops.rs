//! Stops and time limits, with real processes.

use std::time::Duration;

use runner_core::{FailureReason, JobEvent, JobOutcome, Phase, executor::Stop};
use tokio::time::Instant;

use super::{Bench, Result};

/// Whether `event` is the start of `phase`.
fn starts(event: &JobEvent, phase: Phase) -> bool {
    matches!(event, JobEvent::PhaseStarted(started) if *started == phase)
}

fn graceful() -> Stop {
    Stop::Graceful { deadline: Instant::now() + Duration::from_mins(1) }
}

#[tokio::test]
async fn a_graceful_stop_ends_the_script_and_runs_after_script() -> Result {
    let bench = Bench::new(&["sleep 1000"])?.after_script(&["echo \"status $CI_JOB_STATUS\""]);
    let (_stop, seen) = bench
        .start(|stop, event| {
            if starts(event, Phase::Script) {
                stop.stop(graceful());
            }
        })
        .await?;
    seen.ended(&JobOutcome::Canceled)?;
    seen.says(&["status canceled", "ERROR: Job failed: canceled"])
}

#[tokio::test]
async fn an_interruption_skips_after_script() -> Result {
    let bench = Bench::new(&["sleep 1000"])?.after_script(&["echo never"]);
    let (_stop, seen) = bench
        .start(|stop, event| {
            if starts(event, Phase::Script) {
                stop.stop(Stop::Interrupt);
            }
        })
        .await?;
    seen.failed(FailureReason::RunnerInterrupted)?;
    assert!(!seen.log.contains("never"), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn an_abort_does_not_wait_for_what_ignores_it() -> Result {
    let bench = Bench::new(&["trap '' TERM", "sleep 1000"])?;
    let (_stop, seen) = bench
        .start(|stop, event| {
            if starts(event, Phase::Script) {
                stop.stop(Stop::Abort);
            }
        })
        .await?;
    seen.ended(&JobOutcome::Canceled)
}

#[tokio::test]
async fn a_stop_ends_what_the_script_left_running_before_after_script_runs() -> Result {
    let mark = "sleep 98765.4321";
    let after =
        format!("if grep -alsz '{}' /proc/[0-9]*/cmdline | grep -v self; then echo alive; fi", "98765.4321");
    let script = format!("setsid {mark} & {mark}");
    let mut bench = Bench::new(&[&script])?.after_script(&[&after.replace("98765", "9876[5]")]);
    bench.job.timeout = Duration::from_millis(500);
    let seen = bench.run().await?;
    assert_eq!(seen.failed(FailureReason::JobExecutionTimeout)?, "execution took longer than 500ms");
    assert!(!seen.log.contains("\nalive"), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn time_that_runs_out_is_said_and_after_script_has_its_own() -> Result {
    let bench = Bench::new(&["sleep 1000"])?
        .after_script(&["echo after $CI_JOB_STATUS"])
        .variable("RUNNER_SCRIPT_TIMEOUT", "200ms");
    let seen = bench.run().await?;
    seen.failed(FailureReason::JobExecutionTimeout)?;
    seen.says(&["after failed", "ERROR: Job failed: execution took longer than 200ms"])?;

    let bench =
        Bench::new(&["true"])?.after_script(&["sleep 1000"]).variable("RUNNER_AFTER_SCRIPT_TIMEOUT", "200ms");
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["WARNING: after_script took longer than 200ms, which does not change the job's result"])
}
