//! How a job is told to end: a wish that only gets sharper, and how long it leaves.

use std::time::Duration;

use runner_core::{executor::Stop, source::WishAction};
use tokio::{sync::watch, time::Instant};

use crate::record::StoredWish;

/// How long a job that its source cancels has at least, for `after_script` and what is sent after it.
const PATIENCE: Duration = Duration::from_mins(15);

/// What a job has left that is to end, so that it can tell how it ended.
const SHORT: Duration = Duration::from_secs(2);

/// A wish, and when its patience ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wished {
    pub(super) wish: StoredWish,
    pub(super) until: Instant,
}

impl Wished {
    /// What `stop` asks for.
    pub(super) fn by_call(stop: Stop) -> Self {
        let now = Instant::now();
        match stop {
            Stop::Graceful { deadline } => Self { wish: StoredWish::Cancel, until: deadline },
            Stop::Interrupt => Self { wish: StoredWish::Interrupt, until: now + SHORT },
            Stop::Abort => Self { wish: StoredWish::Abort, until: now },
        }
    }

    /// What the source asks for, of a job with that `timeout`.
    pub(super) fn by_source(action: WishAction, timeout: Duration) -> Option<Self> {
        let now = Instant::now();
        match action {
            WishAction::GoOn => None,
            WishAction::CancelGracefully => {
                let until = now.checked_add(timeout.max(PATIENCE)).unwrap_or(now + PATIENCE);
                Some(Self { wish: StoredWish::Cancel, until })
            }
            WishAction::Abort => Some(Self { wish: StoredWish::Abort, until: now }),
        }
    }

    /// What an earlier process had stored.
    pub(super) fn stored(wish: StoredWish) -> Self {
        let now = Instant::now();
        match wish {
            StoredWish::Cancel => Self { wish, until: now + PATIENCE },
            StoredWish::Interrupt => Self { wish, until: now + SHORT },
            StoredWish::Abort => Self { wish, until: now },
        }
    }

    /// How long the pod has from now on, in whole seconds.
    pub(super) fn grace(self) -> u32 {
        let left = self.until.saturating_duration_since(Instant::now());
        u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(u32::from(self.wish != StoredWish::Abort))
    }

    fn is_sharper_than(self, other: Self) -> bool {
        self.wish > other.wish || (self.wish == other.wish && self.until < other.until)
    }
}

/// Carries wishes to the task of a job.
#[derive(Debug, Clone)]
pub(super) struct Wishes(watch::Sender<Option<Wished>>);

impl Wishes {
    pub(super) fn new(known: Option<Wished>) -> Self {
        Self(watch::Sender::new(known))
    }

    /// Asks for an end. What is milder than what was asked before changes nothing.
    pub(super) fn ask(&self, wished: Wished) {
        self.0.send_if_modified(|known| {
            let is_news = known.is_none_or(|known| wished.is_sharper_than(known));
            if is_news {
                *known = Some(wished);
            }
            is_news
        });
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Wished>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wish_only_gets_sharper() {
        let wishes = Wishes::new(None);
        let known = wishes.subscribe();
        wishes.ask(Wished::by_call(Stop::Interrupt));
        wishes.ask(Wished::by_call(Stop::Graceful { deadline: Instant::now() }));
        assert_eq!(known.borrow().unwrap().wish, StoredWish::Interrupt);
        wishes.ask(Wished::by_call(Stop::Abort));
        wishes.ask(Wished::by_call(Stop::Interrupt));
        assert_eq!(known.borrow().unwrap().wish, StoredWish::Abort);
        assert_eq!(known.borrow().unwrap().grace(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_cancels_leaves_time_for_after_script() {
        let wished = Wished::by_source(WishAction::CancelGracefully, Duration::from_secs(1)).unwrap();
        assert_eq!(wished.grace(), 900);
        assert_eq!(Wished::by_source(WishAction::GoOn, Duration::ZERO), None);
    }
}
