//! One job with something to do in each phase, and what is seen of it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use runner_core::{
    ArtifactStore, ArtifactUpload, CacheBackend, Event, EventSink, FailureReason, JobEvent, JobOutcome,
    JobSpec, Phase,
    executor::{LogLimits, Stop},
    job::{ArtifactSpec, CacheSpec, Step, Variable, When},
    log::{JobLog, Masks, MemorySpool},
};
use tokio::time::Instant;

use super::fakes::{Act, FakeHost, Plan, Silent, Willing};
use crate::{
    engine::{Engine, EngineEnd, EngineSettings, Places, StopReceiver, StopSender, stop_channel},
    host::Command,
};

/// What a process is for, by its command.
pub(super) fn part(command: &Command) -> &'static str {
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
pub(super) struct Trial {
    pub(super) job: JobSpec,
    pub(super) act: Plan,
    pub(super) stop_when_busy: Option<Stop>,
    /// Asks for an abort after this time, whatever happens.
    pub(super) stop_anyway: Option<Duration>,
    pub(super) hangs_at_the_end: bool,
    pub(super) cache: bool,
    pub(super) store: Store,
    /// How much the log takes; nobody reads it.
    pub(super) room: usize,
}

/// What the store of artifacts does.
#[derive(PartialEq, Eq)]
pub(super) enum Store {
    Willing,
    Refusing,
    Silent,
}

pub(super) struct Seen {
    pub(super) end: EngineEnd,
    pub(super) took: Duration,
    pub(super) phases: Vec<Phase>,
    pub(super) notices: usize,
    pub(super) commands: Vec<Command>,
    pub(super) ended: Vec<Duration>,
    pub(super) uploads: usize,
}

impl Trial {
    pub(super) fn new(act: impl Fn(usize, &Command) -> Act + Send + Sync + 'static) -> Self {
        let mut job = JobSpec::new("1", "job");
        job.git.repo_url = "https://ci:secret@git.invalid/a.git".into();
        job.git.sha = "0123456789012345678901234567890123456789".into();
        job.steps = vec![Step::script(vec!["make".into()]), Step::after_script(vec!["echo after".into()])];
        Self {
            job,
            act: Box::new(act),
            stop_when_busy: None,
            stop_anyway: None,
            hangs_at_the_end: false,
            cache: false,
            store: Store::Willing,
            room: usize::MAX,
        }
    }

    /// `name` does `act`, everything else succeeds.
    pub(super) fn with(name: &'static str, act: Act) -> Self {
        Self::new(move |_, command| if part(command) == name { act } else { Act::Exit(0) })
    }

    pub(super) fn stopped(mut self, how: Stop) -> Self {
        self.stop_when_busy = Some(how);
        self
    }

    pub(super) fn variable(mut self, key: &str, value: &str) -> Self {
        self.job.variables.push(Variable::raw(key, value));
        self
    }

    /// Has a cache, which never answers.
    pub(super) fn cached(mut self, spec: CacheSpec) -> Self {
        self.cache = true;
        self.job.caches.push(spec);
        self
    }

    pub(super) fn kept(mut self, when: When) -> Self {
        let spec = ArtifactSpec { paths: vec!["*".into()], when, ..ArtifactSpec::default() };
        self.job.artifacts.push(spec);
        self
    }

    pub(super) async fn run(self) -> Seen {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let places = Places { project: root.join("project"), temporary: root.join("project.tmp"), root };
        std::fs::create_dir_all(&places.project).unwrap();
        std::fs::create_dir_all(&places.temporary).unwrap();
        let (sender, stop) = stop_channel();
        let (stop_when_busy, stop_anyway) = (self.stop_when_busy, self.stop_anyway);
        let watched = Watched::default();
        let (engine, host) = self.engine(places, &sender, stop, &watched);
        let anyway = async {
            if let Some(time) = stop_anyway {
                tokio::time::sleep(time).await;
                sender.stop(stop_when_busy.unwrap_or(Stop::Abort));
            }
            std::future::pending::<()>().await;
        };
        let start = Instant::now();
        let end = tokio::select! { end = engine.run() => end, () = anyway => unreachable!() };
        Seen {
            end,
            took: start.elapsed(),
            phases: watched.phases.lock().unwrap().clone(),
            notices: *watched.notices.lock().unwrap(),
            commands: host.started.lock().unwrap().clone(),
            ended: host.ended.lock().unwrap().clone(),
            uploads: watched.uploads.lock().unwrap().len(),
        }
    }

