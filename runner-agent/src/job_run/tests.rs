use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    Error, ErrorKind, EventSink, JobReport, Result,
    artifact::NoArtifacts,
    executor::LogLimits,
    log::{LogSpool, Masks, MemorySpool},
    source::{Completion, JobState, LogReply, Wish},
};

use super::*;
use crate::{
    engine::{EngineSettings, Places, stop_channel},
    host::{Command, FileAction, MemoryUse, Process},
};

fn away<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, "reach the source"))
}

/// A source that never answers.
#[derive(Debug)]
struct Away;

#[async_trait]
impl JobReport for Away {
    async fn accept(&self) -> Result<Wish> {
        away()
    }

    async fn append_log(&self, _: u64, _: Bytes) -> Result<LogReply> {
        away()
    }

    async fn heartbeat(&self, _: JobState) -> Result<Wish> {
        away()
    }

    async fn complete(&self, _: &JobOutcome, _: Option<LogDigest>) -> Result<Completion> {
        away()
    }
}

/// A host that can do nothing.
#[derive(Debug)]
struct NoHost;

#[async_trait]
impl Host for NoHost {
    async fn start(&self, _: Command) -> Result<Process> {
        away()
    }

    async fn find(&self, _: &[&str], _: &str) -> Result<Option<String>> {
        away()
    }

    async fn end_all(&self, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn environment(&self) -> Result<Option<Vec<(String, String)>>> {
        away()
    }

    async fn take_over(&self, _: &[PathBuf]) -> Result<()> {
        away()
    }

    async fn files(&self, _: FileAction, _: &Path) -> Result<Process> {
        away()
    }

    async fn memory(&self) -> Result<Option<MemoryUse>> {
        Ok(None)
    }

    async fn close(&self) {}
}

/// A run of a job with nothing to do, whose source is away.
fn run_in(root: PathBuf, successor: Successor) -> JobRun {
    let job = Arc::new(JobSpec::new("1", "job"));
    let spool: Arc<dyn LogSpool> = Arc::new(MemorySpool::new());
    let masks = Masks::new(Vec::new(), Vec::new());
    let log = JobLog::new(&LogLimits::default(), masks, false, Arc::clone(&spool));
    let (stop, stop_receiver) = stop_channel();
    let host: Arc<dyn Host> = Arc::new(NoHost);
    let places = Places { project: root.join("project"), temporary: root.join("project.tmp"), root };
    let engine = Engine {
        job: Arc::clone(&job),
        places,
        sources: Arc::clone(&host),
        build: Arc::clone(&host),
        artifacts: Arc::new(NoArtifacts),
        cache: None,
        log: log.clone(),
        events: EventSink::default(),
        stop: stop_receiver,
        settings: EngineSettings::default(),
    };
    JobRun {
        job,
        engine,
        hosts: vec![host],
        log,
        reporter: Reporter::new(Arc::new(Away), spool, Duration::ZERO),
        stop,
        log_start: LogDigest::default(),
        successor: Some(successor),
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_is_known_before_its_source_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let noted = Arc::new(Mutex::new(None));
    let hears = {
        let (noted, start) = (Arc::clone(&noted), Instant::now());
        move |end: &JobEnd| *noted.lock().unwrap() = Some((end.clone(), start.elapsed()))
    };
    let start = Instant::now();
    let (leaves, hurry) = (|_: &JobOutcome| false, CancellationToken::new());
    let successor = Successor { leaves: Box::new(leaves), hears: Box::new(hears), hurry };
    let run = run_in(folder.path().to_owned(), successor);
    let (sender, told) = watch::channel(None);
    run.run(TaskTracker::new(), CancellationToken::new(), sender).await;
    let (known, after) = noted.lock().unwrap().take().unwrap();
    assert!(!known.reported);
    assert_eq!(*told.borrow(), Some(known));
    assert!(after < REPORTING && start.elapsed() >= REPORTING, "{after:?}");
}
