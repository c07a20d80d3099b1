//! Sends requests to a store, signed with the manager's credentials.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use reqwest::{Method, StatusCode, header::HeaderMap};
use runner_core::{Error, ErrorKind, Result};
use tokio::time::sleep;

use super::{
    address::{Address, FIRST_REGION},
    credentials::Credentials,
    refusal::Refusal,
    settings::S3Settings,
    sign::Signer,
};
use crate::transfer::tls;

const CONNECT: Duration = Duration::from_secs(5);
/// How long a store may take for one of our own requests, which are all small.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a request of ours takes at most to be signed and sent.
const OURS: Duration = Duration::from_mins(5);
/// How often a request is sent where the answer may be another one next time.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// So much is read of an answer that only says why not.
const REASON: usize = 16 << 10;

/// A client of one bucket.
#[derive(Debug)]
pub(crate) struct Client {
    settings: S3Settings,
    http: reqwest::Client,
    reads: Arc<Credentials>,
    writes: Arc<Credentials>,
    /// The region that the store named, where the settings name none.
    learned: Mutex<Option<String>>,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    /// What it is for; completes "failed to …".
    pub(crate) doing: &'static str,
    pub(crate) method: Method,
    /// The object; empty for the bucket.
    pub(crate) key: &'a str,
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) body: Bytes,
    /// So many bytes of the answer are read; a longer one is an error.
    pub(crate) limit: usize,
}

/// What a store answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It did it.
    Done(Bytes),
    /// It did not.
    Refused(Refusal),
}

impl<'a> Ask<'a> {
    /// A request without a query and a body.
    pub(crate) fn new(doing: &'static str, method: Method, key: &'a str) -> Self {
        Self { doing, method, key, query: &[], body: Bytes::new(), limit: REASON }
    }
}

impl Client {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the certificate of an authority cannot be read.
    pub(crate) fn new(settings: S3Settings) -> Result<Self> {
        let http = http_client(settings.ca.as_deref())?;
        let region = settings.region.as_deref().unwrap_or(FIRST_REGION);
        let of = |role: Option<&str>| Arc::new(Credentials::new(&settings, role, http.clone(), region));
        let reads = of(settings.role.as_deref());
        let writes = match settings.upload_role.as_deref() {
            Some(role) => of(Some(role)),
            None => Arc::clone(&reads),
        };
        Ok(Self { settings, http, reads, writes, learned: Mutex::default() })
    }

    /// What the bucket is.
    pub(crate) fn settings(&self) -> &S3Settings {
        &self.settings
    }

    /// The region that requests are signed for.
    pub(crate) fn region(&self) -> String {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.settings.region.clone().or(learned).unwrap_or_else(|| FIRST_REGION.to_owned())
    }

    /// Where the objects are.
    pub(crate) fn address(&self) -> Address {
        Address::new(&self.settings, &self.region())
    }

    /// What signs requests that are good for `lifetime`.
    ///
    /// # Errors
    /// Those of [`Credentials::get`].
    pub(crate) async fn signer(&self, method: &Method, lifetime: Duration) -> Result<Signer> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let credentials = if is_read { &self.reads } else { &self.writes };
        Ok(Signer::new(credentials.get(lifetime).await?, &self.region(), lifetime))
    }

    /// The headers that a write is signed with.
    pub(crate) fn write_headers(&self) -> Vec<(&'static str, String)> {
        self.settings.encryption.as_ref().map(super::settings::S3Encryption::headers).unwrap_or_default()
    }

    /// Sends a request; again where another try may have another end.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where there is no answer, [`ErrorKind::Corrupt`] where it is longer than it may be, and
    /// those of the credentials. A refusal is an answer.
    ///
    /// # Cancellation
    /// May be dropped: whether the store did it is unknown then.
    pub(crate) async fn send(&self, ask: &Ask<'_>) -> Result<Answer> {
        let (mut tried, mut moved) = (1, false);
        loop {
            let answer = self.send_once(ask).await;
            match &answer {
                Ok(Answer::Refused(refusal)) if refusal.is_elsewhere() && !moved && self.learn(refusal) => {
                    moved = true;
                    continue;
                }
                Ok(Answer::Refused(refusal)) if refusal.is_passing() && tried < TRIES => {}
                Err(error) if error.is_retryable() && tried < TRIES => {}
                _ => return answer,
            }
            sleep(PAUSE * tried).await;
            tried += 1;
        }
    }

    /// The same; a refusal is an error.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and what a refusal means.
    pub(crate) async fn must(&self, ask: &Ask<'_>) -> Result<Bytes> {
        match self.send(ask).await? {
            Answer::Done(body) => Ok(body),
            Answer::Refused(refusal) => Err(refusal.into_error(ask.doing)),
        }
    }

    /// Whether the region that a refusal names is news, which only counts where the settings name none.
    fn learn(&self, refusal: &Refusal) -> bool {
        if self.settings.region.is_some() || refusal.region.is_empty() || refusal.region == self.region() {
            return false;
        }
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal.region.clone());
        true
    }

    async fn send_once(&self, ask: &Ask<'_>) -> Result<Answer> {
        let address = self.address().of(ask.key, ask.query);
        let is_object = !ask.key.is_empty() && ask.method == Method::PUT;
        let headers = if is_object { self.write_headers() } else { Vec::new() };
        let signer = self.signer(&ask.method, OURS).await?;
        let headers = signer.headers(&ask.method, &address, &headers).await?;
        let request = self.http.request(ask.method.clone(), &address).headers(headers).timeout(ANSWER);
        let request = if ask.body.is_empty() && ask.method != Method::PUT {
            request
        } else {
            request.body(ask.body.clone())
        };
        let response = request.send().await.map_err(|cause| unanswered(ask.doing, cause))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let limit = if status.is_success() { ask.limit } else { REASON };
        let body = read(ask.doing, response, limit).await?;
        Ok(judge(status, &headers, body))
    }

    /// How far the clock of the store is ahead of ours; negative where it is behind. It is asked without a signature.
    pub(crate) async fn clock_skew(&self) -> Option<i64> {
        let response = self.http.get(self.address().origin()).timeout(ANSWER).send().await.ok()?;
        let date = httpdate::parse_http_date(response.headers().get("date")?.to_str().ok()?).ok()?;
        let seconds =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |span| span.as_secs());
        Some(seconds(date).cast_signed() - seconds(SystemTime::now()).cast_signed())
    }
}

fn http_client(authorities: Option<&str>) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(authorities)?)
        // A signature is for one host.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        // Without this call the library reads the environment.
        .no_proxy()
        .build()
        .map_err(|cause| Error::new(ErrorKind::Internal, "make an HTTP client").because(cause))
}

/// There was no answer. The address is left out: it may be long, and the origin is known.
fn unanswered(doing: &str, cause: reqwest::Error) -> Error {
    Error::new(ErrorKind::Unavailable, doing).because(cause.without_url())
}

fn judge(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Answer {
    if status.is_success() {
        Answer::Done(body)
    } else {
        Answer::Refused(Refusal::of(status, headers, &body))
    }
}

/// The body of an answer, unless it is longer than `limit`.
async fn read(doing: &str, mut response: reqwest::Response, limit: usize) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(part) = response.chunk().await.map_err(|cause| unanswered(doing, cause))? {
        if body.len() + part.len() > limit {
            return Err(Error::new(ErrorKind::Corrupt, doing).with("it has more bytes than", limit));
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}
