//! Jobs at random, with faults and stops at random: none leaves anything, and each outcome is true.

#![expect(clippy::unwrap_used, reason = "what cannot be prepared or seen is a failure of the test")]

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use runner_agent::{
    engine::{Engine, EngineEnd, EngineSettings, Places, StopSender, stop_channel},
    host::Host,
    supervise::SupervisedHost,
};
use runner_cache::DirectoryCache;
use runner_core::{
    ErrorKind, Event, EventSink, FailureReason, JobEvent, JobOutcome, JobReport, JobSpec, Phase, RunningJob,
    executor::{LogLimits, Stop},
    job::{ArtifactSpec, CacheSpec, Step, Variable, When},
    log::{JobLog, LogSpool, Masks, MemorySpool},
    report::Reporter,
};
use runner_testkit::{MemoryArtifacts, RecordingReport, ReportFault};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Bench, LONG, context,
    faulty_host::{FaultyHost, HostFault},
    processes,
};
use crate::supervise::program;

/// So many seeds are tried, from 1 on; `RUNNER_FAULTS` names a single one, or with `+` in front how many.
const SEEDS: u64 = 40;

/// As many at once.
const AT_ONCE: u64 = 4;

/// Numbers that look random and are the same for the same seed.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(from.len() as u64)).unwrap();
        &from[index]
    }

    fn milliseconds(&mut self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}

/// What a script does before its last line, which says that it came so far. The second half never gets there.
const SCRIPTS: [&str; 16] = [
    "true",
    "(setsid sleep 1000 &) ; (trap '' TERM HUP; exec sleep 1000) &",
    "trap '' TERM; sleep 0.1",
    "(while :; do echo flood; done) & sleep 0.02",
    "sleep 1000 & kill -STOP $!",
    "mkdir -p a/b && touch a/b/c && chmod 0 a/b a",
    "cd /; rm -rf \"$CI_BUILDS_DIR\"",
    "rm -rf \"$RUNNER_TEMP_PROJECT_DIR\"; ln -s / \"$RUNNER_TEMP_PROJECT_DIR\"",
    "exit 7",
    "kill -9 $$",
    "kill -TERM $$; sleep 1000",
    "sleep 1000",
    "trap '' TERM; while :; do sleep 0.01; done",
    "while :; do echo flood; done",
    "for i in $(seq 100); do (setsid sleep 1000 &) ; done; sleep 1000",
    "kill -STOP $$",
];

/// Those before this one end well.
const GOOD: usize = 8;

const FAULTS: [HostFault; 7] = [
    HostFault::Fails(ErrorKind::NotFound),
    HostFault::Fails(ErrorKind::Exhausted),
    HostFault::Fails(ErrorKind::Lost),
    HostFault::HidesTheEnd,
    HostFault::Delays,
    HostFault::Floods,
    HostFault::SaysKilled,
];

const PHASES: [Phase; 6] = [
    Phase::Prepare,
    Phase::GetSources,
    Phase::Script,
    Phase::AfterScript,
    Phase::UploadArtifacts,
    Phase::Cleanup,
];

/// A job, what goes wrong with it, and how it is stopped.
#[derive(Debug, Clone)]
struct Trial {
    job: JobSpec,
    script: usize,
    marker: PathBuf,
    stops: Vec<(Phase, Duration, How)>,
    report_faults: Vec<Option<ReportFault>>,
    dice: Dice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Graceful,
    GracefulAndSoonOver,
    Interrupt,
    Abort,
}

impl How {
    fn stop(self) -> Stop {
        match self {
            Self::Graceful => Stop::Graceful { deadline: Instant::now() + Duration::from_mins(5) },
            Self::GracefulAndSoonOver => {
                Stop::Graceful { deadline: Instant::now() + Duration::from_millis(30) }
            }
            Self::Interrupt => Stop::Interrupt,
            Self::Abort => Stop::Abort,
        }
    }
}

