//! The local executor, with real processes, shells and directories.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use runner_agent::{
    local::{LocalConfig, LocalExecutor},
    supervise::SupervisorProgram,
};
use runner_core::{
    ArtifactStore, ArtifactUpload, ErrorKind, Executor, FailureReason, JobContext, JobLease, JobOutcome,
    JobSpec, Phase, RunningJob, SavedLease, Secret, Severity,
    artifact::ByteStream,
    executor::Stop,
    job::{Dependency, DependencyFile, Step},
    source::WishAction,
};
use runner_testkit::{MemoryArtifacts, RecordingReport, ReportFault, executor_suite};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::supervise::program;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// An executor with a directory of its own, and what its jobs are seen to do.
#[derive(Debug)]
struct Bench {
    folder: TempDir,
    executor: Arc<LocalExecutor>,
}

/// A job that was started.
struct Started {
    job: Arc<dyn RunningJob>,
    report: Arc<RecordingReport>,
}

fn config(builds: &Path) -> LocalConfig {
    let path = std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
    LocalConfig {
        supervisor: program(),
        environment: vec![("PATH".into(), path)],
        grace: Duration::from_secs(5),
        ..LocalConfig::new(builds)
    }
}

fn job(id: &str, script: &[&str]) -> JobSpec {
    let mut job = JobSpec::new(id, format!("job {id}"));
    job.steps.push(Step::script(script.iter().map(|&line| line.to_owned()).collect()));
    job
}

fn lease(job: JobSpec, report: &Arc<RecordingReport>) -> JobLease {
    let job = Arc::new(job);
    let saved = SavedLease { runner: "test".into(), job: Arc::clone(&job), state: Secret::default() };
    JobLease { job, report: Arc::clone(report) as _, artifacts: MemoryArtifacts::new(), saved, remote: None }
}

fn context() -> JobContext {
    let mut context = JobContext::default();
    context.log.timestamps = false;
    context.log.interval = Duration::ZERO;
    context
}

impl Bench {
    fn new() -> Result<Self> {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut LocalConfig)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut config = config(&folder.path().join("builds"));
        change(&mut config);
        Ok(Self { executor: LocalExecutor::new(config), folder })
    }

    async fn start(&self, job: JobSpec) -> Result<Started> {
        self.start_with(job, RecordingReport::new()).await
    }

    async fn start_with(&self, job: JobSpec, report: Arc<RecordingReport>) -> Result<Started> {
        Ok(Started { job: self.executor.start(lease(job, &report), context()).await?, report })
    }

    /// What jobs left: directories, and processes that were started with one of them.
    fn leftovers(&self) -> Result<Vec<String>> {
        let builds = self.folder.path().join("builds");
        let mut found = Vec::new();
        if builds.exists() {
            for entry in fs::read_dir(&builds)? {
                found.push(entry?.path().display().to_string());
            }
        }
        let mark = builds.to_string_lossy().into_owned();
        for entry in fs::read_dir("/proc")? {
            let process = entry?.path();
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            if String::from_utf8_lossy(&environment).contains(&mark) {
                let line = fs::read(process.join("cmdline")).unwrap_or_default();
                found.push(format!("{}: {}", process.display(), String::from_utf8_lossy(&line)));
            }
        }
        Ok(found)
    }
}

impl Started {
    /// Waits for the end, cleans up, and returns how it ended.
    async fn finish(&self, bench: &Bench) -> Result<JobOutcome> {
        let end = self.job.wait().await?;
        assert_eq!(self.report.outcome().as_ref(), Some(&end.outcome));
        assert_eq!(self.report.digest(), end.log);
        self.clean_up(bench).await
    }

    /// The same for a job whose source wants no report any more.
    async fn clean_up(&self, bench: &Bench) -> Result<JobOutcome> {
        let end = self.job.wait().await?;
        assert!(end.reported, "{end:?}");
        self.job.cleanup().await?;
        self.job.cleanup().await?;
        assert_eq!(bench.leftovers()?, Vec::<String>::new());
        Ok(end.outcome)
    }

