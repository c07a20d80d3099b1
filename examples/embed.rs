//! Another program that runs a CI job: `cargo run -p examples --example embed`.

use runner_agent::local::{LocalConfig, LocalExecutor};
use runner_core::{
    JobQueue, JobSpec, Runner,
    job::Step,
    run::{RunnerConfig, Shutdown},
};

fn main() -> anyhow::Result<()> {
    runner_agent::supervise::run_if_asked();
    tokio::runtime::Runtime::new()?.block_on(async {
        let queue = JobQueue::new("embed", |_, log| print!("{}", String::from_utf8_lossy(log)));
        let mut job = JobSpec::new("1", "greeting");
        job.steps.push(Step::script(vec!["echo \"hello from $CI_JOB_NAME\"".into()]));
        let greeting = queue.push(job);
        queue.close();

        let executor = LocalExecutor::new(LocalConfig::new(std::env::temp_dir().join("embed-builds")));
        let runner = Runner::builder().runner(RunnerConfig::new("embed", queue, executor)).build();
        runner.run(&Shutdown::new()).await;
        anyhow::ensure!(greeting.outcome().await.is_success(), "the job failed");
        Ok(())
    })
}
