//! The engine with a host that does what a test says, under a clock that does not wait.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use runner_core::{
    ArtifactStore, CacheBackend, ErrorKind, Event, EventSink, FailureReason, JobEvent, JobOutcome, JobSpec,
    Phase,
    executor::{LogLimits, Stop},
    job::{ArtifactSpec, CacheSpec, Dependency, DependencyFile, Step, Variable, When},
    log::{JobLog, Masks, MemorySpool},
};
use tokio::time::Instant;

use super::{Engine, EngineEnd, EngineSettings, Places, StopSender, stop_channel};
use crate::host::Command;

mod fakes;

use fakes::{Act, FakeHost, Plan, Silent, Willing};

const GRACE: Duration = Duration::from_secs(10);

/// What a process is for, by its command.
fn part(command: &Command) -> &'static str {
    let has = |text: &str| command.arguments.iter().any(|argument| argument.ends_with(text));
    match () {
        () if command.program == "git" && has("fetch") => "fetch",
        () if command.program == "git" => "git",
        () if has("after_script") => "after_script",
        () if has("step_script") => "script",
        () => "other",
    }
}

/// A job with something to do in each phase, and a way to make one of them do something else.
struct Trial {
    job: JobSpec,
    act: Plan,
    stop_when_busy: Option<Stop>,
    hangs_at_the_end: bool,
    cache: bool,
    store: Store,
}

/// What the store of artifacts does.
#[derive(PartialEq, Eq)]
enum Store {
    Willing,
    Refusing,
    Silent,
}

struct Seen {
    end: EngineEnd,
    took: Duration,
    phases: Vec<Phase>,
    notices: usize,
    commands: Vec<Command>,
    ended: Vec<Duration>,
    uploads: usize,
}

impl Trial {
    fn new(act: impl Fn(usize, &Command) -> Act + Send + Sync + 'static) -> Self {
        let mut job = JobSpec::new("1", "job");
        job.git.repo_url = "https://ci:secret@git.invalid/a.git".into();
        job.git.sha = "0123456789012345678901234567890123456789".into();
        job.steps = vec![Step::script(vec!["make".into()]), Step::after_script(vec!["echo after".into()])];
        Self {
            job,
            act: Box::new(act),
            stop_when_busy: None,
            hangs_at_the_end: false,
            cache: false,
            store: Store::Willing,
        }
    }

    /// `name` does `act`, everything else succeeds.
    fn with(name: &'static str, act: Act) -> Self {
        Self::new(move |_, command| if part(command) == name { act } else { Act::Exit(0) })
    }

    fn stopped(mut self, how: Stop) -> Self {
        self.stop_when_busy = Some(how);
        self
    }

    fn variable(mut self, key: &str, value: &str) -> Self {
        self.job.variables.push(Variable::raw(key, value));
        self
    }

    /// Has a cache, which never answers.
    fn cached(mut self, spec: CacheSpec) -> Self {
        self.cache = true;
        self.job.caches.push(spec);
        self
    }

    fn kept(mut self, when: When) -> Self {
        let spec = ArtifactSpec { paths: vec!["*".into()], when, ..ArtifactSpec::default() };
        self.job.artifacts.push(spec);
        self
    }

