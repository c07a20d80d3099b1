//! Adoption by the run loop where it does not work at once.

use std::{sync::Arc, time::Duration};

use runner_core::{
    JobOutcome, JobSpec, Runner, SavedLease, Secret,
    run::{RunSummary, RunnerConfig, Shutdown, ShutdownLevel},
};
use runner_testkit::{FakeExecutor, FakeJob, ScriptedSource};
use tokio::time::Instant;

fn leave_behind(executor: &FakeExecutor, job: &str) {
    let job = Arc::new(JobSpec::new(job, job));
    executor.leave_behind(SavedLease { runner: "fake".into(), job, state: Secret::default() });
}

fn runner(source: &Arc<ScriptedSource>, executor: &Arc<FakeExecutor>) -> Runner {
    let config = RunnerConfig::new("fake", Arc::clone(source) as _, Arc::clone(executor) as _);
    Runner::builder().runner(config).build()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_adopted_at_once_is_adopted_later() {
    let source = ScriptedSource::new("fake", []);
    let executor = FakeExecutor::new([]);
    leave_behind(&executor, "1");
    leave_behind(&executor, "2");
    executor.fail_adoptions(3);
    let summary = runner(&source, &executor).run(&Shutdown::new()).await;
    assert_eq!(summary, RunSummary { succeeded: 2, ..RunSummary::default() });
    assert_eq!(executor.starts(), 0);
    assert_eq!(executor.leftovers(), []);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_adoption_takes_long_holds_up_no_other() {
    let source = ScriptedSource::open("fake");
    let executor = FakeExecutor::new([]);
    leave_behind(&executor, "slow");
    leave_behind(&executor, "quick");
    executor.slow_adoption("slow", Duration::from_mins(5));
    let start = Instant::now();
    let in_between = async {
        source.report("quick").ended().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        source.report("slow").ended().await;
        source.close();
    };
    let (runner, shutdown) = (runner(&source, &executor), Shutdown::new());
    let (summary, ()) = tokio::join!(runner.run(&shutdown), in_between);
    assert_eq!(summary, RunSummary { succeeded: 2, ..RunSummary::default() });
}

#[tokio::test(start_paused = true)]
async fn new_jobs_are_taken_while_those_of_an_earlier_process_cannot_be_listed() {
    let source = ScriptedSource::open("fake");
    source.push(JobSpec::new("new", "new"));
    let executor = FakeExecutor::new([]);
    leave_behind(&executor, "old");
    executor.fail_lists(6);
    let in_between = async {
        source.report("new").ended().await;
        assert_eq!(source.report("old").outcome(), None);
        let old = source.report("old");
        let ended = tokio::time::timeout(Duration::from_hours(1), old.ended()).await;
        assert_eq!(ended, Ok(JobOutcome::Succeeded));
        source.close();
    };
    let (runner, shutdown) = (runner(&source, &executor), Shutdown::new());
    let (summary, ()) = tokio::join!(runner.run(&shutdown), in_between);
    assert_eq!(summary, RunSummary { succeeded: 2, ..RunSummary::default() });
    assert_eq!(executor.starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_two_minutes_for_what_is_not_adopted() {
    let source = ScriptedSource::open("fake");
    let executor = FakeExecutor::new([]);
    leave_behind(&executor, "old");
    executor.fail_adoptions(usize::MAX);
    let (runner, shutdown) = (runner(&source, &executor), Shutdown::new());
    let drain = async {
        tokio::time::sleep(Duration::from_hours(1)).await;
        shutdown.raise(ShutdownLevel::Drain);
        Instant::now()
    };
    let (summary, drained) = tokio::join!(runner.run(&shutdown), drain);
    assert_eq!(summary, RunSummary { left: 1, ..RunSummary::default() });
    assert_eq!(drained.elapsed(), Duration::from_mins(2));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_adopted_while_the_loop_cancels_is_canceled() {
    let source = ScriptedSource::open("fake");
    let executor = FakeExecutor::new([("old", FakeJob::RunsUntilStopped)]);
    leave_behind(&executor, "old");
    executor.fail_adoptions(3);
    let (runner, shutdown) = (runner(&source, &executor), Shutdown::new());
    shutdown.raise(ShutdownLevel::Cancel(Duration::from_mins(1)));
    let summary = runner.run(&shutdown).await;
    assert_eq!(summary, RunSummary { canceled: 1, ..RunSummary::default() });
    assert_eq!(executor.leftovers(), []);
}

#[tokio::test(start_paused = true)]
async fn leaving_waits_for_no_adoption() {
    let source = ScriptedSource::open("fake");
    let executor = FakeExecutor::new([]);
    leave_behind(&executor, "old");
    executor.fail_adoptions(usize::MAX);
    let (runner, shutdown) = (runner(&source, &executor), Shutdown::new());
    let leave = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        shutdown.raise(ShutdownLevel::Leave);
        Instant::now()
    };
    let (summary, left) = tokio::join!(runner.run(&shutdown), leave);
    assert_eq!(summary, RunSummary { left: 1, ..RunSummary::default() });
    assert_eq!(left.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_handed_out_again_before_it_is_adopted_runs_once() {
    let source = ScriptedSource::new("fake", [JobSpec::new("old", "old")]);
    let executor = FakeExecutor::new([("old", FakeJob::RunsUntilReleased)]);
    leave_behind(&executor, "old");
    executor.fail_adoptions(1);
    let release = async {
        executor.running(1).await;
        tokio::time::sleep(Duration::from_mins(1)).await;
        executor.release("old");
    };
    let (runner, shutdown) = (runner(&source, &executor), Shutdown::new());
    let (summary, ()) = tokio::join!(runner.run(&shutdown), release);
    assert_eq!(summary, RunSummary { succeeded: 1, ..RunSummary::default() });
    assert_eq!(executor.starts(), 1);
}
