//! A home-made executor: each job is one call of a function. `cargo run -p examples --example custom_executor`.
//!
//! It keeps the promises of [`Executor`] that make sense without an environment: one id runs once, the end is a
//! value, `wait` gives everybody the same one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use runner_core::{
    Error, ErrorKind, Executor, Finding, JobContext, JobEnd, JobHandle, JobId, JobLease, JobOutcome,
    JobQueue, JobSpec, Result, Runner, RunningJob,
    executor::Stop,
    job::Step,
    log::{JobLog, Masks, MemorySpool},
    report::Reporter,
    run::{RunnerConfig, Shutdown},
};
use tokio_util::sync::CancellationToken;

/// "Runs" a script: its commands are words, and the word `fail` fails.
fn interpret(command: &str) -> Option<String> {
    (command != "fail").then(|| command.to_uppercase())
}

#[derive(Debug, Default)]
struct Shouting {
    jobs: Mutex<BTreeMap<JobId, Arc<Done>>>,
}

#[derive(Debug)]
struct Done {
    id: JobId,
    end: JobEnd,
}

impl Shouting {
    async fn run(lease: &JobLease, context: &JobContext) -> Result<JobEnd> {
        lease.report.accept().await?;
        let spool = Arc::new(MemorySpool::new());
        let log = JobLog::new(&context.log, Masks::default(), false, Arc::clone(&spool) as _);
        let mut outcome = JobOutcome::Succeeded;
        for command in lease.job.steps.iter().flat_map(|step| &step.script) {
            match interpret(command) {
                Some(shout) => log.line(&shout).await,
                None => outcome = JobOutcome::script_failed(1),
            }
        }
        let log = log.finish().await;
        let finished = CancellationToken::new();
        finished.cancel();
        Reporter::new(Arc::clone(&lease.report), spool, context.log.interval).run(&finished).await;
        // Not reported yet: the run loop does it.
        Ok(JobEnd { outcome, reported: false, script_begun: true, log: Some(log), phases: Vec::new() })
    }
}

#[async_trait]
impl Executor for Shouting {
    async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }

    async fn start(&self, lease: JobLease, context: JobContext) -> Result<Arc<dyn RunningJob>> {
        let id = lease.job.id.clone();
        if let Some(done) = self.jobs.lock().expect("no panic").get(&id) {
            return Ok(Arc::clone(done) as _);
        }
        let done = Arc::new(Done { end: Self::run(&lease, &context).await?, id: id.clone() });
        self.jobs.lock().expect("no panic").insert(id, Arc::clone(&done));
        Ok(done)
    }

    async fn adoptable(&self) -> Result<Vec<JobHandle>> {
        Ok(Vec::new())
    }

    async fn adopt(&self, handle: JobHandle, _: JobLease, _: JobContext) -> Result<Arc<dyn RunningJob>> {
        Err(Error::new(ErrorKind::NotFound, "adopt a job of an earlier process").with("job", handle.job))
    }

    async fn discard(&self, _: JobHandle) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl RunningJob for Done {
    fn handle(&self) -> JobHandle {
        JobHandle { job: self.id.clone(), saved: None }
    }

    async fn wait(&self) -> Result<JobEnd> {
        Ok(self.end.clone())
    }

    async fn stop(&self, _: Stop) -> Result<()> {
        Ok(())
    }

    async fn cleanup(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let queue = JobQueue::new("shouting", |id, log| print!("{id}: {}", String::from_utf8_lossy(log)));
    for (id, word) in [("1", "hello"), ("2", "fail")] {
        let mut job = JobSpec::new(id, word);
        job.steps.push(Step::script(vec![word.into()]));
        queue.push(job);
    }
    queue.close();
    let executor = Arc::new(Shouting::default());
    let runner = Runner::builder().runner(RunnerConfig::new("shouting", queue, executor)).build();
    let summary = runner.run(&Shutdown::new()).await;
    println!("{} succeeded, {} failed", summary.succeeded, summary.failed);
    anyhow::ensure!((summary.succeeded, summary.failed) == (1, 1), "one of each was expected");
    Ok(())
}
