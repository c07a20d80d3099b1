//! The engine, with real processes: shells, git, and a supervisor.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use runner_agent::{
    engine::{Engine, EngineEnd, EngineSettings, Places, StopSender, stop_channel},
    host::Host,
    supervise::SupervisedHost,
};
use runner_core::{
    Event, EventSink, FailureReason, JobEvent, JobOutcome, JobSpec, Phase,
    executor::LogLimits,
    job::{Step, Variable},
    log::{JobLog, LogSpool, Masks, MemorySpool},
};
use runner_testkit::MemoryArtifacts;
use tempfile::TempDir;

use crate::supervise::program;

mod login;
mod scripts;
mod sources;
mod stops;

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A job, the place it runs in, and what is seen of it.
pub(crate) struct Bench {
    pub(crate) job: JobSpec,
    pub(crate) settings: EngineSettings,
    pub(crate) folder: TempDir,
    pub(crate) artifacts: Arc<MemoryArtifacts>,
    pub(crate) phases: Arc<Mutex<Vec<Phase>>>,
}

/// How a job ended, and its log without colours.
pub(crate) struct Seen {
    pub(crate) end: EngineEnd,
    pub(crate) log: String,
}

impl Bench {
    /// A job with a script.
    pub(crate) fn new(script: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut job = JobSpec::new("1", "job");
        job.steps = vec![Step::script(script.iter().map(|&line| line.to_owned()).collect())];
        let path = std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
        let home = folder.path().join("home").to_string_lossy().into_owned();
        let settings = EngineSettings {
            builds_dir: folder.path().join("builds"),
            environment: vec![
                ("PATH".into(), path),
                ("HOME".into(), home),
                ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ],
            grace: Duration::from_secs(5),
            ..EngineSettings::default()
        };
        Ok(Self { job, settings, folder, artifacts: MemoryArtifacts::new(), phases: Arc::default() })
    }

    pub(crate) fn after_script(mut self, commands: &[&str]) -> Self {
        self.job.steps.push(Step::after_script(commands.iter().map(|&line| line.to_owned()).collect()));
        self
    }

    pub(crate) fn variable(mut self, key: &str, value: impl AsRef<str>) -> Self {
        self.job.variables.push(Variable::raw(key, value.as_ref()));
        self
    }

    /// Puts only `programs`, and those in the folder `bin`, on `PATH`.
    pub(crate) fn only(&mut self, programs: &[&str]) -> Result<PathBuf> {
        let bin = self.folder.path().join("bin");
        std::fs::create_dir_all(&bin)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        for program in programs {
            let mut found = std::env::split_paths(&path).map(|folder| folder.join(program));
            let found = found.find(|path| path.exists()).ok_or_else(|| format!("no {program}"))?;
            std::os::unix::fs::symlink(std::fs::canonicalize(found)?, bin.join(program))?;
        }
        self.settings.environment.retain(|(key, _)| key != "PATH");
        self.settings.environment.push(("PATH".into(), bin.to_string_lossy().into_owned()));
        Ok(bin)
    }

    pub(crate) fn places(&self) -> Places {
        let root = self.folder.path().join("builds");
        Places { project: root.join("project"), temporary: root.join("project.tmp"), root }
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.places().project
    }

    /// Runs the job to its end.
    pub(crate) async fn run(&self) -> Result<Seen> {
        let (_stop, seen) = self.start(|_, _| {}).await?;
        Ok(seen)
    }

    /// Runs the job to its end; `watch` sees what happens and may stop the job.
    pub(crate) async fn start(
        &self,
        watch: impl Fn(&StopSender, &JobEvent) + Send + Sync + 'static,
    ) -> Result<(StopSender, Seen)> {
        let (stop, receiver) = stop_channel();
        let places = self.places();
        for folder in [&places.project, &places.temporary] {
            std::fs::create_dir_all(folder)?;
        }
        let spool = Arc::new(MemorySpool::new());
        let limits = LogLimits { timestamps: false, ..LogLimits::default() };
        let masks = Masks::new(
            self.job
                .variables
                .0
                .iter()
                .filter(|variable| variable.masked)
                .map(|variable| variable.value.clone()),
            Vec::new(),
        );
        let log = JobLog::new(&limits, masks, false, Arc::clone(&spool) as Arc<dyn LogSpool>);
        let (phases, sender) = (Arc::clone(&self.phases), stop.clone());
        let events = EventSink::new(move |event| {
            if let Event::Job { event, .. } = event {
                if let (JobEvent::PhaseStarted(phase), Ok(mut phases)) = (&event, phases.lock()) {
                    phases.push(*phase);
                }
                watch(&sender, &event);
            }
        });
        let host = Arc::new(SupervisedHost::start(&program())?);
        let engine = Engine {
            job: Arc::new(self.job.clone()),
            places,
            sources: Arc::clone(&host) as _,
            build: Arc::clone(&host) as _,
            artifacts: Arc::clone(&self.artifacts) as _,
            cache: None,
            log: log.clone(),
            events,
            stop: receiver,
            settings: self.settings.clone(),
        };
        let end = engine.run().await;
        log.finish().await;
        host.close().await;
        let mut text = Vec::new();
        loop {
            let bytes = spool.read(text.len() as u64, 1 << 20).await?;
            if bytes.is_empty() {
                break;
            }
            text.extend_from_slice(&bytes);
        }
        Ok((stop, Seen { end, log: without_colours(&String::from_utf8(text)?) }))
    }
}

impl Seen {
    /// Fails unless the job succeeded.
    pub(crate) fn succeeded(&self) -> Result {
        self.ended(&JobOutcome::Succeeded)
    }

    pub(crate) fn ended(&self, outcome: &JobOutcome) -> Result {
        if self.end.outcome == *outcome {
            return Ok(());
        }
        Err(format!("{:?} instead of {outcome:?}:\n{}", self.end.outcome, self.log).into())
    }

    /// Fails unless the job failed for `reason`; returns the message.
    pub(crate) fn failed(&self, reason: FailureReason) -> Result<&str> {
        match &self.end.outcome {
            JobOutcome::Failed(failure) if failure.reason == reason => Ok(&failure.message),
            other => Err(format!("{other:?} instead of {reason}:\n{}", self.log).into()),
        }
    }

    /// Fails unless each of `lines` is a line of the log, in this order.
    pub(crate) fn says(&self, lines: &[&str]) -> Result {
        let mut rest = self.log.lines();
        for line in lines {
            if !rest.any(|found| found == *line) {
                return Err(format!("no line {line:?} (in this order) in:\n{}", self.log).into());
            }
        }
        Ok(())
    }
}

fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once(['m', 'K']).map_or("", |(_, after)| after);
    }
    plain + rest
}

/// The content of a file, or a sentence that says that there is none.
pub(crate) fn content(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref()).unwrap_or_else(|error| format!("{error}"))
}
