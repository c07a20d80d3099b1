//! What may be tried again, and when: all rules in one place, by cause.
//!
//! Log, heartbeats and ends are repeated by `runner_core`'s reporter, uploads by the engine, and requests for jobs by the
//! run loop; here these are only classified, and what the server says of when to come back is kept in a [`Gate`], which
//! the next call waits at. The one thing that is repeated here is how a download begins ([`DOWNLOADS`]).

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use reqwest::{StatusCode, header::DATE};
use runner_core::ErrorKind;
use tokio::time::{Instant, sleep_until};

use crate::answer::Head;

/// How often a download is begun.
pub(crate) const DOWNLOADS: u32 = 3;
/// How long before the second try of a download; then twice as long each time.
pub(crate) const DOWNLOAD_PAUSE: Duration = Duration::from_secs(1);

/// A server cannot ask for more.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// Nor for more than this where its clock is not known, since ours may be off.
const LONGEST_WAIT_BY_OUR_CLOCK: Duration = Duration::from_mins(1);

/// What an answer that is no success means.
pub(crate) fn kind_of(head: &Head) -> ErrorKind {
    let status = head.status;
    if is_passing(status) {
        return ErrorKind::Unavailable;
    }
    match status {
        // A proxy that has lost GitLab for a while answers so as well; nothing is given up for it.
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if !head.is_of_gitlab() => ErrorKind::Unavailable,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::CONFLICT => ErrorKind::Conflict,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::Exhausted,
        status if status.is_server_error() => ErrorKind::Unsupported,
        // A page for maintenance, or for a login before GitLab; a wrong address shows before the first job.
        status if status.is_redirection() => ErrorKind::Unavailable,
        status if status.is_success() => ErrorKind::Corrupt,
        _ => ErrorKind::Invalid,
    }
}

/// Answers that say that it may work later.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504 | 512..)
}

/// How long the server asks to wait: until `RateLimit-ResetTime`, or as long as `Retry-After` says.
///
/// The time is compared with the server's own clock where it tells it, since ours may be off.
pub(crate) fn named_wait(head: &Head, now: SystemTime) -> Option<Duration> {
    if !is_passing(head.status) {
        return None;
    }
    let reset = head.text("ratelimit-resettime").and_then(|text| httpdate::parse_http_date(text).ok());
    if let Some(reset) = reset {
        let until = |now| reset.duration_since(now).unwrap_or_default();
        let theirs = head.text(DATE.as_str()).and_then(|text| httpdate::parse_http_date(text).ok());
        return Some(match theirs {
            Some(theirs) => until(theirs).min(LONGEST_WAIT),
            None => until(now).min(LONGEST_WAIT_BY_OUR_CLOCK),
        });
    }
    let seconds = head.text("retry-after")?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// Keeps calls back while the server has asked for it.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Option<Instant>>);

impl Gate {
    /// Waits until the server may be asked. Cancel safe.
    pub(crate) async fn pass(&self) {
        while let Some(until) = self.closed_until() {
            sleep_until(until).await;
        }
    }

    /// Until when the server may not be asked.
    pub(crate) fn closed_until(&self) -> Option<Instant> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }

    /// Takes note of what an answer says of when to come back.
    pub(crate) fn note(&self, head: &Head) {
        if let Some(wait) = named_wait(head, SystemTime::now()) {
            tracing::debug!(?wait, status = head.status.as_u16(), "the server asks to wait");
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::head;

    const RESET: (&str, &str) = ("ratelimit-resettime", "Wed, 21 Oct 2026 07:28:30 GMT");

    fn clock(text: &str) -> SystemTime {
        httpdate::parse_http_date(text).unwrap()
    }

    #[test]
    fn what_may_pass_is_what_gitlab_runner_retries() {
        let passing: Vec<_> =
            (400..=599).filter(|code| is_passing(StatusCode::from_u16(*code).unwrap())).collect();
        assert_eq!(passing[..6], [408, 429, 500, 502, 503, 504]);
        assert_eq!(passing[6..], (512..=599).collect::<Vec<_>>());
    }

    #[test]
    fn the_time_of_a_reset_wins_and_is_read_by_the_servers_clock() {
        let headers = [RESET, ("date", "Wed, 21 Oct 2026 07:28:00 GMT"), ("retry-after", "7")];
        // Our clock is years off.
        let wait = named_wait(&head(429, &headers), clock("Mon, 01 Jan 2001 00:00:00 GMT"));
        assert_eq!(wait, Some(Duration::from_secs(30)));
    }

    #[test]
    fn without_the_servers_clock_a_wrong_one_costs_a_minute_at_most() {
        let wait = |now| named_wait(&head(429, &[RESET]), clock(now));
        assert_eq!(wait("Mon, 01 Jan 2001 00:00:00 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(wait("Wed, 21 Oct 2026 07:28:20 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(wait("Wed, 21 Oct 2037 07:28:20 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn a_wait_is_whole_seconds_and_bounded() {
        let wait = |text| named_wait(&head(503, &[("retry-after", text)]), SystemTime::UNIX_EPOCH);
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999999999"), Some(Duration::from_mins(15)));
        assert_eq!(wait("soon"), None);
        assert_eq!(named_wait(&head(403, &[("retry-after", "7")]), SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn a_refusal_by_a_proxy_may_pass() {
        let html = ("content-type", "text/html");
        assert_eq!(kind_of(&head(404, &[html])), ErrorKind::Unavailable);
        assert_eq!(kind_of(&head(403, &[html])), ErrorKind::Unavailable);
        assert_eq!(kind_of(&head(404, &[])), ErrorKind::NotFound);
        assert_eq!(kind_of(&head(403, &[])), ErrorKind::Unauthorized);
        assert_eq!(kind_of(&head(413, &[html])), ErrorKind::Exhausted);
        assert_eq!(kind_of(&head(302, &[])), ErrorKind::Unavailable);
        assert_eq!(kind_of(&head(422, &[])), ErrorKind::Invalid);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_opens_when_the_server_said() {
        let gate = Gate::default();
        let start = Instant::now();
        gate.pass().await;
        gate.note(&head(429, &[("retry-after", "7")]));
        gate.note(&head(200, &[("retry-after", "70")]));
        gate.pass().await;
        assert_eq!(start.elapsed().as_secs(), 7);
        assert_eq!(gate.closed_until(), None);
    }
}
