//! The runners of a config: each is made ready in the background and then asks for jobs.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use runner_config::{Config, RunnerConfig};
use runner_core::{Runner, run::RunnerConfig as Ready};
use tokio::{task::JoinSet, time::sleep};

use super::prepare::{Surrounding, prepare};

/// How long until a runner that could not be made ready is tried again; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The runners of a config.
#[derive(Debug)]
pub(super) struct Crew(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    runner: Arc<Runner>,
    surrounding: Surrounding,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    concurrent: usize,
    entries: Vec<Entry>,
}

/// One runner.
#[derive(Debug)]
struct Entry {
    config: Arc<RunnerConfig>,
    check_interval: Duration,
    ready: Option<Arc<Ready>>,
    /// What makes it ready; it ends with the entry.
    _preparing: JoinSet<()>,
}

impl Crew {
    pub(super) fn new(runner: Arc<Runner>, surrounding: Surrounding) -> Self {
        Self(Arc::new(Shared { runner, surrounding, state: Mutex::default() }))
    }

    /// Goes on with another config. Runners that are as they were are left alone. Must be called within a runtime.
    pub(super) fn set(&self, config: &Config) {
        let mut state = self.0.state();
        state.concurrent = config.concurrent;
        let mut before = std::mem::take(&mut state.entries);
        for runner in &config.runners {
            let is_same =
                |entry: &Entry| *entry.config == *runner && entry.check_interval == config.check_interval;
            let entry = match before.iter().position(is_same) {
                Some(place) => before.swap_remove(place),
                None => self.entry(Arc::new(runner.clone()), config.check_interval),
            };
            state.entries.push(entry);
        }
        self.0.apply(&state);
    }

    fn entry(&self, config: Arc<RunnerConfig>, check_interval: Duration) -> Entry {
        let mut preparing = JoinSet::new();
        preparing.spawn(Arc::clone(&self.0).make_ready(Arc::clone(&config), check_interval));
        Entry { config, check_interval, ready: None, _preparing: preparing }
    }
}

impl Shared {
    async fn make_ready(self: Arc<Self>, config: Arc<RunnerConfig>, check_interval: Duration) {
        let mut pause = FIRST_PAUSE;
        let mut said = String::new();
        let ready = loop {
            match prepare(&config, check_interval, &self.surrounding).await {
                Ok(ready) => break Arc::new(ready),
                Err(error) => {
                    let text = format!("{error:#}");
                    // Once is enough to be read, and the log must not fill.
                    if text == said {
                        tracing::debug!(runner = config.name, "still: {text}");
                    } else {
                        tracing::error!(runner = config.name, "the runner takes no jobs: failed to {text}");
                    }
                    said = text;
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        tracing::info!(runner = config.name, url = config.url, "the runner asks for jobs");
        let mut state = self.state();
        if let Some(entry) = state.entries.iter_mut().find(|entry| Arc::ptr_eq(&entry.config, &config)) {
            entry.ready = Some(ready);
            self.apply(&state);
        }
    }

    fn apply(&self, state: &State) {
        let ready = state.entries.iter().filter_map(|entry| entry.ready.clone());
        match NonZeroUsize::new(state.concurrent) {
            Some(concurrent) => self.runner.reconfigure(concurrent, ready.collect()),
            None => self.runner.reconfigure(NonZeroUsize::MIN, Vec::new()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
