//! The runners of a loop, which ask their sources for jobs, and how they change while it runs.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    sync::Arc,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{RunnerConfig, adoption::Adoptions, job::Driver, slots::Slots};

/// What a loop runs with.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) concurrent: NonZeroUsize,
    pub(super) runners: Vec<Arc<RunnerConfig>>,
    /// Where there are none, the loop waits for some.
    pub(super) may_be_empty: bool,
}

/// The runners that ask now.
#[derive(Debug)]
pub(super) struct Crew {
    driver: Arc<Driver>,
    asking: Vec<Asking>,
    /// By name: jobs of an earlier config of a runner count as well.
    limits: HashMap<String, Slots>,
    /// Whose jobs of an earlier process are taken over. Later ones are jobs of this process.
    adopted: HashSet<String>,
    tasks: JoinSet<()>,
    adoptions: Adoptions,
    may_be_empty: bool,
}

#[derive(Debug)]
struct Asking {
    runner: Arc<RunnerConfig>,
    stop: CancellationToken,
}

impl Crew {
    pub(super) fn new(driver: Arc<Driver>) -> Self {
        Self {
            driver,
            asking: Vec::new(),
            limits: HashMap::new(),
            adopted: HashSet::new(),
            tasks: JoinSet::new(),
            adoptions: Adoptions::default(),
            may_be_empty: false,
        }
    }

    /// Begins with `setup`.
    pub(super) async fn begin(&mut self, setup: Setup) {
        self.take_in(setup).await;
    }

    /// Goes on with another setup. A runner that is the same object is left alone.
    pub(super) async fn change(&mut self, setup: Setup) {
        self.asking.retain(|asking| {
            let stays = setup.runners.iter().any(|runner| Arc::ptr_eq(runner, &asking.runner));
            if !stays {
                asking.stop.cancel();
            }
            stays
        });
        self.take_in(setup).await;
    }

    /// Waits until no runner will ever ask again. Cancel safe.
    pub(super) async fn done(&mut self) {
        while self.tasks.join_next().await.is_some() {}
        if self.may_be_empty && self.asking.is_empty() {
            // Another change may bring some.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until none asks, once the loop drains. Returns who asked last.
    pub(super) async fn drained(mut self) -> Vec<Arc<RunnerConfig>> {
        while self.tasks.join_next().await.is_some() {}
        self.adoptions.finish().await;
        self.asking.into_iter().map(|asking| asking.runner).collect()
    }

    /// Takes over the jobs of each new runner before any runner asks for one.
    async fn take_in(&mut self, setup: Setup) {
        let is_new = |runner: &&Arc<RunnerConfig>| {
            !self.asking.iter().any(|asking| Arc::ptr_eq(&asking.runner, runner))
        };
        let new: Vec<_> = setup.runners.iter().filter(is_new).cloned().collect();
        let mut begun = Vec::new();
        for runner in new {
            let stop = CancellationToken::new();
            if self.adopted.insert(runner.name.clone()) {
                self.adoptions.begin(&self.driver, &runner, &stop).await;
            } else {
                self.adoptions.go_on(&self.driver, &runner, &stop);
            }
            begun.push(Asking { runner, stop });
        }
        self.may_be_empty = setup.may_be_empty;
        self.driver.slots.resize(setup.concurrent);
        for runner in setup.runners {
            let limit =
                self.limits.entry(runner.name.clone()).or_insert_with(|| Slots::of_runner(runner.limit));
            limit.resize(runner.limit.unwrap_or(NonZeroUsize::MAX));
        }
        for asking in begun {
            self.ask(asking);
        }
    }

    fn ask(&mut self, asking: Asking) {
        let Asking { runner, stop } = &asking;
        if let Some(limit) = self.limits.get(&runner.name) {
            for _ in 0..runner.requests.get() {
                let (driver, runner) = (Arc::clone(&self.driver), Arc::clone(runner));
                let (limit, stop) = (limit.clone(), stop.clone());
                self.tasks.spawn(async move { driver.ask_until_done(&runner, &limit, &stop).await });
            }
        }
        self.asking.push(asking);
    }
}
