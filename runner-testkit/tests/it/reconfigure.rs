//! A run loop whose runners change while it runs.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use runner_core::{
    JobSpec, Runner, SavedLease, Secret,
    run::{RunnerConfig, Shutdown, ShutdownLevel},
};
use runner_testkit::{FakeExecutor, FakeJob, ScriptedSource};

const ONE: NonZeroUsize = NonZeroUsize::MIN;

fn at_most(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(ONE)
}

fn config(source: &Arc<ScriptedSource>, executor: &Arc<FakeExecutor>) -> Arc<RunnerConfig> {
    Arc::new(RunnerConfig::new("fake", Arc::clone(source) as _, Arc::clone(executor) as _))
}

fn held(count: usize) -> Vec<JobSpec> {
    (0..count).map(|number| JobSpec::new(number.to_string(), "held")).collect()
}

fn runner(source: &Arc<ScriptedSource>, executor: &Arc<FakeExecutor>) -> Runner {
    Runner::builder().runner(RunnerConfig::clone(&config(source, executor))).build()
}

#[tokio::test(start_paused = true)]
async fn more_slots_are_used_at_once() {
    let source = ScriptedSource::new("fake", held(3));
    let executor = FakeExecutor::new([("held", FakeJob::RunsUntilReleased)]);
    let runner = runner(&source, &executor);
    let script = async {
        executor.running(1).await;
        runner.reconfigure(at_most(3), runner.runners());
        executor.running(3).await;
        for job in ["0", "1", "2"] {
            executor.release(job);
        }
    };
    let shutdown = Shutdown::new();
    let (summary, ()) = tokio::join!(runner.run(&shutdown), script);
    assert_eq!((summary.succeeded, executor.most_at_once()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_takes_the_place_of_another_leaves_its_jobs_alone() {
    let (old, new) = (ScriptedSource::open("fake"), ScriptedSource::open("fake"));
    old.push(JobSpec::new("1", "held"));
    let executor = FakeExecutor::new([("held", FakeJob::RunsUntilReleased)]);
    let runner = runner(&old, &executor);
    let shutdown = Shutdown::new();
    let script = async {
        executor.running(1).await;
        runner.reconfigure(at_most(2), vec![config(&new, &executor)]);
        new.push(JobSpec::new("2", "quick"));
        new.report("2").ended().await;
        old.push(JobSpec::new("3", "too late"));
        tokio::time::sleep(Duration::from_mins(10)).await;
        executor.release("1");
        old.report("1").ended().await;
        shutdown.raise(ShutdownLevel::Drain);
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), script);
    assert_eq!((summary.succeeded, executor.starts()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_runner_counts_the_jobs_of_its_earlier_config() {
    let (old, new) = (ScriptedSource::open("fake"), ScriptedSource::open("fake"));
    old.push(JobSpec::new("1", "held"));
    let executor = FakeExecutor::new([("held", FakeJob::RunsUntilReleased)]);
    let limited =
        |source| RunnerConfig { limit: Some(ONE), ..RunnerConfig::clone(&config(source, &executor)) };
    let runner = Runner::builder().concurrent(at_most(5)).runner(limited(&old)).build();
    let shutdown = Shutdown::new();
    let script = async {
        executor.running(1).await;
        runner.reconfigure(at_most(5), vec![Arc::new(limited(&new))]);
        new.push(JobSpec::new("2", "quick"));
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(executor.starts(), 1);
        executor.release("1");
        new.report("2").ended().await;
        shutdown.raise(ShutdownLevel::Drain);
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), script);
    assert_eq!((summary.succeeded, executor.most_at_once()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_comes_adopts_and_one_that_comes_again_does_not() {
    let (first, second) = (ScriptedSource::open("first"), ScriptedSource::open("second"));
    let executor = FakeExecutor::new([("held", FakeJob::RunsUntilReleased)]);
    let job = Arc::new(JobSpec::new("1", "quick"));
    executor.leave_behind(SavedLease { runner: "second".into(), job, state: Secret::default() });
    let named = |name: &str, source: &Arc<ScriptedSource>| {
        let (name, lease_name) = (name.to_owned(), name.to_owned());
        Arc::new(RunnerConfig { name, lease_name, ..RunnerConfig::clone(&config(source, &executor)) })
    };
    let runner = Runner::builder().runner(RunnerConfig::clone(&named("first", &first))).build();
    let shutdown = Shutdown::new();
    let script = async {
        runner.reconfigure(ONE, vec![named("first", &first), named("second", &second)]);
        second.report("1").ended().await;
        second.push(JobSpec::new("2", "held"));
        executor.running(1).await;
        runner.reconfigure(ONE, Vec::new());
        tokio::time::sleep(Duration::from_mins(1)).await;
        runner.reconfigure(ONE, vec![named("second", &second)]);
        tokio::time::sleep(Duration::from_mins(1)).await;
        executor.release("2");
        second.report("2").ended().await;
        shutdown.raise(ShutdownLevel::Drain);
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), script);
    assert_eq!((summary.succeeded, executor.starts()), (2, 1));
}
