//! Carries a job's log and end to its source.

use std::{
    future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, ErrorKind, JobOutcome, JobReport, Result,
    log::LogSpool,
    outcome::LogDigest,
    source::{Completion, JobState, LogAck, LogReply, Wish, WishAction},
};

mod backoff;
mod pace;

use backoff::Backoff;
use pace::Pace;

/// Bytes of the log in one call, at most.
const CHUNK: usize = 1 << 20;

/// A silent job is reported this often where the source does not say, so that it keeps the job and a cancel is seen.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// However short an interval a source asks for, it does not hear more often of a silent job.
const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(3);

/// A source cannot ask for a longer interval.
const LONGEST_INTERVAL: Duration = Duration::from_mins(15);

/// A source that is not ready is asked again after this time at the earliest.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// So often a source may ask for the whole log again.
const RESENDS: usize = 10;

/// How long a source waits to hear that a job it handed out was accepted: GitLab hands it to somebody else after that. Until
/// then an answer that does not come says nothing of the job, which may be accepted already.
pub const ACCEPTANCE: Duration = Duration::from_mins(2);

/// How long before the second try to accept a job; then twice as long each time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The longest time between two tries to accept a job.
const LONGEST_ACCEPT_PAUSE: Duration = Duration::from_secs(5);

/// Accepts the job, again and again for as long as `patience` where the source does not answer: [`ACCEPTANCE`] for a job
/// that was just handed out.
///
/// # Cancellation
/// A dropped call leaves it open whether the job was accepted; it may be repeated.
///
/// # Errors
/// What the source refuses for good, and its last answer where it never takes the job.
pub async fn accept(report: &dyn JobReport, patience: Duration) -> Result<Wish> {
    let start = Instant::now();
    let mut pause = ACCEPT_PAUSE;
    loop {
        match report.accept().await {
            Err(error) if error.is_retryable() && start.elapsed() + pause < patience => {
                tracing::debug!(error = error.chain(), "the job is not accepted yet");
            }
            answered => return answered,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_ACCEPT_PAUSE);
    }
}

/// Sends a job's log to its source, with heartbeats where there is nothing to send, and at last its end.
///
/// Whatever [may be retried](Error::is_retryable) is repeated, later each time, for hours where need be; neither a byte
/// nor the end is lost while the source is away. Of a log that the source refuses for good the rest is dropped, and
/// the job goes on.
///
/// A bounded spool should hold two MiB or more: a MiB is sent at once, less waits for the interval.
#[derive(Debug)]
pub struct Reporter {
    report: Arc<dyn JobReport>,
    spool: Arc<dyn LogSpool>,
    progress: Mutex<Progress>,
    wishes: watch::Sender<WishAction>,
    duty: watch::Sender<Duty>,
}

/// What a [`Reporter`] sends: at any time one writes the log of a job, and it may not be this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duty {
    /// The log, and heartbeats.
    #[default]
    Everything,
    /// Heartbeats: somebody else is about to write the log.
    Heartbeats,
    /// Nothing: somebody else reports the job.
    Nothing,
}

/// How far the log is sent.
#[derive(Debug)]
struct Progress {
    /// The byte that is sent next.
    next: u64,
    /// The source takes no more.
    closed: bool,
    /// The source may have more than the log holds yet, since the log is read again.
    may_lag: bool,
    /// How long to wait between two calls that carry log.
    interval: Duration,
    /// How long a silent job is not spoken of.
    heartbeat: Duration,
}

/// What became of a part of the log.
enum Sent {
    /// There is more to send, or not.
    Further,
    /// The source took nothing; it should have some time.
    Stuck,
    /// The source takes no more.
    Closed,
}

impl Reporter {
    /// A reporter of what is in `spool`. `interval` is how long it waits between two calls that carry log, where the
    /// source does not say; zero sends each byte at once.
    pub fn new(report: Arc<dyn JobReport>, spool: Arc<dyn LogSpool>, interval: Duration) -> Self {
        let progress =
            Mutex::new(Progress { next: 0, closed: false, may_lag: false, interval, heartbeat: HEARTBEAT });
        let (wishes, duty) = (watch::Sender::new(WishAction::GoOn), watch::Sender::new(Duty::default()));
        Self { report, spool, progress, wishes, duty }
    }