/// What is stopped.
enum Target {
    Job(Arc<dyn RunningJob>),
    Engine(StopSender),
}

impl Trial {
    fn new(seed: u64, folder: &Path) -> Self {
        let mut dice = Dice::new(seed);
        let marker = folder.join("came-to-its-end");
        let script = usize::try_from(dice.below(SCRIPTS.len() as u64)).unwrap();
        let mut job = JobSpec::new("1", "job");
        let last = format!("echo yes > {}", marker.display());
        job.steps.push(Step::script(vec![SCRIPTS[script].to_owned(), last]));
        if dice.one_in(2) {
            job.steps
                .push(Step::after_script(vec!["echo after $CI_JOB_STATUS; (setsid sleep 1000 &)".into()]));
        }
        if dice.one_in(2) {
            let when = *dice.pick(&[When::OnSuccess, When::Always]);
            let paths = vec!["*".into()];
            job.artifacts.push(ArtifactSpec { paths, when, ..ArtifactSpec::default() });
        }
        if dice.one_in(2) {
            job.caches.push(CacheSpec {
                paths: vec!["*".into()],
                when: When::Always,
                ..CacheSpec::default()
            });
        }
        // What never ends by itself.
        if script >= GOOD + 2 {
            job.timeout = Duration::from_millis(500);
        }
        job.variables.push(Variable::raw("FAULTS_MARK", folder.join("mark").display().to_string()));
        let mut stops = Vec::new();
        while dice.one_in(2) {
            let how = *dice.pick(&[How::Graceful, How::GracefulAndSoonOver, How::Interrupt, How::Abort]);
            stops.push((*dice.pick(&PHASES), dice.milliseconds(60), how));
        }
        let fault = |dice: &mut Dice| match dice.below(8) {
            0 => Some(ReportFault::Refused),
            1 => Some(ReportFault::LostReply),
            _ => None,
        };
        let report_faults = (0..12).map(|_| fault(&mut dice)).collect();
        Self { job, script, marker, stops, report_faults, dice }
    }

    /// Tells of the phases that begin.
    fn phases() -> (EventSink, mpsc::UnboundedReceiver<Phase>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let sink = EventSink::new(move |event| {
            if let Event::Job { event: JobEvent::PhaseStarted(phase), .. } = event {
                sender.send(phase).ok();
            }
        });
        (sink, receiver)
    }

    /// Stops the job as planned. Never returns. Returns through `asked` what was asked.
    async fn stop(
        &self,
        mut phases: mpsc::UnboundedReceiver<Phase>,
        asked: &Mutex<Vec<How>>,
        target: Target,
    ) -> std::convert::Infallible {
        while let Some(phase) = phases.recv().await {
            for (_, after, how) in self.stops.iter().filter(|(when, ..)| *when == phase) {
                if *after > Duration::from_millis(20) {
                    sleep(*after).await;
                }
                asked.lock().unwrap_or_else(PoisonError::into_inner).push(*how);
                match &target {
                    Target::Job(job) => job.stop(how.stop()).await.unwrap(),
                    Target::Engine(sender) => sender.stop(how.stop()),
                }
            }
        }
        std::future::pending().await
    }

    /// Whether a job whose script is good may fail for `reason` without a fault of its host.
    fn may_fail_for(&self, reason: FailureReason) -> bool {
        match reason {
            FailureReason::RunnerInterrupted => true,
            // These leave no place to write their `after_script` to.
            FailureReason::RunnerSystemFailure => matches!(self.script, 6 | 7),
            _ => false,
        }
    }