    async fn run(self) -> Seen {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path().to_owned());
        std::fs::create_dir_all(&places.project).unwrap();
        std::fs::create_dir_all(&places.temporary).unwrap();
        let (sender, stop) = stop_channel();
        let wish = |how: Option<Stop>| how.map(|how| (StopSender::clone(&sender), how));
        let mut host = FakeHost::new(self.act);
        host.stop_when_busy = wish(self.stop_when_busy);
        host.hangs_at_the_end = self.hangs_at_the_end;
        let host = Arc::new(host);
        let silent = Arc::new(Silent(wish(self.stop_when_busy)));
        let willing = Willing { refuses: self.store == Store::Refusing, ..Willing::default() };
        let uploads = Arc::clone(&willing.uploads);
        let artifacts: Arc<dyn ArtifactStore> =
            if self.store == Store::Silent { Arc::clone(&silent) as _ } else { Arc::new(willing) };
        let cache = self.cache.then(|| Arc::clone(&silent) as Arc<dyn CacheBackend>);
        let (phases, notices) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let (seen_phases, seen_notices) = (Arc::clone(&phases), Arc::clone(&notices));
        let project = places.project.clone();
        let events = EventSink::new(move |event| match event {
            Event::Job { event: JobEvent::PhaseStarted(phase), .. } => {
                if phase == Phase::Script {
                    std::fs::write(project.join("made"), "by the script").unwrap();
                }
                seen_phases.lock().unwrap().push(phase);
            }
            Event::Job { event: JobEvent::Notice(_), .. } => *seen_notices.lock().unwrap() += 1,
            _ => {}
        });
        let engine = Engine {
            job: Arc::new(self.job),
            settings: EngineSettings { builds_dir: places.root.clone(), ..EngineSettings::default() },
            places,
            sources: Arc::clone(&host) as _,
            build: Arc::clone(&host) as _,
            artifacts,
            cache,
            log: JobLog::new(
                &LogLimits::default(),
                Masks::new(Vec::new(), Vec::new()),
                false,
                Arc::new(MemorySpool::new()),
            ),
            events,
            stop,
        };
        let start = Instant::now();
        let end = engine.run().await;
        let took = start.elapsed();
        let phases = phases.lock().unwrap().clone();
        let notices = *notices.lock().unwrap();
        let commands = host.started.lock().unwrap().clone();
        let ended = host.ended.lock().unwrap().clone();
        let uploads = uploads.lock().unwrap().len();
        Seen { end, took, phases, notices, commands, ended, uploads }
    }
}

fn places(root: PathBuf) -> Places {
    Places { project: root.join("project"), temporary: root.join("project.tmp"), root }
}

fn graceful() -> Stop {
    Stop::Graceful { deadline: Instant::now() + Duration::from_mins(20) }
}

impl Seen {
    fn ran(&self, name: &str) -> bool {
        self.commands.iter().any(|command| part(command) == name)
    }

    fn reason(&self) -> Option<FailureReason> {
        match &self.end.outcome {
            JobOutcome::Failed(failure) => Some(failure.reason),
            _ => None,
        }
    }