    /// Goes on for an earlier reporter, of another process: the log starts at byte `start`, and the source may have more of
    /// it than is here yet.
    #[must_use]
    pub fn resumed(self, start: u64) -> Self {
        {
            let mut progress = self.progress();
            progress.next = start;
            progress.may_lag = true;
        }
        self
    }

    /// Says what it sends from now on; a call that is on its way is not taken back. Where it sends everything again, the
    /// source has what others wrote meanwhile, and the spool is to get that too.
    pub fn set_duty(&self, duty: Duty) {
        self.duty.send_if_modified(|known| {
            if *known != duty && duty == Duty::Everything {
                self.progress().may_lag = true;
            }
            std::mem::replace(known, duty) != duty
        });
    }

    /// Whether the source has more of the log than is here, since not all of it could be read again. Then nobody here knows
    /// its digest.
    pub fn is_behind(&self) -> bool {
        self.progress().next > self.spool.end()
    }

    /// Whether the source has all bytes before number `upto`, or takes no more of this log.
    pub fn has_sent(&self, upto: u64) -> bool {
        let progress = self.progress();
        progress.closed || progress.next >= upto
    }

    /// What the source wants of the job. It never becomes milder.
    pub fn wishes(&self) -> watch::Receiver<WishAction> {
        self.wishes.subscribe()
    }

    /// Takes note of a wish that came another way, such as with the acceptance of the job.
    pub fn note(&self, wish: Wish) {
        if let Some(interval) = wish.interval {
            let mut progress = self.progress();
            progress.interval = interval.min(LONGEST_INTERVAL);
            // What it wants of a job that is silent it can only say in an answer.
            progress.heartbeat = progress.interval.max(SHORTEST_HEARTBEAT);
        }
        self.wishes.send_if_modified(|known| {
            let is_sharper = wish.action > *known;
            *known = wish.action.max(*known);
            is_sharper
        });
    }

    /// Sends log and heartbeats until `finished` is triggered, which the caller does once the log is finished, and then
    /// what is left of the log, each as far as that is its [duty](Self::set_duty). It ends early where the source wants the job aborted, since then nobody waits for a
    /// report.
    ///
    /// Dropping the future stops sending; running it again goes on where it was.
    pub async fn run(&self, finished: &CancellationToken) {
        let is_aborted = tokio::select! {
            biased;
            () = self.aborted() => true,
            () = self.send_until(finished) => false,
        };
        if is_aborted {
            self.close().await;
        }
    }