    /// Fails where `outcome` is not true. `faults` are those that the host really had.
    fn judge(
        &self,
        outcome: &JobOutcome,
        asked: &[How],
        faults: &[(String, HostFault)],
    ) -> Result<(), String> {
        let refuse = |why: &str| Err(format!("{why}: {outcome:?}, asked {asked:?}, faults {faults:?}"));
        let is_at_its_end = self.marker.exists();
        let harmless = |fault: &(String, HostFault)| {
            matches!(fault.1, HostFault::Delays | HostFault::Floods) && fault.0 == "start"
                || fault.0 == "end_all"
        };
        match outcome {
            JobOutcome::Succeeded if !is_at_its_end => refuse("the script did not come to its end"),
            JobOutcome::Succeeded if self.script >= GOOD => refuse("the script was no success"),
            JobOutcome::Canceled if asked.is_empty() || asked[0] == How::Interrupt => {
                refuse("nobody canceled it")
            }
            JobOutcome::Succeeded | JobOutcome::Canceled => Ok(()),
            JobOutcome::Failed(failure) => match failure.reason {
                FailureReason::RunnerInterrupted if asked.first() != Some(&How::Interrupt) => {
                    refuse("nobody interrupted it")
                }
                reason if self.script < GOOD && faults.iter().all(harmless) && !self.may_fail_for(reason) => {
                    refuse("nothing had gone wrong")
                }
                FailureReason::ScriptFailure if failure.exit_code == Some(0) => refuse("0 is no failure"),
                FailureReason::JobExecutionTimeout if self.script < GOOD + 2 => refuse("it had time"),
                _ => Ok(()),
            },
        }
    }
}

/// One job through the local executor.
async fn try_executor(seed: u64) -> Result<(), String> {
    let bench = Bench::new();
    let trial = Trial::new(seed, bench.folder.path());
    let report = RecordingReport::with_faults(trial.report_faults.clone());
    let (events, phases) = Trial::phases();
    let mut context = context();
    context.events = events;
    context.cache = Some(Arc::new(DirectoryCache::new(bench.folder.path().join("cache"))));
    let started = bench.start_in(trial.job.clone(), Arc::clone(&report) as Arc<dyn JobReport>, context).await;
    let running: Arc<dyn RunningJob> = started.map_err(|error| error.chain())?;
    let asked = Mutex::default();
    let end = tokio::select! {
        end = timeout(LONG, running.wait()) => end,
        never = trial.stop(phases, &asked, Target::Job(Arc::clone(&running))) => match never {},
    };
    let end = end.map_err(|_| "it did not end")?.map_err(|error| error.chain())?;
    running.cleanup().await.map_err(|error| error.chain())?;
    let asked = asked.into_inner().unwrap_or_else(PoisonError::into_inner);
    trial.judge(&end.outcome, &asked, &[])?;
    if report.outcome().as_ref() != Some(&end.outcome) || report.digest() != end.log {
        return Err(format!("its source knows {:?} and {:?} of {end:?}", report.outcome(), report.digest()));
    }
    match bench.leftovers() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("left {left:?}")),
    }
}

/// One job through the engine, on a host with faults.
async fn try_engine(seed: u64) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let trial = Trial::new(seed, folder.path());
    let faults = Arc::new(Mutex::new(Vec::new()));
    let (dice, noted) = (Mutex::new(trial.dice.clone()), Arc::clone(&faults));
    let plan = move |call: &str| {
        let mut dice = dice.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = dice.one_in(4).then(|| *dice.pick(&FAULTS))?;
        noted.lock().unwrap_or_else(PoisonError::into_inner).push((call.to_owned(), fault));
        Some(fault)
    };
    let inner = SupervisedHost::start(&program()).map_err(|error| error.chain())?;
    let host = Arc::new(FaultyHost { inner, plan, relays: Mutex::default() });
    let report = RecordingReport::with_faults(trial.report_faults.clone());
    let asked = Mutex::default();
    let run = run_engine(&trial, folder.path(), Arc::clone(&host) as Arc<dyn Host>, &report, &asked);
    let end = Box::pin(run).await?;
    host.inner.close().await;
    let faults = faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let asked = asked.into_inner().unwrap_or_else(PoisonError::into_inner);
    trial.judge(&end.outcome, &asked, &faults)?;
    if end.outcome.is_success() && !end.script_begun {
        return Err("it succeeded without a script".into());
    }
    let left = processes(&folder.path().join("mark").display().to_string());
    if left.is_empty() { Ok(()) } else { Err(format!("left {left:?}")) }
}

