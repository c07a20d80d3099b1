//! Slots: how many jobs run at once, and which number each of them has.

use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc};

use tokio::sync::watch;

/// The slots of a run loop.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug)]
struct State {
    concurrent: usize,
    taken: BTreeSet<usize>,
}

impl State {
    fn free(&self) -> usize {
        self.concurrent.saturating_sub(self.taken.len())
    }

    fn take(&mut self) -> usize {
        let number = (0..=self.taken.len()).find(|number| !self.taken.contains(number)).unwrap_or(usize::MAX);
        self.taken.insert(number);
        number
    }
}

/// One slot, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) number: usize,
    slots: Slots,
}

impl Slots {
    pub(super) fn new(concurrent: NonZeroUsize) -> Self {
        let state = State { concurrent: concurrent.get(), taken: BTreeSet::new() };
        Self { state: Arc::new(watch::Sender::new(state)) }
    }

    /// Slots for the jobs of one runner; `None`: as many as are wanted.
    pub(super) fn of_runner(limit: Option<NonZeroUsize>) -> Self {
        Self::new(limit.unwrap_or(NonZeroUsize::MAX))
    }

    /// Changes how many there are. Those that are taken beyond that stay so until they are given back.
    pub(super) fn resize(&self, concurrent: NonZeroUsize) {
        self.state.send_modify(|state| state.concurrent = concurrent.get());
    }

    /// Waits for a free slot, without taking it; returns how many are free. Cancel safe.
    pub(super) async fn free(&self) -> usize {
        let mut receiver = self.state.subscribe();
        receiver.wait_for(|state| state.free() > 0).await.map_or(0, |state| state.free())
    }

    /// Waits until no slot is free. Cancel safe.
    pub(super) async fn full(&self) {
        let mut receiver = self.state.subscribe();
        // The sender lives as long as `self`.
        drop(receiver.wait_for(|state| state.free() == 0).await);
    }

    /// Waits for a slot and takes the lowest number. Cancel safe.
    pub(super) async fn take(&self) -> Slot {
        loop {
            self.free().await;
            let mut number = None;
            self.state.send_if_modified(|state| {
                number = (state.free() > 0).then(|| state.take());
                number.is_some()
            });
            if let Some(number) = number {
                return Slot { number, slots: self.clone() };
            }
        }
    }

    /// Takes a slot even where none is free: for a job that runs already.
    pub(super) fn take_over(&self) -> Slot {
        let mut number = 0;
        self.state.send_modify(|state| number = state.take());
        Slot { number, slots: self.clone() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.state.send_modify(|state| {
            state.taken.remove(&self.number);
        });
    }
}

/// What a running job holds: its slot, and its part of the runner's limit.
#[derive(Debug)]
pub(super) struct Credit {
    pub(super) slot: Slot,
    pub(super) _limit: Option<Slot>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_lowest_number_is_taken_again() {
        let slots = Slots::new(NonZeroUsize::new(2).unwrap());
        let first = slots.take().await;
        let second = slots.take().await;
        assert_eq!((first.number, second.number), (0, 1));
        slots.full().await;
        drop(first);
        assert_eq!(slots.take().await.number, 0);
    }

    #[tokio::test]
    async fn an_adopted_job_takes_a_slot_beyond_the_last() {
        let slots = Slots::new(NonZeroUsize::MIN);
        let _first = slots.take().await;
        assert_eq!(slots.take_over().number, 1);
    }

    #[tokio::test]
    async fn fewer_slots_take_effect_as_jobs_end() {
        let slots = Slots::new(NonZeroUsize::new(2).unwrap());
        let (first, second) = (slots.take().await, slots.take().await);
        slots.resize(NonZeroUsize::MIN);
        drop(first);
        slots.full().await;
        drop(second);
        assert_eq!(slots.free().await, 1);
        slots.resize(NonZeroUsize::new(3).unwrap());
        assert_eq!(slots.free().await, 3);
    }
}
