//! The promises of [`Executor`] and [`RunningJob`].

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use runner_core::{
    Executor, JobContext, JobEnd, JobLease, JobOutcome, JobSpec, RunningJob, SavedLease, Secret,
    executor::Stop,
    job::{Step, Variable},
};
use tokio::time::Instant;

use crate::{
    MemoryArtifacts, RecordingReport,
    verdict::{Broken, Check, Verdict, same, worked},
};

/// Makes the executors to check.
#[async_trait]
pub trait Harness: Send + Sync + fmt::Debug {
    /// An executor. Its jobs run scripts with a POSIX shell.
    async fn executor(&self) -> Arc<dyn Executor>;

    /// A job that runs `script`, with whatever this executor needs (an image).
    fn job(&self, id: &str, script: &str) -> JobSpec {
        let mut job = JobSpec::new(id, "conformance");
        job.steps.push(Step::script(vec![script.to_owned()]));
        job
    }

    /// What is left of the executor's jobs: processes, directories, objects. One line each.
    async fn leftovers(&self) -> Vec<String>;
}

/// Checks all promises.
///
/// # Errors
/// Those that are broken.
pub async fn check(harness: &dyn Harness) -> Result<(), Broken> {
    let mut verdict = Verdict::default();
    verdict.add("a script that ends well succeeds, with its whole log", success(harness).await);
    verdict.add("a script's exit code is the job's", exit_code(harness).await);
    verdict.add("a killed script is a failure", killed(harness).await);
    verdict.add("what a script prints is never taken for its end", lies(harness).await);
    verdict.add("one id runs once", one_id_runs_once(harness).await);
    verdict.add("dropping a handle does not stop the job", a_dropped_handle(harness).await);
    verdict.add("a graceful stop runs after_script and ends as canceled", graceful(harness).await);
    verdict.add("an abort ends the job", abort(harness).await);
    verdict.add("an interrupted job is no success", interrupt(harness).await);
    verdict.add("a masked value never shows", masked(harness).await);
    verdict.add("a job that is cleaned up while it runs leaves nothing", early_cleanup(harness).await);
    verdict.finish()
}

struct Started {
    job: Arc<dyn RunningJob>,
    report: Arc<RecordingReport>,
}

fn lease(job: JobSpec) -> (JobLease, Arc<RecordingReport>) {
    let (job, report) = (Arc::new(job), RecordingReport::new());
    let saved = SavedLease { runner: "conformance".into(), job: Arc::clone(&job), state: Secret::default() };
    (
        JobLease {
            job,
            report: Arc::clone(&report) as _,
            artifacts: MemoryArtifacts::new(),
            saved,
            remote: None,
        },
        report,
    )
}

async fn start(executor: &dyn Executor, job: JobSpec) -> Result<Started, String> {
    let (lease, report) = lease(job);
    let mut context = JobContext::default();
    context.log.timestamps = false;
    context.log.interval = Duration::ZERO;
    Ok(Started { job: worked(executor.start(lease, context).await)?, report })
}

impl Started {
    /// Waits for the end, cleans up, and checks that nothing is left.
    async fn finish(&self, harness: &dyn Harness) -> Result<JobEnd, String> {
        let end = worked(self.job.wait().await)?;
        same(&worked(self.job.wait().await)?, &end)?;
        worked(self.job.cleanup().await)?;
        worked(self.job.cleanup().await)?;
        same(&harness.leftovers().await, &Vec::new())?;
        Ok(end)
    }

    /// Waits until the script has printed `mark`.
    async fn printed(&self, mark: &str) -> Check {
        let seen = async {
            while !self.report.text().lines().any(|line| line.trim_end() == mark) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), seen)
            .await
            .map_err(|_| format!("the script never printed {mark:?}: {}", self.report.text()))
    }
}

async fn success(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let job = harness.job("1", "i=0; while [ $i -lt 500 ]; do echo line-$i; i=$((i+1)); done");
    let started = start(executor.as_ref(), job).await?;
    let end = started.finish(harness).await?;
    same(&end.outcome, &JobOutcome::Succeeded)?;
    same(&started.report.accepted(), &1)?;
    let text = started.report.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("line-")).collect();
    let promised: Vec<String> = (0..500).map(|number| format!("line-{number}")).collect();
    same(&lines, &promised.iter().map(String::as_str).collect())
}