    /// Reports the end, again and again until the source has applied it or knows the job no more. What the source
    /// lacks of the log is sent again. `log` is `None` where nobody knows the log as a whole.
    ///
    /// # Errors
    /// What the source refuses for good; [`ErrorKind::Corrupt`] where it asks for bytes that the spool has no longer,
    /// or does not come to terms with the log.
    pub async fn complete(&self, outcome: &JobOutcome, log: Option<LogDigest>) -> Result<Completion> {
        let mut backoff = Backoff::new();
        let mut resends = 0;
        loop {
            match self.report.complete(outcome, log).await {
                Ok(completion @ (Completion::Done | Completion::Gone)) => return Ok(completion),
                Ok(Completion::NotYet(wait)) => {
                    backoff.reset();
                    tokio::time::sleep(wait.max(SHORTEST_WAIT)).await;
                }
                Ok(Completion::ResendLog(offset)) if resends < RESENDS => {
                    resends += 1;
                    self.resend(offset).await?;
                }
                Ok(Completion::ResendLog(offset)) => {
                    return Err(Error::new(ErrorKind::Corrupt, "bring the log to the source")
                        .with("asked again for byte", offset)
                        .with("times", resends));
                }
                Err(error) if error.is_retryable() => {
                    let wait = backoff.next();
                    tracing::warn!(error = %error.chain(), ?wait, "the end of a job could not be reported yet");
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn aborted(&self) {
        let mut wishes = self.wishes();
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _gone = wishes.wait_for(|wish| *wish == WishAction::Abort).await.is_err();
    }

    async fn send_until(&self, finished: &CancellationToken) {
        let mut pace = Pace::new();
        let mut duty = self.duty.subscribe();
        loop {
            let now = *duty.borrow_and_update();
            tokio::select! {
                biased;
                () = finished.cancelled() => break,
                // The sender lives as long as `self`, so that waiting cannot fail.
                _ = duty.changed() => {}
                () = self.log_due(&pace), if now == Duty::Everything => self.send_what_is_there(&mut pace).await,
                () = self.until_silent(&pace), if now != Duty::Nothing => self.beat(&mut pace).await,
            }
        }
        let is_mine = *duty.borrow() == Duty::Everything;
        if is_mine && let Err(error) = self.send_rest().await {
            self.give_up(&error).await;
        }
    }

    /// Waits until there is log to send, and the time for it.
    async fn log_due(&self, pace: &Pace) {
        let (next, closed, interval) = {
            let progress = self.progress();
            (progress.next, progress.closed, progress.interval)
        };
        if closed {
            return future::pending().await;
        }
        self.spool.wait_beyond(next).await;
        tokio::select! {
            biased;
            _ = self.spool.wait_beyond(next + CHUNK as u64 - 1) => {}
            () = pace.until_interval(interval) => {}
        }
        pace.until_retry().await;
    }

    async fn until_silent(&self, pace: &Pace) {
        let heartbeat = self.progress().heartbeat;
        pace.until_silent_for(heartbeat).await;
    }

    /// Sends what the log holds now; what is added meanwhile is for the next time.
    async fn send_what_is_there(&self, pace: &mut Pace) {
        let end = self.spool.end();
        while self.progress().lacks(end) {
            match self.send_chunk().await {
                Ok(Sent::Further) => pace.answered(),
                Ok(Sent::Closed) => return self.close().await,
                Ok(Sent::Stuck) => {
                    pace.failed();
                    return;
                }
                Err(error) if error.is_retryable() => {
                    let wait = pace.failed();
                    return tracing::debug!(error = %error.chain(), ?wait, "the log could not be sent yet");
                }
                Err(error) => return self.give_up(&error).await,
            }
        }
        pace.log_sent();
    }

    async fn beat(&self, pace: &mut Pace) {
        match self.report.heartbeat(JobState::Running).await {
            Ok(wish) => {
                self.note(wish);
                pace.answered();
            }
            Err(error) if error.is_retryable() => {
                let wait = pace.failed();
                tracing::debug!(error = %error.chain(), ?wait, "a heartbeat could not be sent yet");
            }
            Err(error) => {
                tracing::warn!(error = %error.chain(), "the source refused a heartbeat");
                pace.answered();
            }
        }
    }

    /// Sends the log to its end, without regard to the interval.
    async fn send_rest(&self) -> Result<()> {
        let mut backoff = Backoff::new();
        while self.progress().lacks(self.spool.end()) {
            match self.send_chunk().await {
                Ok(Sent::Further) => backoff.reset(),
                Ok(Sent::Closed) => self.close().await,
                Ok(Sent::Stuck) => tokio::time::sleep(backoff.next()).await,
                Err(error) if error.is_retryable() => {
                    let wait = backoff.next();
                    tracing::warn!(error = %error.chain(), ?wait, "the end of a log could not be sent yet");
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn resend(&self, offset: u64) -> Result<()> {
        {
            let mut progress = self.progress();
            progress.next = offset;
            progress.closed = false;
        }
        self.send_rest().await
    }

    async fn send_chunk(&self) -> Result<Sent> {
        let from = self.progress().next;
        let bytes = self.spool.read(from, CHUNK).await?;
        let LogReply { ack, wish } = self.report.append_log(from, bytes).await?;
        self.note(wish);
        let (LogAck::UpTo(has) | LogAck::Rewind(has)) = ack else { return Ok(Sent::Closed) };
        let end = self.spool.end();
        if has > end && !self.progress().may_lag {
            return Err(Error::new(ErrorKind::Corrupt, "bring the log to the source")
                .with("the source has bytes", has)
                .with("the log", end));
        }
        self.progress().next = has;
        self.spool.acknowledge(has).await;
        Ok(if has > from { Sent::Further } else { Sent::Stuck })
    }

    async fn give_up(&self, error: &Error) {
        tracing::warn!(error = %error.chain(), "the rest of a job's log is not sent");
        self.close().await;
    }

    async fn close(&self) {
        self.progress().closed = true;
        self.spool.discard().await;
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // A panic elsewhere cannot leave it half changed.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Whether the source lacks and takes something before the byte `end`.
    fn lacks(&self, end: u64) -> bool {
        !self.closed && self.next < end
    }
}

#[cfg(test)]
mod tests;
