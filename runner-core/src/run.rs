//! The run loop: asks sources for jobs while there is room, runs each, and ends orderly.

use std::{num::NonZeroUsize, sync::Arc};

use tokio::task::JoinSet;

use crate::{CacheBackend, EventSink, Executor, JobSource, executor::LogLimits};

mod job;
mod request;
mod shutdown;
mod slots;

use job::Driver;
pub use shutdown::{Shutdown, ShutdownLevel};
use slots::Slots;

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
    concurrent: NonZeroUsize,
    runners: Vec<Arc<RunnerConfig>>,
    events: EventSink,
}

/// One runner: a source, and what runs its jobs.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// Its name; stored leases carry it.
    pub name: String,
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
        Self {
            name: name.into(),
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
        Runner { concurrent: self.concurrent, runners: self.runners, events: self.events }
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
    /// Jobs that still ran when the loop was told to leave them.
    pub left: usize,
}

impl Runner {
    /// Starts with nothing: add runners.
    pub fn builder() -> RunnerBuilder {
        RunnerBuilder { concurrent: NonZeroUsize::MIN, runners: Vec::new(), events: EventSink::default() }
    }

    /// Runs until every source is exhausted, or until `shutdown` says to end. Jobs of an earlier process are taken
    /// over first.
    ///
    /// # Cancellation
    /// Dropping the future leaves running jobs to themselves; [`Shutdown`] ends them orderly.
    pub async fn run(&self, shutdown: &Shutdown) -> RunSummary {
        let driver = Arc::new(Driver {
            slots: Slots::new(self.concurrent),
            events: self.events.clone(),
            shutdown: shutdown.clone(),
            jobs: job::Jobs::default(),
        });
        for runner in &self.runners {
            driver.adopt_all(runner).await;
        }
        let mut requests = JoinSet::new();
        for runner in &self.runners {
            let limit = slots::limit(runner.limit);
            for _ in 0..runner.requests.get() {
                let (driver, runner, limit) = (Arc::clone(&driver), Arc::clone(runner), Arc::clone(&limit));
                requests.spawn(async move { driver.ask_until_done(&runner, &limit).await });
            }
        }
        self.tell_draining(&driver, shutdown, &mut requests).await;
        driver.jobs.finish(shutdown).await
    }

    async fn tell_draining(&self, driver: &Driver, shutdown: &Shutdown, requests: &mut JoinSet<()>) {
        let all_asked = async { while requests.join_next().await.is_some() {} };
        let draining = async {
            shutdown.reached(ShutdownLevel::Drain).await;
            self.events.send(crate::Event::Draining { running: driver.jobs.running() });
        };
        tokio::pin!(all_asked);
        tokio::select! {
            () = &mut all_asked => return,
            () = draining => {}
        }
        all_asked.await;
    }
}
