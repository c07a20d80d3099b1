//! Moves bytes between this machine and where a grant says they are.
//!
//! Whoever reads or writes with this has no credentials: a [`Location`] is a path, or an address that carries the right to
//! one object. What may work at a second attempt gets one, here and nowhere else.

use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use runner_core::{Error, ErrorKind, Location, Result, SignedUrl};
use tokio::time::sleep;

use crate::{blocking, io_error};

mod answer;
mod body;
pub(crate) mod tls;

pub use body::Body;

const CONNECT: Duration = Duration::from_secs(10);
/// A store that sends nothing for so long will not.
const SILENCE: Duration = Duration::from_mins(1);
/// A connection slower than this, in bytes a second, is as good as none.
const SLOWEST: u64 = 20_000;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// How bytes are moved.
#[derive(Debug, Clone)]
pub struct TransferConfig {
    /// Certificates in PEM that are trusted besides those of the system.
    pub authorities: Option<String>,
    /// How often something is tried that may work the next time. Default: 4.
    pub attempts: u32,
    /// How many objects are moved at once. Default: 10, which fills a fast line where each connection is slow; each costs
    /// some 3 MiB while it sends.
    pub connections: usize,
}

impl Default for TransferConfig {
    fn default() -> Self {
        Self { authorities: None, attempts: 4, connections: 10 }
    }
}

/// Reads and writes objects. Clones share their connections and counters.
#[derive(Debug, Clone, Default)]
pub struct Transfer(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    config: TransferConfig,
    /// Made when it is first needed: reading the roots of the system takes longer than a small restore.
    client: OnceLock<reqwest::Client>,
    traffic: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
    requests: AtomicU64,
}

/// What was moved so far, retries included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of objects that were sent.
    pub sent: u64,
    /// Bytes of objects that were received.
    pub received: u64,
    /// Requests, or files opened.
    pub requests: u64,
}

/// The content of an object.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a file, from its beginning. It may have no name.
    File(Arc<std::fs::File>, u64),
}

impl Content {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }
}

impl Transfer {
    /// Nothing is connected yet.
    pub fn new(config: TransferConfig) -> Self {
        Self(Arc::new(Inner { config, ..Inner::default() }))
    }

    /// How many objects are to be moved at once.
    pub fn connections(&self) -> usize {
        self.0.config.connections.max(1)
    }

    /// What was moved so far.
    pub fn traffic(&self) -> Traffic {
        let Counters { sent, received, requests } = &self.0.traffic;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic { sent: read(sent), received: read(received), requests: read(requests) }
    }

    /// The bytes of `range` of what is at `location`, as they come. Nothing is asked for before the first are wanted.
    pub fn read(&self, location: &Location, range: Range<u64>) -> Body {
        Body::new(self.clone(), location.clone(), range)
    }

    /// All bytes of what is at `location`, however many they are.
    pub fn read_whole(&self, location: &Location) -> Body {
        Body::new(self.clone(), location.clone(), 0..u64::MAX)
    }

    /// All bytes of `range`, which the caller knows to be few.
    ///
    /// # Errors
    /// Those of [`Body::next`].
    pub async fn read_all(&self, location: &Location, range: Range<u64>) -> Result<Vec<u8>> {
        let size = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut body = self.read(location, range);
        // No more than comes: the size may be a lie.
        let mut all = Vec::with_capacity(size.min(1 << 20));
        while let Some(bytes) = body.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    /// Makes `content` what is at `location`.
    ///
    /// # Cancellation
    /// Dropping it leaves the object as it was, or whole, or, where it is a file, with a part of the content.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] where the right has expired or is none, [`ErrorKind::Exhausted`] where the store is
    /// full, [`ErrorKind::Unavailable`] where all attempts failed.
    pub async fn write(&self, location: &Location, content: &Content) -> Result<()> {
        match location {
            Location::Path(path) => self.write_file(path.into(), content.clone()).await,
            Location::Signed(signed) => self.write_signed(signed, content).await,
            _ => Err(Error::new(ErrorKind::Unsupported, "reach a place of this kind")),
        }
    }

    async fn write_file(&self, path: std::path::PathBuf, content: Content) -> Result<()> {
        self.count_request();
        let size = content.size();
        blocking::run(move |_| {
            write_file(&path, &content).map_err(|cause| io_error("write to the cache", cause))
        })
        .await?;
        self.count_sent(size);
        Ok(())
    }

    async fn write_signed(&self, signed: &SignedUrl, content: &Content) -> Result<()> {
        let mut tried = 1;
        loop {
            self.count_request();
            match self.put(signed, content).await {
                Err(error) if error.is_retryable() && tried < self.0.config.attempts => pause(tried).await,
                put => return put,
            }
            tried += 1;
        }
    }

    async fn put(&self, signed: &SignedUrl, content: &Content) -> Result<()> {
        const OPERATION: &str = "write to the cache";
        let size = content.size();
        let body = match content {
            Content::Bytes(bytes) => reqwest::Body::from(bytes.clone()),
            Content::File(file, size) => body::of_file(Arc::clone(file), *size),
        };
        let limit = SILENCE + Duration::from_secs(size / SLOWEST);
        let request = self.client()?.put(signed.url.expose()).headers(answer::headers(signed)?);
        let request = request.header(http::header::CONTENT_LENGTH, size).body(body).timeout(limit);
        let answer = request.send().await.map_err(|cause| answer::unreachable(OPERATION, signed, cause))?;
        answer::check(OPERATION, signed, answer).await?;
        self.count_sent(size);
        Ok(())
    }

    fn client(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.0.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(self.0.config.authorities.as_deref())?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .http1_only()
            // Without this call the library reads the environment.
            .no_proxy()
            .build()
            .map_err(|cause| Error::new(ErrorKind::Internal, "make an HTTP client").because(cause))?;
        Ok(self.0.client.get_or_init(|| client))
    }

    fn count_request(&self) {
        self.0.traffic.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn count_sent(&self, bytes: u64) {
        self.0.traffic.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    fn count_received(&self, bytes: u64) {
        self.0.traffic.received.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn write_file(path: &Path, content: &Content) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;

    let mut file = fs_err::File::create(path)?;
    match content {
        Content::Bytes(bytes) => std::io::Write::write_all(&mut file, bytes),
        Content::File(source, size) => {
            let mut buffer = vec![0; body::PIECE];
            let mut offset = 0;
            while offset < *size {
                let count = usize::try_from(*size - offset).unwrap_or(body::PIECE).min(body::PIECE);
                let piece = buffer.get_mut(..count).unwrap_or_default();
                source.read_exact_at(piece, offset)?;
                std::io::Write::write_all(&mut file, piece)?;
                offset += count as u64;
            }
            Ok(())
        }
    }
}

/// Before the attempt after `tried` ones.
async fn pause(tried: u32) {
    sleep(FIRST_PAUSE * 4_u32.saturating_pow(tried - 1).min(64)).await;
}

#[cfg(test)]
mod tests;
