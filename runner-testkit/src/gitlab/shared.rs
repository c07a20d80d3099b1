//! The state behind its one lock, with whoever waits for it to change, and the tasks of the server.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{settings::Settings, world::World};

/// What all tasks of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    world: Mutex<World>,
    changed: watch::Sender<()>,
    /// Told when an outage begins.
    pub(super) outage: Notify,
    pub(super) settings: Settings,
    pub(super) store_url: Option<String>,
    tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Shared {
    pub(super) fn new(settings: Settings, url: &str, store_url: Option<String>) -> Self {
        Self {
            world: Mutex::new(World::new(url, settings.first_job, settings.remembered_requests)),
            changed: watch::Sender::new(()),
            outage: Notify::new(),
            settings,
            store_url,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state.
    pub(super) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, and wakes whoever waits for that.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.send_replace(());
        changed
    }

    /// Waits until `found` finds something in the state. Dropping the future has no effect.
    pub(super) async fn wait<T>(&self, mut found: impl FnMut(&World) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(found) = found(&self.lock()) {
                return found;
            }
            // The sender is in `self`, so this cannot fail.
            drop(changed.changed().await);
        }
    }

    /// Runs a task until it ends or the server does.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }
}
