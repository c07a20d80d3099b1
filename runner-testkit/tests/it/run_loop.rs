//! The run loop: slots, credit, drain, stop, adoption, and the truth about every job.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    Capacity, Error, ErrorKind, Event, EventSink, Executor, FailureReason, JobEvent, JobId, JobLease,
    JobOutcome, JobReport, JobSource, JobSpec, Result, Runner, SavedLease, Secret,
    outcome::LogDigest,
    run::{RunSummary, RunnerConfig, Shutdown, ShutdownLevel},
    source::{Completion, JobState, LogAck, LogReply, Wish},
};
use runner_testkit::{FakeExecutor, FakeJob, MemoryArtifacts, ScriptedSource};
use tokio::time;
use tokio_util::sync::CancellationToken;

fn jobs(names: &[&str]) -> Vec<JobSpec> {
    names.iter().map(|name| JobSpec::new(*name, *name)).collect()
}

fn at_most(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}

fn config(source: &Arc<ScriptedSource>, executor: &Arc<FakeExecutor>) -> RunnerConfig {
    RunnerConfig::new("fake", Arc::clone(source) as _, Arc::clone(executor) as _)
}

fn reason(outcome: Option<JobOutcome>) -> Option<FailureReason> {
    match outcome {
        Some(JobOutcome::Failed(failure)) => Some(failure.reason),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn each_outcome_is_reported_as_it_was() {
    let source = ScriptedSource::new("fake", jobs(&["good", "bad", "unplaced", "lost"]));
    let plan = [("bad", FakeJob::Fails(3)), ("unplaced", FakeJob::NeverStarts), ("lost", FakeJob::GetsLost)];
    let executor = FakeExecutor::new(plan);
    let summary = Runner::builder().runner(config(&source, &executor)).build().run(&Shutdown::new()).await;
    assert_eq!(summary, RunSummary { succeeded: 1, failed: 3, ..RunSummary::default() });
    assert_eq!(source.report("good").outcome(), Some(JobOutcome::Succeeded));
    assert_eq!(source.report("bad").outcome(), Some(JobOutcome::script_failed(3)));
    assert_eq!(reason(source.report("unplaced").outcome()), Some(FailureReason::RunnerSystemFailure));
    assert!(source.report("unplaced").text().contains("failed to find a place for the job"));
    assert_eq!(reason(source.report("lost").outcome()), Some(FailureReason::RunnerSystemFailure));
    assert_eq!(executor.leftovers(), []);
}

#[tokio::test(start_paused = true)]
async fn no_more_jobs_run_at_once_than_there_are_slots() {
    let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let source = ScriptedSource::new("fake", names.iter().map(|name| JobSpec::new(name, name)));
    let executor = FakeExecutor::new([]);
    let runner = Runner::builder().concurrent(at_most(3)).runner(config(&source, &executor)).build();
    assert_eq!(runner.run(&Shutdown::new()).await.succeeded, 20);
    assert!(executor.most_at_once() <= 3, "{}", executor.most_at_once());
    assert_eq!(executor.starts(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_runner_keeps_its_own_limit() {
    let source = ScriptedSource::new("fake", jobs(&["1", "2", "3", "4"]));
    let executor = FakeExecutor::new([]);
    let limited =
        RunnerConfig { limit: Some(at_most(1)), requests: at_most(2), ..config(&source, &executor) };
    let runner = Runner::builder().concurrent(at_most(4)).runner(limited).build();
    assert_eq!(runner.run(&Shutdown::new()).await.succeeded, 4);
    assert_eq!(executor.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_waits_does_not_keep_another_from_the_only_slot() {
    let (waiting, busy) = (ScriptedSource::open("waiting"), ScriptedSource::new("busy", jobs(&["1", "2"])));
    let executor = FakeExecutor::new([]);
    let runner =
        Runner::builder().runner(config(&waiting, &executor)).runner(config(&busy, &executor)).build();
    let shutdown = Shutdown::new();
    let seen_both = async {
        busy.report("2").ended().await;
        shutdown.raise(ShutdownLevel::Drain);
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), seen_both);
    assert_eq!(summary.succeeded, 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_comes_when_the_last_slot_is_taken_waits_and_then_runs() {
    let (first, second) = (ScriptedSource::open("a"), ScriptedSource::open("b"));
    let executor = FakeExecutor::new([("a", FakeJob::RunsUntilReleased), ("b", FakeJob::RunsUntilReleased)]);
    let runner =
        Runner::builder().runner(config(&first, &executor)).runner(config(&second, &executor)).build();
    let shutdown = Shutdown::new();
    let release = async {
        while first.requests() + second.requests() < 2 {
            tokio::task::yield_now().await;
        }
        for (source, job) in [(&first, "a"), (&second, "b")] {
            source.push(JobSpec::new(job, job));
            source.close();
        }
        executor.running(1).await;
        time::sleep(Duration::from_mins(2)).await;
        executor.release("a");
        executor.release("b");
        executor.started(2).await;
        executor.release("a");
        executor.release("b");
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), release);
    assert_eq!(summary.succeeded, 2);
    assert_eq!(executor.most_at_once(), 1);
    let heartbeats = first.report("a").heartbeats() + second.report("b").heartbeats();
    assert!(heartbeats >= 3, "a held job is kept alive at its source: {heartbeats}");
}

#[tokio::test(start_paused = true)]
async fn draining_takes_no_more_jobs_and_waits_for_those_that_run() {
    let source = ScriptedSource::open("fake");
    source.push(JobSpec::new("1", "running"));
    let executor = FakeExecutor::new([("running", FakeJob::RunsUntilReleased)]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let events = EventSink::new(move |event| {
        if let Event::Draining { running } = event {
            sink.lock().unwrap().push(running);
        }
    });
    let runner =
        Runner::builder().concurrent(at_most(2)).runner(config(&source, &executor)).events(events).build();
    let shutdown = Shutdown::new();
    let drain = async {
        executor.running(1).await;
        shutdown.raise(ShutdownLevel::Drain);
        time::sleep(Duration::from_secs(5)).await;
        source.push(JobSpec::new("2", "late"));
        executor.release("1");
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), drain);
    assert_eq!(summary, RunSummary { succeeded: 1, ..RunSummary::default() });
    assert_eq!(executor.starts(), 1);
    assert_eq!(*seen.lock().unwrap(), [1]);
}

#[tokio::test(start_paused = true)]
async fn two_levels_stop_running_jobs() {
    for (level, cancelled) in [
        (ShutdownLevel::Cancel(Duration::from_mins(1)), true),
        (ShutdownLevel::Abort, true),
        (ShutdownLevel::Interrupt, false),
    ] {
        let source = ScriptedSource::open("fake");
        source.push(JobSpec::new("1", "long"));
        let executor = FakeExecutor::new([("long", FakeJob::RunsUntilStopped)]);
        let runner = Runner::builder().runner(config(&source, &executor)).build();
        let shutdown = Shutdown::new();
        let stop = async {
            executor.running(1).await;
            shutdown.raise(level);
        };
        let (summary, ()) = tokio::join!(runner.run(&shutdown), stop);
        assert_eq!((summary.canceled == 1, summary.failed == 1), (cancelled, !cancelled), "{level:?}");
        assert_eq!(executor.leftovers(), []);
    }
}

/// Leaves while a job runs. Also returns the source.
async fn leave(executor: &Arc<FakeExecutor>) -> (RunSummary, Arc<ScriptedSource>) {
    let source = ScriptedSource::open("fake");
    source.push(JobSpec::new("1", "long"));
    let runner = Runner::builder().runner(config(&source, executor)).build();
    let shutdown = Shutdown::new();
    let leave = async {
        executor.running(1).await;
        shutdown.raise(ShutdownLevel::Leave);
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), leave);
    (summary, source)
}

#[tokio::test(start_paused = true)]
async fn leaving_stops_no_job() {
    let executor = FakeExecutor::new([("long", FakeJob::RunsUntilStopped)]);
    let (summary, source) = leave(&executor).await;
    assert_eq!(summary, RunSummary { left: 1, ..RunSummary::default() });
    assert_eq!(source.report("1").outcome(), None);
    assert_eq!(executor.leftovers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn leaving_interrupts_a_job_that_would_end_with_the_process() {
    let executor = FakeExecutor::bound([("long", FakeJob::RunsUntilStopped)]);
    let (summary, source) = leave(&executor).await;
    assert_eq!(summary, RunSummary { failed: 1, ..RunSummary::default() });
    assert_eq!(reason(source.report("1").outcome()), Some(FailureReason::RunnerInterrupted));
    assert_eq!(executor.leftovers(), []);
}

#[tokio::test(start_paused = true)]
async fn jobs_of_an_earlier_process_are_adopted_and_not_started_again() {
    let source = ScriptedSource::new("fake", []);
    let executor = FakeExecutor::new([]);
    for runner in ["fake", "another"] {
        let job = Arc::new(JobSpec::new(runner, runner));
        executor.leave_behind(SavedLease { runner: runner.into(), job, state: Secret::default() });
    }
    let summary = Runner::builder().runner(config(&source, &executor)).build().run(&Shutdown::new()).await;
    assert_eq!(summary.succeeded, 1);
    assert_eq!(executor.starts(), 0);
    assert_eq!(source.report("fake").outcome(), Some(JobOutcome::Succeeded));
    assert_eq!(source.report("another").outcome(), None);
}

fn saved(job: &str) -> SavedLease {
    SavedLease { runner: "fake".into(), job: Arc::new(JobSpec::new(job, job)), state: Secret::default() }
}

#[tokio::test(start_paused = true)]
async fn jobs_that_another_process_leaves_are_adopted_whenever_that_is() {
    let source = ScriptedSource::open("fake");
    let executor = FakeExecutor::new([("2", FakeJob::RunsUntilStopped)]);
    let runner = Runner::builder().concurrent(at_most(2)).runner(config(&source, &executor)).build();
    let shutdown = Shutdown::new();
    let orphan = async {
        for job in ["1", "2"] {
            time::sleep(Duration::from_hours(1)).await;
            executor.orphan(saved(job));
        }
        executor.running(1).await;
        executor.release("2");
        executor.running(0).await;
        shutdown.raise(ShutdownLevel::Drain);
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), orphan);
    assert_eq!(summary, RunSummary { succeeded: 2, ..RunSummary::default() });
    assert_eq!(executor.starts(), 0);
    assert!(executor.is_left());
}

#[tokio::test(start_paused = true)]
async fn a_runner_in_the_place_of_another_adopts_what_other_processes_leave() {
    let source = ScriptedSource::open("fake");
    let (old, new) = (FakeExecutor::new([]), FakeExecutor::new([]));
    let runner = Runner::builder().runner(config(&source, &old)).build();
    let shutdown = Shutdown::new();
    let change = async {
        tokio::task::yield_now().await;
        runner.reconfigure(at_most(1), vec![Arc::new(config(&source, &new))]);
        time::sleep(Duration::from_secs(1)).await;
        old.orphan(saved("left"));
        new.orphan(saved("adopted"));
        time::sleep(Duration::from_secs(1)).await;
        shutdown.raise(ShutdownLevel::Drain);
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), change);
    assert_eq!(summary, RunSummary { succeeded: 1, ..RunSummary::default() });
    assert_eq!(source.report("adopted").outcome(), Some(JobOutcome::Succeeded));
    assert!(new.is_left() && !old.is_left());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_another_process_has_taken_over_is_neither_reported_nor_cleaned_up() {
    let source = ScriptedSource::new("fake", jobs(&["1"]));
    let executor = FakeExecutor::new([("1", FakeJob::RunsUntilStopped)]);
    let runner = Runner::builder().runner(config(&source, &executor)).build();
    let shutdown = Shutdown::new();
    let take = async {
        executor.running(1).await;
        executor.take_over("1");
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), take);
    assert_eq!(summary, RunSummary::default());
    assert_eq!(source.report("1").outcome(), None);
    assert!(executor.cleaned().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_its_source_knows_no_more_is_removed() {
    let source = ScriptedSource::new("fake", []);
    let executor = FakeExecutor::new([]);
    source.forget("gone");
    let job = Arc::new(JobSpec::new("gone", "gone"));
    executor.leave_behind(SavedLease { runner: "fake".into(), job, state: Secret::default() });
    let summary = Runner::builder().runner(config(&source, &executor)).build().run(&Shutdown::new()).await;
    assert_eq!(summary, RunSummary::default());
    assert_eq!(executor.cleaned(), [JobId::new("gone")]);
    assert_eq!(executor.adoptable().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_again_later_each_time() {
    let source = ScriptedSource::new("fake", jobs(&["1"]));
    source.fail(3);
    let waits = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&waits);
    let events = EventSink::new(move |event| {
        if let Event::SourceFailed { again_in, .. } = event {
            sink.lock().unwrap().push(again_in.as_secs());
        }
    });
    let executor = FakeExecutor::new([]);
    let runner = Runner::builder().runner(config(&source, &executor)).events(events).build();
    assert_eq!(runner.run(&Shutdown::new()).await.succeeded, 1);
    assert_eq!(*waits.lock().unwrap(), [1, 2, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_lowest_free_slot_is_used() {
    let source = ScriptedSource::new("fake", jobs(&["1", "2", "3"]));
    let slots = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&slots);
    let events = EventSink::new(move |event| {
        if let Event::Job { event: JobEvent::Starting { slot }, .. } = event {
            sink.lock().unwrap().push(slot);
        }
    });
    let executor = FakeExecutor::new([]);
    Runner::builder().runner(config(&source, &executor)).events(events).build().run(&Shutdown::new()).await;
    assert_eq!(*slots.lock().unwrap(), [0, 0, 0]);
}

/// What the loop tells besides what happens within jobs.
async fn told(runner: RunnerConfig) -> Vec<String> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let events = EventSink::new(move |event| {
        let text = match event {
            Event::Asking { runner } => format!("asking {runner}"),
            Event::Asked { runner } => format!("asked {runner}"),
            Event::SourceFailed { runner, .. } => format!("failed {runner}"),
            Event::Received { runner, job, name, project, queued } => {
                format!("received {runner} {job} {name} {project} {queued:?}")
            }
            Event::Adopted { runner, job, name, project } => {
                format!("adopted {runner} {job} {name} {project}")
            }
            _ => return,
        };
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    });
    Runner::builder().runner(runner).events(events).build().run(&Shutdown::new()).await;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.clone()
}

#[tokio::test(start_paused = true)]
async fn it_is_told_how_a_source_is_asked_and_what_it_gives() {
    let mut job = JobSpec::new("1", "build");
    job.project.id = 7;
    job.queued = Some(Duration::from_secs(5));
    let source = ScriptedSource::new("fake", [job]);
    source.fail(1);
    let told = told(config(&source, &FakeExecutor::new([]))).await;
    let expected =
        ["asking fake", "failed fake", "asking fake", "asked fake", "received fake 1 build 7 Some(5s)"];
    assert_eq!(told[..5], expected);
    assert_eq!(told[5..], ["asking fake", "asked fake"], "nothing more comes");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_taken_over_is_told_once() {
    let (source, executor) = (ScriptedSource::new("fake", []), FakeExecutor::new([]));
    let mut job = JobSpec::new("1", "build");
    job.project.id = 7;
    executor.leave_behind(SavedLease { runner: "fake".into(), job: Arc::new(job), state: Secret::default() });
    executor.fail_adoptions(2);
    let told = told(config(&source, &executor)).await;
    let adopted: Vec<_> = told.iter().filter(|text| text.starts_with("adopted")).collect();
    assert_eq!(adopted, ["adopted fake 1 build 7"]);
}

/// A source of one job, whose end it cannot hear without a panic.
#[derive(Debug, Default)]
struct Panicking(std::sync::atomic::AtomicBool);

#[async_trait]
impl JobSource for Panicking {
    async fn next(&self, _: Capacity, _: &CancellationToken) -> Result<Option<JobLease>> {
        if self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Ok(None);
        }
        let job = Arc::new(JobSpec::new("lost", "lost"));
        let saved = SavedLease { runner: "fake".into(), job: Arc::clone(&job), state: Secret::default() };
        Ok(Some(JobLease {
            job,
            report: Arc::new(PanickingReport),
            artifacts: MemoryArtifacts::new(),
            saved,
            remote: None,
        }))
    }

    async fn resume(&self, _: SavedLease) -> Result<JobLease> {
        Err(Error::new(ErrorKind::NotFound, "resume a job"))
    }

    fn is_exhausted(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct PanickingReport;

#[async_trait]
impl JobReport for PanickingReport {
    async fn accept(&self) -> Result<Wish> {
        Ok(Wish::default())
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        Ok(LogReply { ack: LogAck::UpTo(offset + bytes.len() as u64), wish: Wish::default() })
    }

    async fn heartbeat(&self, _: JobState) -> Result<Wish> {
        Ok(Wish::default())
    }

    #[expect(clippy::panic, reason = "it is the fault that is to be survived")]
    async fn complete(&self, _: &JobOutcome, _: Option<LogDigest>) -> Result<Completion> {
        panic!("a fault of the source");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_that_panics_does_not_keep_a_job_from_being_cleaned_up() {
    let executor = FakeExecutor::new([("lost", FakeJob::GetsLost)]);
    let config = RunnerConfig::new("fake", Arc::new(Panicking::default()), Arc::clone(&executor) as _);
    let summary = Runner::builder().runner(config).build().run(&Shutdown::new()).await;
    assert_eq!(summary, RunSummary { failed: 1, ..RunSummary::default() });
    assert_eq!(executor.leftovers(), []);
}

#[tokio::test(start_paused = true)]
async fn patience_without_end_is_no_fault() {
    let source = ScriptedSource::new("fake", jobs(&["long"]));
    let executor = FakeExecutor::new([("long", FakeJob::RunsUntilStopped)]);
    let runner = Runner::builder().runner(config(&source, &executor)).build();
    let shutdown = Shutdown::new();
    let cancel = async {
        executor.running(1).await;
        shutdown.raise(ShutdownLevel::Cancel(Duration::MAX));
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), cancel);
    assert_eq!(summary, RunSummary { canceled: 1, ..RunSummary::default() });
    assert_eq!(executor.leftovers(), []);
}
