//! What hostile jobs, broken hosts, deaf sources and stops at any time leave: nothing, and a true outcome.

#![expect(clippy::unwrap_used, reason = "what cannot be prepared or seen is a failure of the test")]

use std::{fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use runner_agent::local::{LocalConfig, LocalExecutor};
use runner_core::{
    Error, ErrorKind, Executor, JobContext, JobLease, JobOutcome, JobReport, JobSpec, Result, RunningJob,
    SavedLease, Secret,
    executor::Stop,
    job::{ArtifactSpec, Step, Variable},
    outcome::LogDigest,
    source::{Completion, JobState, LogReply, Wish, WishAction},
};
use runner_testkit::{MemoryArtifacts, RecordingReport};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::supervise::program;

mod faulty_host;
mod random;

/// Longer than any of these jobs may take to end, on a machine that is busy.
const LONG: Duration = Duration::from_mins(1);

/// An executor with a directory of its own, in which nothing else is.
struct Bench {
    folder: TempDir,
    executor: Arc<LocalExecutor>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
        let executor = LocalExecutor::new(LocalConfig {
            supervisor: program(),
            environment: vec![("PATH".into(), path)],
            grace: Duration::from_millis(500),
            ..LocalConfig::new(folder.path().join("builds"))
        });
        Self { folder, executor }
    }

    async fn start(&self, job: JobSpec, report: Arc<dyn JobReport>) -> Result<Arc<dyn RunningJob>> {
        self.start_in(job, report, context()).await
    }

    async fn start_in(
        &self,
        mut job: JobSpec,
        report: Arc<dyn JobReport>,
        context: JobContext,
    ) -> Result<Arc<dyn RunningJob>> {
        job.variables.push(Variable::raw("FAULTS_MARK", self.mark()));
        let job = Arc::new(job);
        let saved = SavedLease { runner: "test".into(), job: Arc::clone(&job), state: Secret::default() };
        let lease = JobLease { job, report, artifacts: MemoryArtifacts::new(), saved, remote: None };
        timeout(LONG, self.executor.start(lease, context)).await.unwrap()
    }

    /// What is in the environment of each process of these jobs.
    fn mark(&self) -> String {
        self.folder.path().join("mark").display().to_string()
    }

    /// Whatever is left of these jobs: directories and processes.
    fn leftovers(&self) -> Vec<String> {
        let mut found = processes(&self.mark());
        if let Ok(entries) = fs::read_dir(self.folder.path().join("builds")) {
            found.extend(entries.map(|entry| entry.unwrap().path().display().to_string()));
        }
        found
    }

    /// Runs a job whose end arrives, and checks that nothing is left of it.
    async fn run(&self, job: JobSpec) -> JobOutcome {
        let running = self.start(job, RecordingReport::new()).await.unwrap();
        let end = timeout(LONG, running.wait()).await.unwrap().unwrap();
        running.cleanup().await.unwrap();
        assert_eq!(self.leftovers(), Vec::<String>::new());
        end.outcome
    }
}

fn context() -> JobContext {
    let mut context = JobContext::default();
    context.log.timestamps = false;
    context.log.interval = Duration::ZERO;
    context
}

fn job(script: &[&str]) -> JobSpec {
    let mut job = JobSpec::new("1", "job");
    job.steps.push(Step::script(script.iter().map(|&line| line.to_owned()).collect()));
    job
}

/// The processes with `mark` in their environment.
fn processes(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let process = entry.unwrap().path();
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        if String::from_utf8_lossy(&environment).contains(mark) {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            found.push(format!("{}: {}", process.display(), String::from_utf8_lossy(&line)));
        }
    }
    found
}

#[tokio::test]
async fn a_job_that_removes_its_directory_leaves_none() {
    let bench = Bench::new();
    assert_eq!(bench.run(job(&["cd /; rm -rf \"$CI_BUILDS_DIR\""])).await, JobOutcome::Succeeded);
    // It makes another one in its place.
    let script =
        "cd /; rm -rf \"$CI_BUILDS_DIR\"; mkdir -p \"$CI_BUILDS_DIR/x/y\"; chmod 0 \"$CI_BUILDS_DIR\"";
    assert_eq!(bench.run(job(&[script])).await, JobOutcome::Succeeded);
    let script = "cd /; rm -rf \"$CI_BUILDS_DIR\"; touch \"$CI_BUILDS_DIR\"";
    bench.run(job(&[script])).await;
}

#[tokio::test]
async fn a_job_that_removes_its_work_tree_has_nothing_to_keep() {
    let bench = Bench::new();
    let mut spec = job(&["cd /; rm -rf \"$CI_PROJECT_DIR\""]);
    spec.artifacts.push(ArtifactSpec { paths: vec!["*".into()], untracked: true, ..ArtifactSpec::default() });
    assert_eq!(bench.run(spec).await, JobOutcome::Succeeded);
}

