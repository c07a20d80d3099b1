//! Bytes of an object, as they come.

use std::{fs::File, ops::Range, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::{StatusCode, header};
use reqwest::Response;
use runner_core::{Error, ErrorKind, Location, Result, SignedUrl};

use super::{Transfer, answer, pause};
use crate::{blocking, io_error};

/// Files are read in pieces of this size.
pub(super) const PIECE: usize = 1 << 20;

const OPERATION: &str = "read from the cache";

/// The bytes of a range of an object. Where the connection breaks, it goes on from there with another one.
#[derive(Debug)]
pub struct Body {
    transfer: Transfer,
    location: Location,
    rest: Range<u64>,
    source: Source,
    tried: u32,
}

#[derive(Debug)]
enum Source {
    None,
    File(Arc<File>),
    /// With the number of bytes to pass over.
    Answer(Box<Response>, u64),
}

impl Body {
    pub(super) fn new(transfer: Transfer, location: Location, range: Range<u64>) -> Self {
        Self { transfer, location, rest: range, source: Source::None, tried: 0 }
    }

    /// The next bytes, at least one; `None` after the last one of the range.
    ///
    /// # Cancellation
    /// When it is dropped, bytes may be lost.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and [`ErrorKind::Unauthorized`] by what the store says, [`ErrorKind::Corrupt`] where the object
    /// is shorter than the range, [`ErrorKind::Unavailable`] where all attempts failed.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.rest.start < self.rest.end {
            match self.attempt().await {
                Ok(Some(bytes)) => {
                    self.rest.start += bytes.len() as u64;
                    self.transfer.count_received(bytes.len() as u64);
                    // What moves on deserves as many attempts again.
                    self.tried = 0;
                    return Ok(Some(bytes));
                }
                Ok(None) => {}
                Err(error) if error.is_retryable() && self.tried + 1 < self.transfer.0.config.attempts => {
                    self.source = Source::None;
                    self.tried += 1;
                    pause(self.tried).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Opens the source, or reads of it; `None`: there is nothing yet.
    async fn attempt(&mut self) -> Result<Option<Bytes>> {
        let wanted = self.rest.end - self.rest.start;
        match &mut self.source {
            Source::None => {
                (self.source, self.rest.end) = self.open().await?;
            }
            Source::File(file) => {
                let (file, offset) = (Arc::clone(file), self.rest.start);
                let count = usize::try_from(wanted).unwrap_or(PIECE).min(PIECE);
                return blocking::run(move |_| read_piece(&file, offset, count)).await.map(Some);
            }
            Source::Answer(answer, skipped) => {
                let read = answer.chunk().await.map_err(|cause| {
                    Error::new(ErrorKind::Unavailable, OPERATION).because(cause.without_url())
                })?;
                let Some(mut bytes) = read else {
                    let cause = "the answer ended too early";
                    return Err(Error::new(ErrorKind::Corrupt, OPERATION).because(cause).retryable(true));
                };
                let over = usize::try_from(*skipped).unwrap_or(usize::MAX).min(bytes.len());
                *skipped -= over as u64;
                let bytes = bytes.split_off(over);
                let bytes = bytes.slice(..bytes.len().min(usize::try_from(wanted).unwrap_or(usize::MAX)));
                return Ok(Some(bytes).filter(|bytes| !bytes.is_empty()));
            }
        }
        Ok(None)
    }

    /// The source, and where it ends, as the range may be longer than what nobody knew the size of.
    async fn open(&self) -> Result<(Source, u64)> {
        self.transfer.count_request();
        match &self.location {
            Location::Path(path) => {
                let path = path.clone();
                let end = self.rest.end;
                let open = move || {
                    let file = fs_err::File::open(path)?;
                    let end = if end == u64::MAX { file.metadata()?.len() } else { end };
                    Ok((Source::File(Arc::new(file.into_file())), end))
                };
                blocking::run(move |_| open().map_err(|cause| io_error(OPERATION, cause))).await
            }
            Location::Signed(signed) => self.ask(signed).await,
            _ => Err(Error::new(ErrorKind::Unsupported, "reach a place of this kind")),
        }
    }

    async fn ask(&self, signed: &SignedUrl) -> Result<(Source, u64)> {
        let Range { start, end } = self.rest;
        let is_open = end == u64::MAX;
        let request = self.transfer.client()?.get(signed.url.expose()).headers(answer::headers(signed)?);
        let request = match (is_open, start) {
            (true, 0) => request,
            (true, _) => request.header(header::RANGE, format!("bytes={start}-")),
            (false, _) => request.header(header::RANGE, format!("bytes={start}-{}", end - 1)),
        };
        let answer = request.send().await.map_err(|cause| answer::unreachable(OPERATION, signed, cause))?;
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(Error::new(ErrorKind::Corrupt, OPERATION).because("it is shorter than it should be"));
        }
        let answer = answer::check(OPERATION, signed, answer).await?;
        // A store that knows no ranges sends everything.
        let skipped = if answer.status() == StatusCode::PARTIAL_CONTENT { 0 } else { start };
        let end = match answer.content_length() {
            Some(length) if is_open => start - skipped + length,
            None if is_open => {
                return Err(Error::new(ErrorKind::Unavailable, OPERATION)
                    .because("the store does not say how long it is"));
            }
            _ => end,
        };
        Ok((Source::Answer(Box::new(answer), skipped), end))
    }
}

fn read_piece(file: &File, offset: u64, count: usize) -> Result<Bytes> {
    let mut piece = vec![0; count];
    file.read_exact_at(&mut piece, offset).map_err(|cause| io_error(OPERATION, cause))?;
    Ok(piece.into())
}

/// The content of a file as the body of a request.
pub(super) fn of_file(file: Arc<File>, size: u64) -> reqwest::Body {
    let pieces = stream::try_unfold(0, move |offset| {
        let file = Arc::clone(&file);
        async move {
            let count = usize::try_from(size - offset).unwrap_or(PIECE).min(PIECE);
            if count == 0 {
                return Ok(None);
            }
            let piece = blocking::run(move |_| read_piece(&file, offset, count)).await?;
            Ok::<_, Error>(Some((piece, offset + count as u64)))
        }
    });
    reqwest::Body::wrap_stream(pieces)
}