    async fn printed(&self, mark: &str) -> Result<String> {
        let line = || self.report.text().lines().map(str::to_owned).find(|line| line.starts_with(mark));
        let seen = async {
            loop {
                if let Some(line) = line() {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_mins(1), seen).await;
        seen.map_err(|_| format!("no {mark} in {}", self.report.text()).into())
    }
}

#[derive(Debug, Default)]
struct Harness(Mutex<Option<Arc<Bench>>>);

#[async_trait]
impl executor_suite::Harness for Harness {
    #[expect(clippy::unwrap_used, reason = "the suite has no way to say that there is no executor")]
    async fn executor(&self) -> Arc<dyn Executor> {
        let bench = Arc::new(Bench::new().unwrap());
        let executor = Arc::clone(&bench.executor);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bench);
        executor
    }

    async fn leftovers(&self) -> Vec<String> {
        let bench = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        bench.map_or_else(Vec::new, |bench| bench.leftovers().unwrap_or_else(|error| vec![error.to_string()]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_promises_of_an_executor() {
    executor_suite::check(&Harness::default()).await.unwrap();
}

#[tokio::test]
async fn a_job_that_succeeds_leaves_its_log_and_nothing_else() {
    let bench = Bench::new().unwrap();
    let started =
        bench.start(job("1", &["echo hello > file", "cat file", "pwd", "echo $HOME"])).await.unwrap();
    let end = started.job.wait().await.unwrap();
    assert_eq!(started.finish(&bench).await.unwrap(), JobOutcome::Succeeded);
    let log = started.report.text();
    assert!(log.contains("\nhello\n"), "{log}");
    assert!(end.script_begun);
    let script = end.phases.iter().find(|record| record.phase == Phase::Script).unwrap();
    assert!(script.usage.peak_memory > 0, "{script:?}");
    assert_eq!(started.job.handle().job.as_str(), "1");
}

#[tokio::test]
async fn a_jobs_exit_code_is_told() {
    let bench = Bench::new().unwrap();
    let started = bench.start(job("1", &["exit 42", "echo not-reached"])).await.unwrap();
    assert_eq!(started.finish(&bench).await.unwrap(), JobOutcome::script_failed(42));
}

#[tokio::test]
async fn a_cancelled_script_may_clean_up_and_after_script_runs() {
    let bench = Bench::new().unwrap();
    let mut spec =
        job("1", &["trap 'echo cleaned-up; exit 1' TERM; echo ready; while :; do echo on; sleep 0.01; done"]);
    spec.steps.push(Step::after_script(vec!["echo after-$CI_JOB_STATUS".into()]));
    let started = bench.start(spec).await.unwrap();
    started.printed("ready").await.unwrap();
    started.report.wish(WishAction::CancelGracefully);
    assert_eq!(started.finish(&bench).await.unwrap(), JobOutcome::Canceled);
    let log = started.report.text();
    assert!(log.contains("\ncleaned-up\n") && log.contains("\nafter-canceled\n"), "{log}");
}

#[tokio::test]
async fn an_abort_by_the_source_ends_everything_at_once() {
    let bench = Bench::new().unwrap();
    // It goes on printing, so that the source has something to answer to.
    let script =
        "trap '' TERM; (trap '' TERM; setsid sleep 1000) & echo ready; while :; do echo on; sleep 0.01; done";
    let started = bench.start(job("1", &[script])).await.unwrap();
    started.printed("ready").await.unwrap();
    started.report.wish(WishAction::Abort);
    assert_eq!(started.clean_up(&bench).await.unwrap(), JobOutcome::Canceled);
}

#[tokio::test]
async fn a_job_that_is_cancelled_before_it_starts_runs_nothing() {
    let bench = Bench::new().unwrap();
    let report = RecordingReport::new();
    report.wish(WishAction::Abort);
    let started = bench.start_with(job("1", &["echo has-run"]), report).await.unwrap();
    assert_eq!(started.clean_up(&bench).await.unwrap(), JobOutcome::Canceled);
    assert!(!started.report.text().contains("\nhas-run"), "{}", started.report.text());
    assert!(!started.job.wait().await.unwrap().script_begun);
}

#[tokio::test]
async fn processes_that_hide_do_not_outlive_their_job() {
    let bench = Bench::new().unwrap();
    let script = "(env -i CI_PROJECT_DIR=\"$PWD\" setsid sleep 1000 >/dev/null 2>&1 &) ; (trap '' TERM HUP; exec sleep 1000) &";
    let started = bench.start(job("1", &[script])).await.unwrap();
    assert_eq!(started.finish(&bench).await.unwrap(), JobOutcome::Succeeded);
}

#[tokio::test]
async fn two_jobs_at_once_have_a_directory_each() {
    let bench = Bench::new().unwrap();
    let script = ["echo at $PWD; echo $CI_JOB_ID > id; while ! test -e go; do sleep 0.01; done; cat id"];
    let (mut first, mut second) = (job("1", &script), job("2", &script));
    (first.name, second.name) = ("same".into(), "same".into());
    let (first, second) = tokio::join!(bench.start(first), bench.start(second));
    let (first, second) = (first.unwrap(), second.unwrap());
    let (one, two) = tokio::join!(first.printed("at "), second.printed("at "));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one, two);
    for place in [one, two] {
        fs::write(Path::new(place.strip_prefix("at ").unwrap()).join("go"), "").unwrap();
    }
    let ends = tokio::join!(first.job.wait(), second.job.wait());
    assert!(ends.0.unwrap().outcome.is_success() && ends.1.unwrap().outcome.is_success());
    first.job.cleanup().await.unwrap();
    assert_eq!(second.finish(&bench).await.unwrap(), JobOutcome::Succeeded);
}

#[tokio::test]
async fn a_job_that_is_started_twice_runs_once() {
    let bench = Bench::new().unwrap();
    let ran = bench.folder.path().join("ran");
    let script = format!("echo once >> {}", ran.display());
    let starts = tokio::join!(
        bench.start(job("1", &[&script])),
        bench.start(job("1", &[&script])),
        bench.start(job("1", &[&script])),
    );
    let (first, second, third) = (starts.0.unwrap(), starts.1.unwrap(), starts.2.unwrap());
    let end = first.job.wait().await.unwrap();
    assert_eq!(second.job.wait().await.unwrap(), end);
    assert_eq!(third.job.wait().await.unwrap(), end);
    assert_eq!(fs::read_to_string(&ran).unwrap(), "once\n");
    third.job.cleanup().await.unwrap();
    first.job.cleanup().await.unwrap();
    assert_eq!(bench.leftovers().unwrap(), Vec::<String>::new());
    // What is cleaned up is over: the id may be used again.
    let again = bench.start(job("1", &[&script])).await.unwrap();
    assert_eq!(again.finish(&bench).await.unwrap(), JobOutcome::Succeeded);
    assert_eq!(fs::read_to_string(&ran).unwrap(), "once\nonce\n");
}

#[tokio::test]
async fn a_killed_supervisor_is_a_failure_of_ours_that_says_so() {
    let bench = Bench::new().unwrap();
    let script = "p=$PPID; while test \"$(cat /proc/$p/comm)\" != job-supervisor; do p=$(cut -d' ' -f4 /proc/$p/stat); \
                  done; echo ready; setsid sleep 1000 & kill -9 $p; sleep 1000";
    let started = bench.start(job("1", &[script])).await.unwrap();
    match started.finish(&bench).await.unwrap() {
        JobOutcome::Failed(failure) => {
            assert_eq!(failure.reason, FailureReason::RunnerSystemFailure, "{failure:?}");
            assert_eq!(failure.exit_code, None, "{failure:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// A store whose downloads panic.
#[derive(Debug)]
struct Panicking;

#[async_trait]
impl ArtifactStore for Panicking {
    async fn upload(&self, _artifact: &ArtifactUpload, _body: ByteStream) -> runner_core::Result<()> {
        Ok(())
    }

    #[expect(clippy::panic, reason = "it is the fault that is to be survived")]
    async fn download(&self, _dependency: &Dependency) -> runner_core::Result<ByteStream> {
        panic!("a fault of ours");
    }
}

#[tokio::test]
async fn a_panic_is_a_failure_of_ours_and_leaves_nothing() {
    let bench = Bench::new().unwrap();
    let report = RecordingReport::new();
    let mut spec = job("1", &["echo hello"]);
    let file = Some(DependencyFile { filename: "artifacts.zip".into(), size: 1 });
    spec.dependencies.push(Dependency { name: "earlier".into(), file, ..Dependency::default() });
    let lease = JobLease { artifacts: Arc::new(Panicking), ..lease(spec, &report) };
    let started = Started { job: bench.executor.start(lease, context()).await.unwrap(), report };
    match started.finish(&bench).await.unwrap() {
        JobOutcome::Failed(failure) => assert_eq!(failure.reason, FailureReason::RunnerSystemFailure),
        other => panic!("{other:?}"),
    }
    assert!(started.report.text().contains("system failure"), "{}", started.report.text());
}

#[tokio::test]
async fn a_job_may_remove_or_lock_its_own_directory() {
    let bench = Bench::new().unwrap();
    let script = "mkdir -p a/b && touch a/b/c && chmod -R a-w a; chmod 0 a/b; chmod 0 a; chmod 0 .";
    let started = bench.start(job("1", &[script])).await.unwrap();
    assert_eq!(started.finish(&bench).await.unwrap(), JobOutcome::Succeeded);
    let started = bench.start(job("2", &["d=$PWD; cd /; rm -rf \"$d\"/.."])).await.unwrap();
    started.finish(&bench).await.unwrap();
}

#[tokio::test]
async fn a_kept_directory_stays_until_the_next_run() {
    let bench = Bench::with(|config| config.keep = true).unwrap();
    let started = bench.start(job("1", &["test ! -e file; echo at $PWD; touch file"])).await.unwrap();
    let place = started.printed("at ").await.unwrap();
    started.job.wait().await.unwrap();
    started.job.cleanup().await.unwrap();
    let file = PathBuf::from(place.strip_prefix("at ").unwrap()).join("file");
    assert!(file.exists());
    drop(started);
    let again = bench.start(job("1", &["test ! -e file; echo at $PWD; touch file"])).await.unwrap();
    assert_eq!(again.job.wait().await.unwrap().outcome, JobOutcome::Succeeded);
    assert_eq!(again.printed("at ").await.unwrap(), place);
}

#[tokio::test]
async fn a_source_that_does_not_answer_at_once_gets_its_job_run() {
    let bench = Bench::new().unwrap();
    let faults = [Some(ReportFault::Refused), Some(ReportFault::LostReply), None, Some(ReportFault::Refused)];
    let started =
        bench.start_with(job("1", &["echo hello"]), RecordingReport::with_faults(faults)).await.unwrap();
    assert_eq!(started.finish(&bench).await.unwrap(), JobOutcome::Succeeded);
    assert!(started.report.text().contains("\nhello\n"));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_never_accepted_leaves_nothing() {
    let bench = Bench::new().unwrap();
    let report = RecordingReport::with_faults([Some(ReportFault::Refused); 100]);
    let error = bench.start_with(job("1", &["echo hello"]), report).await.err().unwrap();
    assert!(error.to_string().contains("reach the source"), "{error}");
    assert_eq!(bench.leftovers().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_job_without_a_supervisor_is_not_started() {
    let bench =
        Bench::with(|config| config.supervisor = SupervisorProgram::Path("/no/such/program".into())).unwrap();
    let report = RecordingReport::new();
    let started = bench.executor.start(lease(job("1", &["echo hello"]), &report), context()).await;
    assert_eq!(started.err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(report.accepted(), 0);
    assert_eq!(bench.leftovers().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_stop_of_a_job_that_has_ended_changes_nothing() {
    let bench = Bench::new().unwrap();
    let started = bench.start(job("1", &["exit 3"])).await.unwrap();
    started.job.wait().await.unwrap();
    started.job.stop(Stop::Graceful { deadline: Instant::now() }).await.unwrap();
    started.job.stop(Stop::Abort).await.unwrap();
    assert_eq!(started.finish(&bench).await.unwrap(), JobOutcome::script_failed(3));
}

#[tokio::test]
async fn the_check_says_what_is_missing_and_what_mends_it() {
    let bench = Bench::new().unwrap();
    assert_eq!(bench.executor.check().await, Vec::new());
    assert_eq!(bench.leftovers().unwrap(), Vec::<String>::new());
    let file = bench.folder.path().join("file");
    fs::write(&file, "").unwrap();
    let config = LocalConfig { environment: vec![("PATH".into(), "/nowhere".into())], ..config(&file) };
    let findings = LocalExecutor::new(config).check().await;
    let severities: Vec<Severity> = findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Fatal, Severity::Fatal, Severity::Warning], "{findings:?}");
    assert!(findings.iter().all(|finding| !finding.mend.is_empty()));
    // A test harness calls nothing first in its `main`.
    let config = LocalConfig::new(bench.folder.path().join("builds"));
    let findings = LocalExecutor::new(config).check().await;
    assert!(findings.iter().any(|finding| finding.message.contains("run_if_asked")), "{findings:?}");
}
