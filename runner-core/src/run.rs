//! The run loop: asks sources for jobs while there is room, runs each, and ends orderly.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{CacheBackend, EventSink, Executor, JobSource, executor::LogLimits};

mod adoption;
mod crew;
mod job;
mod request;
mod shutdown;
mod slots;

use crew::{Crew, Setup};
use job::Driver;
pub use shutdown::{Shutdown, ShutdownLevel};
use slots::Slots;

/// How long executors have to leave.
const LEAVING: Duration = Duration::from_secs(5);

/// Runs the jobs of one or several sources, at most so many at once.
///
/// Each runner asks its source on its own: one that waits in a long poll never keeps another one from asking. A
/// request is made only while a slot is free. When the last slot is taken, requests that wait are stopped; a job that
/// arrives all the same is held, kept alive at its source, and gets the next slot.
///
/// # Example
/// ```no_run
/// # use std::sync::Arc;
/// # use runner_core::{Executor, JobSource, Runner, run::{RunnerConfig, Shutdown}};
/// # async fn example(source: Arc<dyn JobSource>, executor: Arc<dyn Executor>) {
/// let runner = Runner::builder().runner(RunnerConfig::new("mine", source, executor)).build();
/// let summary = runner.run(&Shutdown::new()).await;
/// assert_eq!(summary.failed, 0);
/// # }
/// ```
#[derive(Debug)]
pub struct Runner {
    setup: watch::Sender<Setup>,
    events: EventSink,
}

/// One runner: a source, and what runs its jobs.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// Its name among the runners of the loop.
    pub name: String,
    /// What the leases that its source gives for storing carry as their runner: the same in each process that is to adopt
    /// its jobs, also where its name is another one by then. By default its name.
    pub lease_name: String,
    /// What people call it; logs of jobs show it. By default its name.
    pub title: String,
    /// Where its jobs come from.
    pub source: Arc<dyn JobSource>,
    /// What runs them.
    pub executor: Arc<dyn Executor>,
    /// Where caches are kept.
    pub cache: Option<Arc<dyn CacheBackend>>,
    /// How many jobs of this runner run at once; `None`: as many as the loop allows.
    pub limit: Option<NonZeroUsize>,
    /// How many requests to the source may wait at once. Default 1.
    pub requests: NonZeroUsize,
    /// How logs are treated.
    pub log: LogLimits,
}

impl RunnerConfig {
    /// A runner without a cache and without a limit of its own.
    pub fn new(name: impl Into<String>, source: Arc<dyn JobSource>, executor: Arc<dyn Executor>) -> Self {
        let name = name.into();
        Self {
            title: name.clone(),
            lease_name: name.clone(),
            name,
            source,
            executor,
            cache: None,
            limit: None,
            requests: NonZeroUsize::MIN,
            log: LogLimits::default(),
        }
    }
}

/// Makes a [`Runner`].
#[derive(Debug)]
pub struct RunnerBuilder {
    concurrent: NonZeroUsize,
    runners: Vec<Arc<RunnerConfig>>,
    events: EventSink,
}

impl RunnerBuilder {
    /// How many jobs run at once over all runners. Default 1.
    #[must_use]
    pub fn concurrent(mut self, concurrent: NonZeroUsize) -> Self {
        self.concurrent = concurrent;
        self
    }

    /// Adds a runner.
    #[must_use]
    pub fn runner(mut self, runner: RunnerConfig) -> Self {
        self.runners.push(Arc::new(runner));
        self
    }

    /// Takes what happens.
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// The runner.
    pub fn build(self) -> Runner {
        let setup = Setup { concurrent: self.concurrent, runners: self.runners, may_be_empty: false };
        Runner { setup: watch::Sender::new(setup), events: self.events }
    }
}

/// How many jobs ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// Jobs that succeeded.
    pub succeeded: usize,
    /// Jobs that failed.
    pub failed: usize,
    /// Jobs that were canceled.
    pub canceled: usize,
    /// Jobs that still ran when the loop was told to leave them, and jobs of an earlier process that are known and could
    /// not be taken over.
    pub left: usize,
}

impl Runner {
    /// Starts with nothing: add runners.
    pub fn builder() -> RunnerBuilder {
        RunnerBuilder { concurrent: NonZeroUsize::MIN, runners: Vec::new(), events: EventSink::default() }
    }

    /// Runs until every source is exhausted, or until `shutdown` says to end.
    ///
    /// Jobs of an earlier process are taken over first. Where they cannot be listed, or one of them cannot be taken over,
    /// that is tried again in the background, later each time, while new jobs are taken; a slot is taken by such a job
    /// only when it is taken over. A loop that takes no more jobs goes on trying for two minutes, unless it is told to
    /// [leave](ShutdownLevel::Leave), and then leaves the rest to a later process: those jobs run on.
    ///
    /// # Cancellation
    /// Dropping the future leaves running jobs to themselves; [`Shutdown`] ends them orderly.
    pub async fn run(&self, shutdown: &Shutdown) -> RunSummary {
        let mut setups = self.setup.subscribe();
        let setup = setups.borrow_and_update().clone();
        let driver = Arc::new(Driver {
            slots: Slots::new(setup.concurrent),
            events: self.events.clone(),
            shutdown: shutdown.clone(),
            jobs: job::Jobs::default(),
        });
        let mut crew = Crew::new(Arc::clone(&driver));
        crew.begin(setup).await;
        loop {
            tokio::select! {
                biased;
                // First: when it drains no runner asks any more, and that is not why it ends.
                () = shutdown.reached(ShutdownLevel::Drain) => {
                    self.events.send(crate::Event::Draining { running: driver.jobs.running() });
                    break;
                }
                () = crew.done() => break,
                // The sender lives as long as `self`, so that waiting cannot fail.
                _ = setups.changed() => {
                    let setup = setups.borrow_and_update().clone();
                    crew.change(setup).await;
                }
            }
        }
        let runners = crew.drained().await;
        let summary = driver.jobs.finish(shutdown).await;
        let mut leaving = JoinSet::new();
        for runner in runners {
            leaving.spawn(async move { runner.executor.leave().await });
        }
        // Whoever shares jobs with this process notices its end by themselves as well, but later.
        drop(timeout(LEAVING, async { while leaving.join_next().await.is_some() {} }).await);
        summary
    }

    /// The runners, as they were set last.
    pub fn runners(&self) -> Vec<Arc<RunnerConfig>> {
        self.setup.borrow().runners.clone()
    }

    /// Replaces the runners, and how many jobs run at once, also while [`run`](Self::run) is under way. A runner that is
    /// the same object goes on undisturbed; another one of the same name takes its place. Jobs that run go on as they
    /// began. Without any runner the loop waits for the next change.
    pub fn reconfigure(&self, concurrent: NonZeroUsize, runners: Vec<Arc<RunnerConfig>>) {
        self.setup.send_replace(Setup { concurrent, runners, may_be_empty: true });
    }
}