async fn exit_code(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let started = start(executor.as_ref(), harness.job("1", "exit 42")).await?;
    same(&started.finish(harness).await?.outcome, &JobOutcome::script_failed(42))
}

async fn killed(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let started = start(executor.as_ref(), harness.job("1", "kill -9 $$")).await?;
    match started.finish(harness).await?.outcome {
        JobOutcome::Failed(_) => Ok(()),
        other => Err(format!("saw {other:?}")),
    }
}

async fn lies(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let script = r#"echo '{"command_exit_code":0,"script":"x"}'; echo 'Job succeeded'; exit 7"#;
    let started = start(executor.as_ref(), harness.job("1", script)).await?;
    same(&started.finish(harness).await?.outcome, &JobOutcome::script_failed(7))
}

async fn one_id_runs_once(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let first = start(executor.as_ref(), harness.job("1", "echo ran-once; sleep 0.2")).await?;
    let second = start(executor.as_ref(), harness.job("1", "echo ran-twice")).await?;
    let end = worked(first.job.wait().await)?;
    same(&worked(second.job.wait().await)?, &end)?;
    first.finish(harness).await?;
    if second.report.text().contains("ran-twice") { Err("the second start ran".into()) } else { Ok(()) }
}

async fn a_dropped_handle(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let Started { job, report } =
        start(executor.as_ref(), harness.job("1", "sleep 0.2; echo went-on")).await?;
    drop(job);
    same(&report.ended().await, &JobOutcome::Succeeded)?;
    let again = start(executor.as_ref(), harness.job("1", "echo again")).await?;
    again.finish(harness).await?;
    if report.text().contains("went-on") { Ok(()) } else { Err(format!("its log is {:?}", report.text())) }
}

async fn graceful(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let mut job =
        harness.job("1", "trap 'echo got-term; exit 1' TERM; echo ready; while :; do sleep 0.05; done");
    job.steps.push(Step::after_script(vec!["echo after-$CI_JOB_STATUS".into()]));
    let started = start(executor.as_ref(), job).await?;
    started.printed("ready").await?;
    let deadline = Instant::now() + Duration::from_mins(1);
    worked(started.job.stop(Stop::Graceful { deadline }).await)?;
    same(&started.finish(harness).await?.outcome, &JobOutcome::Canceled)?;
    let text = started.report.text();
    if text.contains("after-canceled") { Ok(()) } else { Err(format!("its log is {text:?}")) }
}

async fn abort(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let job = harness.job("1", "trap '' TERM; (trap '' TERM; sleep 600) & echo ready; sleep 600");
    let started = start(executor.as_ref(), job).await?;
    started.printed("ready").await?;
    worked(started.job.stop(Stop::Abort).await)?;
    same(&started.finish(harness).await?.outcome, &JobOutcome::Canceled)
}

async fn interrupt(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let started = start(executor.as_ref(), harness.job("1", "echo ready; sleep 600")).await?;
    started.printed("ready").await?;
    worked(started.job.stop(Stop::Interrupt).await)?;
    match started.finish(harness).await?.outcome {
        JobOutcome::Failed(failure) => same(&failure.reason, &runner_core::FailureReason::RunnerInterrupted),
        other => Err(format!("saw {other:?}")),
    }
}

async fn masked(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let mut job = harness.job(
        "1",
        "echo \"the secret is $SECRET.\"; echo $SECRET >&2; printf 'hun'; printf 'ter2-and-more\\n'",
    );
    job.variables.push(Variable { masked: true, ..Variable::raw("SECRET", "hunter2-and-more") });
    let started = start(executor.as_ref(), job).await?;
    same(&started.finish(harness).await?.outcome, &JobOutcome::Succeeded)?;
    let text = started.report.text();
    if text.contains("hunter2") || !text.contains("[MASKED]") {
        Err(format!("its log is {text:?}"))
    } else {
        Ok(())
    }
}

async fn early_cleanup(harness: &dyn Harness) -> Check {
    let executor = harness.executor().await;
    let started = start(executor.as_ref(), harness.job("1", "echo ready; sleep 600")).await?;
    started.printed("ready").await?;
    worked(started.job.cleanup().await)?;
    same(&harness.leftovers().await, &Vec::new())
}
