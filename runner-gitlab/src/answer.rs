//! What a server answers: status, headers, and a body of bounded size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, LOCATION, RANGE},
};
use runner_core::{Error, ErrorKind, Result};
use tokio::time::timeout;

/// The longest that the server may ask to wait before the next report.
const LONGEST_INTERVAL: Duration = Duration::from_mins(15);
/// A body that stops for so long is given up.
const SILENCE: Duration = Duration::from_mins(1);

/// Status and headers.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

impl Head {
    /// The state of the job, as the server sees it.
    pub(crate) fn job_status(&self) -> Option<&str> {
        self.text("job-status")
    }

    /// How long to wait before the next report.
    pub(crate) fn interval(&self) -> Option<Duration> {
        let seconds =
            self.text("x-gitlab-trace-update-interval")?.parse().ok().filter(|seconds| *seconds > 0)?;
        Some(Duration::from_secs(seconds).min(LONGEST_INTERVAL))
    }

    /// The size of the log that the server has: `0-N`, where N is the size.
    pub(crate) fn log_size(&self) -> Option<u64> {
        self.text(RANGE.as_str())?.split_once('-')?.1.trim().parse().ok()
    }

    /// What to send with the next request for a job.
    pub(crate) fn last_update(&self) -> Option<&str> {
        self.text("x-gitlab-last-update")
    }

    /// The name that the server's own log has for the request.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.text("x-request-id").filter(|id| id.len() <= 128)
    }

    /// Where the server sends us to.
    pub(crate) fn location(&self) -> Option<&str> {
        self.text(LOCATION.as_str())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Whether GitLab itself says this, and not a proxy before it that has lost it: only then is a refusal certain.
    pub(crate) fn is_of_gitlab(&self) -> bool {
        if self.job_status().is_some() {
            return true;
        }
        match self.text(CONTENT_TYPE.as_str()) {
            None => true,
            Some(kind) if kind.contains("json") => true,
            Some(kind) if kind.contains("html") => false,
            Some(_) => self.request_id().is_some(),
        }
    }
}

/// An answer whose body was not read yet.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    response: Response,
}

impl Answer {
    pub(crate) fn new(mut response: Response) -> Self {
        let head = Head { status: response.status(), headers: std::mem::take(response.headers_mut()) };
        Self { head, response }
    }

    /// The body, of at most `most` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where it ends too early or stops, [`ErrorKind::Corrupt`] where it is longer.
    pub(crate) async fn body(mut self, most: usize) -> Result<Bytes> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > most {
                return Err(Error::new(ErrorKind::Corrupt, "read an answer").with("longer than bytes", most));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The next part of the body; `None` at its end.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where it ends too early or stops.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>> {
        let broken = || Error::new(ErrorKind::Unavailable, "read an answer to its end");
        match timeout(SILENCE, self.response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(cause)) => Err(broken().because(cause.without_url())),
            Err(_) => Err(broken().with("silent for seconds", SILENCE.as_secs())),
        }
    }

    /// Reads what little comes after an answer that matters by its head alone, so that the connection can be used again.
    pub(crate) async fn drain(self) -> Head {
        const LITTLE: usize = 64 << 10;
        let head = self.head.clone();
        // It does not matter: the connection is given up then.
        let _body = self.body(LITTLE).await.is_ok();
        head
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A head as it is written: name and value of each header.
    pub(crate) fn head(status: u16, headers: &[(&'static str, &str)]) -> Head {
        let headers = headers
            .iter()
            .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), value.parse().unwrap()));
        Head { status: StatusCode::from_u16(status).unwrap(), headers: headers.collect() }
    }

    #[test]
    fn the_range_of_a_log_ends_with_its_size() {
        assert_eq!(head(202, &[("range", "0-1024")]).log_size(), Some(1024));
        assert_eq!(head(202, &[("range", "0-0")]).log_size(), Some(0));
        assert_eq!(head(202, &[("range", "bytes")]).log_size(), None);
        assert_eq!(head(202, &[]).log_size(), None);
    }

    #[test]
    fn an_interval_is_at_most_a_quarter_of_an_hour() {
        let interval = |text| head(200, &[("x-gitlab-trace-update-interval", text)]).interval();
        assert_eq!(interval("3"), Some(Duration::from_secs(3)));
        assert_eq!(interval("86400"), Some(Duration::from_mins(15)));
        assert_eq!(interval("0"), None);
        assert_eq!(interval("-1"), None);
        assert_eq!(interval("soon"), None);
    }

    #[test]
    fn a_page_of_a_proxy_is_not_taken_for_gitlab() {
        let of_gitlab = |headers| head(404, headers).is_of_gitlab();
        assert!(of_gitlab(&[("content-type", "application/json")]));
        assert!(of_gitlab(&[]));
        assert!(of_gitlab(&[("content-type", "text/plain"), ("x-request-id", "01H")]));
        assert!(of_gitlab(&[("content-type", "text/html"), ("job-status", "failed")]));
        assert!(!of_gitlab(&[("content-type", "text/html; charset=utf-8"), ("x-request-id", "01H")]));
        assert!(!of_gitlab(&[("content-type", "text/plain")]));
    }
}