#[tokio::test]
async fn cleaning_up_does_not_follow_links_that_the_job_made() {
    let bench = Bench::new();
    let victim = tempfile::tempdir().unwrap();
    for place in ["tmp/kept", "project/kept", "kept"] {
        fs::create_dir_all(victim.path().join(place)).unwrap();
    }
    let to = victim.path().display();
    for script in [
        format!("cd /; rm -rf \"$CI_BUILDS_DIR\"; ln -s {to} \"$CI_BUILDS_DIR\""),
        format!("rm -rf \"$RUNNER_TEMP_PROJECT_DIR\"; ln -s {to} \"$RUNNER_TEMP_PROJECT_DIR\""),
        format!("cd /; rm -rf \"$CI_PROJECT_DIR\"; ln -s {to} \"$CI_PROJECT_DIR\""),
    ] {
        assert_eq!(bench.run(job(&[&script])).await, JobOutcome::Succeeded);
        for place in ["tmp/kept", "project/kept", "kept"] {
            assert!(victim.path().join(place).exists(), "{script} made us remove {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_in_the_place_of_a_file_holds_no_job_up() {
    let bench = Bench::new();
    let mut spec = job(&["mkfifo \"$HOME/.gitconfig\"; rm -f \"$GITLAB_ENV\"; mkfifo \"$GITLAB_ENV\" pipe"]);
    let all = ArtifactSpec { paths: vec!["*".into()], untracked: true, ..ArtifactSpec::default() };
    spec.artifacts.push(all);
    assert_eq!(bench.run(spec).await, JobOutcome::Succeeded);
}

/// A report that does what it never should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// It panics when the job is accepted.
    PanicsAtStart,
    /// It panics when the log comes.
    PanicsAtLog,
    /// It panics when the end comes.
    PanicsAtEnd,
    /// The source takes the job and then never answers.
    Deaf,
    /// It wants a job canceled whose timeout has no end.
    Cancels,
}

#[async_trait]
impl JobReport for Wrong {
    async fn accept(&self) -> Result<Wish> {
        assert_ne!(*self, Self::PanicsAtStart, "a fault of the source");
        Ok(Wish::default())
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        assert_ne!(*self, Self::PanicsAtLog, "a fault of the source");
        if *self == Self::Deaf {
            return Err(Error::new(ErrorKind::Unavailable, "reach the source"));
        }
        let action = if *self == Self::Cancels { WishAction::CancelGracefully } else { WishAction::GoOn };
        let ack = runner_core::source::LogAck::UpTo(offset + bytes.len() as u64);
        Ok(LogReply { ack, wish: Wish { action, interval: None } })
    }

    async fn heartbeat(&self, _state: JobState) -> Result<Wish> {
        Ok(Wish::default())
    }

    async fn complete(&self, _outcome: &JobOutcome, _log: Option<LogDigest>) -> Result<Completion> {
        assert_ne!(*self, Self::PanicsAtEnd, "a fault of the source");
        Ok(Completion::Done)
    }
}

#[tokio::test]
async fn a_source_that_panics_leaves_nothing_of_its_job() {
    for wrong in [Wrong::PanicsAtStart, Wrong::PanicsAtLog, Wrong::PanicsAtEnd] {
        let bench = Bench::new();
        let script = "echo ready; (setsid sleep 1000 &); test $LONG = 0 || sleep 1000";
        let mut spec = job(&[script]);
        let is_long = if wrong == Wrong::PanicsAtLog { "1" } else { "0" };
        spec.variables.push(Variable::raw("LONG", is_long));
        if let Ok(running) = bench.start(spec, Arc::new(wrong)).await {
            let end = timeout(LONG, running.wait()).await.unwrap();
            assert!(end.is_err(), "{wrong:?}: {end:?}");
            running.cleanup().await.unwrap();
        }
        // What still ran would make it again.
        for _ in 0..20 {
            assert_eq!(bench.leftovers(), Vec::<String>::new(), "{wrong:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_job_whose_log_nobody_takes_is_cleaned_up_all_the_same() {
    let bench = Bench::new();
    let mut context = context();
    context.log.size = u64::MAX;
    let script = "head -c 30000000 /dev/zero | tr '\\0' x; sleep 1000";
    let running = bench.start_in(job(&[script]), Arc::new(Wrong::Deaf), context).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    running.stop(Stop::Abort).await.unwrap();
    timeout(LONG, running.cleanup()).await.unwrap().unwrap();
    assert_eq!(bench.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn a_job_without_a_bound_of_time_can_be_canceled() {
    let bench = Bench::new();
    let spec = JobSpec { timeout: Duration::MAX, ..job(&["echo ready; sleep 1000"]) };
    let running = bench.start(spec, Arc::new(Wrong::Cancels)).await.unwrap();
    let end = timeout(LONG, running.wait()).await.unwrap().unwrap();
    assert_eq!(end.outcome, JobOutcome::Canceled);
    running.cleanup().await.unwrap();
    assert_eq!(bench.leftovers(), Vec::<String>::new());
}
