//! When the next call to a source is due.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;

/// What the last calls say about the time of the next ones.
#[derive(Debug)]
pub(super) struct Pace {
    log_sent: Option<Instant>,
    contact: Instant,
    retry: Option<Instant>,
    backoff: Backoff,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { log_sent: None, contact: Instant::now(), retry: None, backoff: Backoff::new() }
    }

    /// The source answered.
    pub(super) fn answered(&mut self) {
        self.contact = Instant::now();
        self.retry = None;
        self.backoff.reset();
    }

    /// All of the log that there was is sent.
    pub(super) fn log_sent(&mut self) {
        self.log_sent = Some(Instant::now());
    }

    /// The source did not answer, or not sensibly. Returns how long it is left alone.
    pub(super) fn failed(&mut self) -> Duration {
        let wait = self.backoff.next();
        self.retry = Some(Instant::now() + wait);
        wait
    }

    /// Waits until it may be tried again after a failure.
    pub(super) async fn until_retry(&self) {
        until(self.retry).await;
    }

    /// Waits until `interval` is over since log was sent; the first log is due at once.
    pub(super) async fn until_interval(&self, interval: Duration) {
        until(self.log_sent.map(|sent| sent + interval)).await;
    }

    /// Waits until the source has heard nothing for `silence`.
    pub(super) async fn until_silent_for(&self, silence: Duration) {
        until(Some(self.contact + silence).max(self.retry)).await;
    }
}

async fn until(time: Option<Instant>) {
    // The timer rounds up to a millisecond, also what is over.
    if let Some(time) = time
        && time > Instant::now()
    {
        tokio::time::sleep_until(time).await;
    }
}
