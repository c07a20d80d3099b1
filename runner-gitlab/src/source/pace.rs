//! When the server may be asked for a job again.

use std::time::Duration;

use tokio::time::Instant;

use crate::answer::Head;

/// How a request ended that brought no job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// The server looked, and had none.
    Looked,
    /// The server held the request until something changed, or until it was tired of it, and did not look.
    Held,
}

impl Empty {
    /// The server says what to send next time only where it looked.
    pub(super) fn of(head: &Head) -> Self {
        if head.last_update().is_some() { Self::Looked } else { Self::Held }
    }
}

/// Keeps a source from asking too often.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    not_before: Option<Instant>,
    /// The last request was held, and the next one was not kept back.
    is_hasty: bool,
}

impl Pace {
    /// Asks every `interval` at most, from request to request, unless there are jobs.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, not_before: None, is_hasty: false }
    }

    /// A request that was sent at `started` brought no job.
    ///
    /// A request that was held does not count against the interval: either it took long, or something has changed, and
    /// there may be a job. Where the next one is held as well, and not for long, the server plays games.
    pub(super) fn empty(&mut self, kind: Empty, started: Instant) {
        if kind == Empty::Held && !self.is_hasty {
            self.is_hasty = true;
            return;
        }
        self.is_hasty = false;
        self.keep_back_until(started + self.interval);
    }

    /// A request that was sent at `started` brought a job: where there was one, there may be more.
    pub(super) fn job(&mut self, started: Instant, is_strict: bool) {
        self.is_hasty = false;
        if is_strict {
            self.keep_back_until(started + self.interval);
        }
    }

    /// The server may not be asked before `when`.
    pub(super) fn keep_back_until(&mut self, when: Instant) {
        self.not_before = self.not_before.max(Some(when));
    }

    /// When the server may be asked; `None`: now.
    pub(super) fn not_before(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|when| *when > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::head;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> (Pace, Instant) {
        (Pace::new(3 * SECOND), Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_answer_that_came_at_once_is_followed_by_a_pause() {
        let (mut pace, start) = pace();
        pace.empty(Empty::Looked, start);
        assert_eq!(pace.not_before(start + SECOND), Some(start + 3 * SECOND));
        assert_eq!(pace.not_before(start + 3 * SECOND), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_held_needs_no_pause() {
        let (mut pace, start) = pace();
        pace.empty(Empty::Held, start);
        assert_eq!(pace.not_before(start + SECOND), None);
        // The job went elsewhere; the time that was held counts.
        pace.empty(Empty::Looked, start + SECOND);
        assert_eq!(pace.not_before(start + SECOND), Some(start + 4 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_only_pretends_to_hold_requests_is_not_asked_without_end() {
        let (mut pace, start) = pace();
        pace.empty(Empty::Held, start);
        pace.empty(Empty::Held, start);
        assert_eq!(pace.not_before(start), Some(start + 3 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_followed_by_a_request_unless_that_is_forbidden() {
        let (mut pace, start) = pace();
        pace.job(start, false);
        assert_eq!(pace.not_before(start), None);
        pace.job(start, true);
        assert_eq!(pace.not_before(start), Some(start + 3 * SECOND));
    }

    #[test]
    fn only_a_server_that_looked_says_what_to_send_next_time() {
        assert_eq!(Empty::of(&head(204, &[("x-gitlab-last-update", "abc")])), Empty::Looked);
        assert_eq!(Empty::of(&head(204, &[])), Empty::Held);
    }
}
