//! The one state that a source, its reports and its artifact stores share, and how news of it get out.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{PipelineOutput, run::Run};

pub(super) struct Shared {
    state: Mutex<State>,
    output: Arc<dyn PipelineOutput>,
    changed: Notify,
}

struct State {
    run: Run,
    /// Somebody is telling news; whoever adds some leaves the telling to them, so that the order is kept.
    is_telling: bool,
}

impl Shared {
    pub(super) fn new(run: Run, output: Arc<dyn PipelineOutput>) -> Self {
        Self { state: Mutex::new(State { run, is_telling: false }), output, changed: Notify::new() }
    }

    pub(super) fn output(&self) -> &dyn PipelineOutput {
        &*self.output
    }

    /// Told when a job may have become ready, or when all are over.
    pub(super) fn changed(&self) -> &Notify {
        &self.changed
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Run) -> T) -> T {
        look(&self.lock().run)
    }

    /// Changes the state, then tells what changed. The output may call back.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Run) -> T) -> T {
        let result = change(&mut self.lock().run);
        self.changed.notify_waiters();
        self.tell();
        result
    }

    /// Changes what nobody waits for and nobody is told of.
    pub(super) fn change_silently<T>(&self, change: impl FnOnce(&mut Run) -> T) -> T {
        change(&mut self.lock().run)
    }

    fn tell(&self) {
        if std::mem::replace(&mut self.lock().is_telling, true) {
            return;
        }
        while let Some(news) = self.next_news() {
            self.output.changed(&news.name, &news);
        }
    }

    fn next_news(&self) -> Option<super::JobProgress> {
        let mut state = self.lock();
        let news = state.run.take_news();
        state.is_telling = news.is_some();
        news
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything of it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Shared")
    }
}