    /// Whatever happened: it ended soon, everything was ended, and each phase that began also ended.
    fn ended_well(&self, within: Duration) {
        assert!(self.took <= within, "it took {:?}: {:?}", self.took, self.end);
        assert!(!self.ended.is_empty());
        let recorded: Vec<_> = self.end.phases.iter().map(|record| record.phase).collect();
        assert_eq!(recorded, self.phases);
        assert_eq!(recorded.last(), Some(&Phase::Cleanup));
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_through_its_phases() {
    let seen = Trial::with("none", Act::Exit(0)).kept(When::OnSuccess).run().await;
    assert_eq!(seen.end.outcome, JobOutcome::Succeeded);
    assert!(seen.end.script_begun);
    let phases = [
        Phase::Prepare,
        Phase::GetSources,
        Phase::Script,
        Phase::AfterScript,
        Phase::UploadArtifacts,
        Phase::Cleanup,
    ];
    assert_eq!(seen.phases, phases);
    assert_eq!(seen.uploads, 1);
    seen.ended_well(Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn few_git_processes_make_a_fresh_work_tree() {
    let seen = Trial::with("none", Act::Exit(0)).run().await;
    let git = seen.commands.iter().filter(|command| command.program == "git");
    assert_eq!(git.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_an_argument() {
    let seen = Trial::with("none", Act::Exit(0)).variable("CI_JOB_TOKEN", "secret").run().await;
    let secrets = seen.commands.iter().flat_map(|command| &command.arguments);
    assert_eq!(secrets.filter(|argument| argument.contains("secret")).count(), 0);
}

/// The trials in which one part of a job never comes to an end by itself.
fn endless(act: Act) -> Vec<(Phase, Trial)> {
    let everything = CacheSpec { key: "k".into(), paths: vec!["made".into()], ..CacheSpec::default() };
    let saved = CacheSpec { policy: runner_core::job::CachePolicy::Push, ..everything.clone() };
    let mut downloading = Trial::with("none", Act::Exit(0));
    downloading.store = Store::Silent;
    downloading.job.dependencies.push(Dependency {
        file: Some(DependencyFile { filename: "a.zip".into(), size: 1 }),
        ..Dependency::default()
    });
    let mut uploading = Trial::with("none", Act::Exit(0)).kept(When::Always);
    uploading.store = Store::Silent;
    vec![
        (Phase::GetSources, Trial::with("fetch", act)),
        (Phase::GetSources, Trial::with("git", act)),
        (Phase::RestoreCache, Trial::with("none", act).cached(everything)),
        (Phase::DownloadArtifacts, downloading),
        (Phase::Script, Trial::with("script", act)),
        (Phase::AfterScript, Trial::with("after_script", act)),
        (Phase::SaveCache, Trial::with("none", act).cached(saved)),
        (Phase::UploadArtifacts, uploading),
    ]
}

const ACTS: [Act; 5] = [Act::UntilTerm, Act::UntilKill, Act::ForEver, Act::Flood, Act::HangAtStart];

#[tokio::test(start_paused = true)]
async fn an_abort_ends_every_phase_at_once() {
    for act in ACTS {
        for (phase, trial) in endless(act) {
            let seen = trial.stopped(Stop::Abort).run().await;
            assert_eq!(seen.end.outcome, JobOutcome::Canceled, "{act:?} {phase:?}");
            assert!(seen.phases.contains(&phase), "{act:?} {phase:?}");
            seen.ended_well(Duration::from_secs(15));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_interruption_ends_every_phase_after_the_grace() {
    for act in ACTS {
        for (phase, trial) in endless(act) {
            let seen = trial.stopped(Stop::Interrupt).run().await;
            assert_eq!(seen.reason(), Some(FailureReason::RunnerInterrupted), "{act:?} {phase:?}");
            assert_eq!(seen.ran("after_script"), phase >= Phase::AfterScript, "{act:?} {phase:?}");
            seen.ended_well(GRACE * 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_ends_what_it_should() {
    for act in ACTS {
        for (phase, trial) in endless(act) {
            let seen = trial.stopped(graceful()).run().await;
            assert_eq!(seen.end.outcome, JobOutcome::Canceled, "{act:?} {phase:?}");
            assert_eq!(seen.ran("after_script"), phase >= Phase::Script, "{act:?} {phase:?}");
            // What runs because of a stop has its own time, or ends at the stop's deadline.
            let bound = if phase > Phase::Script { Duration::from_mins(21) } else { GRACE * 3 };
            seen.ended_well(bound);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_jobs_time_ends_every_phase_up_to_the_script() {
    for act in ACTS {
        for (phase, mut trial) in endless(act).into_iter().filter(|(phase, _)| *phase <= Phase::Script) {
            trial.job.timeout = Duration::from_mins(30);
            let seen = trial.run().await;
            assert_eq!(seen.reason(), Some(FailureReason::JobExecutionTimeout), "{act:?} {phase:?}");
            assert_eq!(seen.ran("after_script"), phase == Phase::Script, "{act:?} {phase:?}");
            assert!(seen.took >= Duration::from_mins(30));
            seen.ended_well(Duration::from_mins(31));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_script_ends_by_itself() {
    for act in ACTS {
        for (phase, mut trial) in endless(act).into_iter().filter(|(phase, _)| *phase > Phase::Script) {
            trial.job.timeout = Duration::from_mins(1);
            let seen = trial.run().await;
            let expected =
                (phase == Phase::UploadArtifacts).then_some(FailureReason::ExternalDependencyFailure);
            assert_eq!(seen.reason(), expected, "{act:?} {phase:?}");
            seen.ended_well(Duration::from_mins(21));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sharper_stop_shortens_the_grace() {
    let (abort_after, deadline) = (Duration::from_secs(3), Instant::now() + Duration::from_secs(4));
    let seen = Trial::with("script", Act::UntilKill).stopped(Stop::Graceful { deadline }).run().await;
    assert_eq!(seen.end.outcome, JobOutcome::Canceled);
    assert!(!seen.ran("after_script"));
    seen.ended_well(abort_after + Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_waiting_for_another_try_ends_the_wait() {
    let trial = Trial::with("fetch", Act::Exit(128)).variable("GET_SOURCES_ATTEMPTS", "10");
    let seen = trial.run().await;
    assert_eq!(seen.reason(), Some(FailureReason::RunnerSystemFailure));
    assert_eq!(seen.took.as_secs(), 1 + 2 + 4 + 8 + 16 + 30 * 4);

    let mut trial = Trial::with("fetch", Act::Exit(128)).variable("GET_SOURCES_ATTEMPTS", "10");
    trial.job.timeout = Duration::from_secs(20);
    let seen = trial.run().await;
    assert_eq!(seen.reason(), Some(FailureReason::JobExecutionTimeout));
    seen.ended_well(Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_away_is_never_a_success() {
    for name in ["fetch", "git", "script", "after_script"] {
        let seen = Trial::with(name, Act::Vanish).run().await;
        assert_eq!(seen.reason(), Some(FailureReason::RunnerSystemFailure), "{name}");
        assert_eq!(seen.end.script_begun, matches!(name, "script" | "after_script"));
        seen.ended_well(Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_call_lies_the_job_ends_and_is_no_success_unless_its_script_was() {
    let lies = [
        Act::Exit(1),
        Act::Signal(9),
        Act::Vanish,
        Act::Refuse(ErrorKind::Unavailable),
        Act::Refuse(ErrorKind::NotFound),
        Act::Refuse(ErrorKind::Lost),
        Act::ForEver,
        Act::HangAtStart,
    ];
    for lie in lies {
        for call in 0..4 {
            let trial = Trial::new(move |number, _| if number == call { lie } else { Act::Exit(0) });
            let seen = trial.run().await;
            let script_fails = seen.commands.get(call).map(part) != Some("after_script");
            assert!(!script_fails || !seen.end.outcome.is_success(), "{lie:?} at {call}: {:?}", seen.end);
            seen.ended_well(Duration::from_mins(70));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_may_not_have_been_started_counts_as_begun() {
    let seen = Trial::with("script", Act::Refuse(ErrorKind::Lost)).run().await;
    assert!(seen.end.script_begun);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_may_work_later_is_tried_again() {
    let trial = Trial::new(|number, command| match (part(command), number) {
        ("script", 2 | 3) => Act::Refuse(ErrorKind::Unavailable),
        _ => Act::Exit(0),
    });
    let seen = trial.variable("EXECUTOR_JOB_SECTION_ATTEMPTS", "3").run().await;
    assert_eq!(seen.end.outcome, JobOutcome::Succeeded);
    assert_eq!(seen.took.as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_cleanup_that_hangs_is_given_up_and_told() {
    let mut trial = Trial::with("none", Act::Exit(0));
    trial.hangs_at_the_end = true;
    let seen = trial.run().await;
    assert_eq!(seen.end.outcome, JobOutcome::Succeeded);
    assert_eq!(seen.notices, 1);
    seen.ended_well(Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_step_has_its_own_time() {
    let mut trial = Trial::with("script", Act::UntilTerm);
    trial.job.steps[0].timeout = Some(Duration::from_secs(7));
    let seen = trial.run().await;
    assert_eq!(seen.reason(), Some(FailureReason::JobExecutionTimeout));
    assert_eq!(seen.took.as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn artifacts_that_are_refused_fail_a_good_job_and_no_other() {
    let mut trial = Trial::with("none", Act::Exit(0)).kept(When::Always);
    trial.store = Store::Refusing;
    assert_eq!(trial.run().await.reason(), Some(FailureReason::ExternalDependencyFailure));

    let mut trial = Trial::with("script", Act::Exit(3)).kept(When::Always);
    trial.store = Store::Refusing;
    assert_eq!(trial.run().await.end.outcome, JobOutcome::script_failed(3));
}

#[tokio::test(start_paused = true)]
async fn artifacts_are_kept_as_their_when_says() {
    for (when, code, uploads) in
        [(When::OnSuccess, 1, 0), (When::OnFailure, 1, 1), (When::Always, 1, 1), (When::OnFailure, 0, 0)]
    {
        let seen = Trial::with("script", Act::Exit(code)).kept(when).run().await;
        assert_eq!(seen.uploads, uploads, "{when:?} {code}");
    }
    let canceled = Trial::with("script", Act::UntilTerm).kept(When::OnFailure).stopped(graceful());
    assert_eq!(canceled.run().await.uploads, 1);
}

#[tokio::test(start_paused = true)]
async fn artifacts_that_are_gone_fail_the_job_before_its_script() {
    let mut trial = Trial::with("none", Act::Exit(0));
    trial
        .job
        .dependencies
        .push(Dependency { file: Some(DependencyFile::default()), ..Dependency::default() });
    let seen = trial.run().await;
    assert_eq!(seen.reason(), Some(FailureReason::ExternalDependencyFailure));
    assert!(!seen.end.script_begun && !seen.ran("after_script"));
}