async fn run_engine(
    trial: &Trial,
    folder: &Path,
    host: Arc<dyn Host>,
    report: &Arc<RecordingReport>,
    asked: &Mutex<Vec<How>>,
) -> Result<EngineEnd, String> {
    let root = folder.join("builds");
    let places = Places { project: root.join("project"), temporary: root.join("tmp"), root: root.clone() };
    for place in [&places.project, &places.temporary] {
        std::fs::create_dir_all(place).map_err(|error| error.to_string())?;
    }
    let spool: Arc<dyn LogSpool> = Arc::new(MemorySpool::new());
    let masks = Masks::new(Vec::new(), Vec::new());
    let log = JobLog::new(&LogLimits::default(), masks, false, Arc::clone(&spool));
    let reporter = Reporter::new(Arc::clone(report) as _, spool, Duration::ZERO);
    let (events, phases) = Trial::phases();
    let (sender, stop) = stop_channel();
    let path = env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
    let engine = Engine {
        job: Arc::new(trial.job.clone()),
        places,
        sources: Arc::clone(&host),
        build: host,
        artifacts: MemoryArtifacts::new(),
        cache: Some(Arc::new(DirectoryCache::new(folder.join("cache")))),
        log: log.clone(),
        events,
        stop,
        settings: EngineSettings {
            builds_dir: root,
            environment: vec![("PATH".into(), path)],
            grace: Duration::from_millis(200),
            ..EngineSettings::default()
        },
    };
    let finished = CancellationToken::new();
    let work = async {
        let end = engine.run().await;
        let digest = Some(log.finish().await);
        finished.cancel();
        (end, digest)
    };
    let all = async { tokio::join!(work, reporter.run(&finished)) };
    let ended = tokio::select! {
        ended = timeout(LONG, all) => ended,
        never = trial.stop(phases, asked, Target::Engine(sender)) => match never {},
    };
    let ((end, digest), ()) = ended.map_err(|_| "it did not end")?;
    reporter.complete(&end.outcome, digest).await.map_err(|error| error.chain())?;
    if report.digest() == digest { Ok(end) } else { Err("the log at the source is another one".into()) }
}

/// Tries each seed, some at once; fails with all that broke a promise.
async fn try_seeds<Attempt>(attempt: impl Fn(u64) -> Attempt)
where
    Attempt: Future<Output = Result<(), String>> + Send + 'static,
{
    let wanted = env::var_os("RUNNER_FAULTS").unwrap_or_default().to_string_lossy().into_owned();
    let seeds: Vec<u64> = match (wanted.strip_prefix('+'), wanted.parse()) {
        (Some(count), _) => (1..=count.parse().unwrap()).collect(),
        (None, Ok(seed)) => vec![seed],
        (None, Err(_)) => (1..=SEEDS / 2).collect(),
    };
    let mut broken = Vec::new();
    for some in seeds.chunks(usize::try_from(AT_ONCE).unwrap()) {
        let mut attempts = tokio::task::JoinSet::new();
        for &seed in some {
            let one = attempt(seed);
            attempts.spawn(async move { (seed, timeout(2 * LONG, one).await) });
        }
        while let Some(done) = attempts.join_next().await {
            match done.unwrap() {
                (_, Ok(Ok(()))) => {}
                (seed, Ok(Err(why))) => broken.push(format!("RUNNER_FAULTS={seed}: {why}")),
                (seed, Err(_)) => broken.push(format!("RUNNER_FAULTS={seed}: it hangs")),
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_job_leaves_nothing_and_ends_with_the_truth() {
    try_seeds(try_executor).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_fault_of_a_host_leaves_nothing_and_ends_with_the_truth() {
    try_seeds(try_engine).await;
}
