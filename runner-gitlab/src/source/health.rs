//! A runner that the server refuses again and again is not asked for a while.

use std::time::Duration;

use tokio::time::Instant;

/// Counts refusals, one after the other.
#[derive(Debug)]
pub(super) struct Health {
    limit: u32,
    interval: Duration,
    refused: u32,
    until: Option<Instant>,
}

impl Health {
    /// After `limit` refusals nothing is asked for `interval`; a limit of 0 is none.
    pub(super) fn new(limit: u32, interval: Duration) -> Self {
        Self { limit, interval, refused: 0, until: None }
    }

    /// The server refused. Returns how long it is not asked now, where that was one time too many.
    pub(super) fn refused(&mut self) -> Option<Duration> {
        self.refused += 1;
        if self.limit == 0 || self.refused < self.limit {
            return None;
        }
        self.refused = 0;
        self.until = Some(Instant::now() + self.interval);
        Some(self.interval)
    }

    /// The server answered otherwise. Only this makes a runner healthy: no answer says nothing.
    pub(super) fn answered(&mut self) {
        self.refused = 0;
    }

    /// Until when the server is not asked.
    pub(super) fn not_before(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn the_third_refusal_in_a_row_is_one_too_many() {
        let mut health = Health::new(3, HOUR);
        let start = Instant::now();
        assert_eq!(health.refused(), None);
        assert_eq!(health.refused(), None);
        assert_eq!(health.not_before(start), None);
        assert_eq!(health.refused(), Some(HOUR));
        assert_eq!(health.not_before(start), Some(start + HOUR));
        assert_eq!(health.not_before(start + HOUR), None);
        // Then it has as many tries again.
        assert_eq!(health.refused(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_between_counts() {
        let mut health = Health::new(3, HOUR);
        for _ in 0..10 {
            health.refused();
            health.refused();
            health.answered();
        }
        assert_eq!(health.not_before(Instant::now()), None);
    }
}