    fn engine(
        self,
        places: Places,
        sender: &StopSender,
        stop: StopReceiver,
        watched: &Watched,
    ) -> (Engine, Arc<FakeHost>) {
        let wish = |how: Option<Stop>| how.map(|how| (StopSender::clone(sender), how));
        let mut host = FakeHost::new(self.act);
        host.stop_when_busy = wish(self.stop_when_busy);
        host.hangs_at_the_end = self.hangs_at_the_end;
        let host = Arc::new(host);
        let silent = Arc::new(Silent(wish(self.stop_when_busy)));
        let uploads = Arc::clone(&watched.uploads);
        let willing = Willing { refuses: self.store == Store::Refusing, uploads };
        let artifacts: Arc<dyn ArtifactStore> =
            if self.store == Store::Silent { Arc::clone(&silent) as _ } else { Arc::new(willing) };
        let cache = self.cache.then_some(silent as Arc<dyn CacheBackend>);
        let masks = Masks::new(Vec::new(), Vec::new());
        let spool = Arc::new(MemorySpool::bounded(self.room));
        let engine = Engine {
            job: Arc::new(self.job),
            settings: EngineSettings { builds_dir: places.root.clone(), ..EngineSettings::default() },
            events: watched.sink(places.project.clone()),
            places,
            sources: Arc::clone(&host) as _,
            build: Arc::clone(&host) as _,
            artifacts,
            cache,
            log: JobLog::new(&LogLimits::default(), masks, false, spool),
            stop,
        };
        (engine, host)
    }
}

/// What is seen of a job while it runs.
#[derive(Default)]
struct Watched {
    phases: Arc<Mutex<Vec<Phase>>>,
    notices: Arc<Mutex<usize>>,
    uploads: Arc<Mutex<Vec<ArtifactUpload>>>,
}

impl Watched {
    /// Also does the script's work, as the fake host has no shell.
    fn sink(&self, project: PathBuf) -> EventSink {
        let (phases, notices) = (Arc::clone(&self.phases), Arc::clone(&self.notices));
        EventSink::new(move |event| match event {
            Event::Job { event: JobEvent::PhaseStarted(phase), .. } => {
                if phase == Phase::Script {
                    std::fs::write(project.join("made"), "by the script").unwrap();
                }
                phases.lock().unwrap().push(phase);
            }
            Event::Job { event: JobEvent::Notice(_), .. } => *notices.lock().unwrap() += 1,
            _ => {}
        })
    }
}

impl Seen {
    pub(super) fn ran(&self, name: &str) -> bool {
        self.commands.iter().any(|command| part(command) == name)
    }

    pub(super) fn reason(&self) -> Option<FailureReason> {
        match &self.end.outcome {
            JobOutcome::Failed(failure) => Some(failure.reason),
            _ => None,
        }
    }

    /// Whatever happened: it ended soon, everything was ended, and each phase that began also ended.
    pub(super) fn ended_well(&self, within: Duration) {
        assert!(self.took <= within, "it took {:?}: {:?}", self.took, self.end);
        assert!(!self.ended.is_empty());
        let recorded: Vec<_> = self.end.phases.iter().map(|record| record.phase).collect();
        assert_eq!(recorded, self.phases);
        assert_eq!(recorded.last(), Some(&Phase::Cleanup));
    }
}
