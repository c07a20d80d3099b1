//! The half of the source that asks: what the process has that is killed.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    ArtifactStore, Capacity, Error, ErrorKind, JobLease, JobOutcome, JobReport, JobSource, Result,
    SavedLease, Secret,
    artifact::{ArtifactUpload, ByteStream},
    job::Dependency,
    outcome::LogDigest,
    source::{Completion, JobState, LogReply, Wish},
};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;

use super::wire::{Answer, Call, Ticket, What, line, read_line, unavailable};

/// A [`JobSource`] whose jobs are behind a socket.
#[derive(Debug)]
pub struct SocketSource {
    runner: String,
    line: Line,
    exhausted: AtomicBool,
}

/// Where the source is, and who asks.
#[derive(Debug, Clone)]
struct Line {
    socket: PathBuf,
    holder: u64,
}

impl Line {
    async fn ask(&self, what: What, body: &[u8]) -> Result<Answer> {
        let call = Call { holder: self.holder, what };
        let asked = async {
            let mut stream = BufReader::new(UnixStream::connect(&self.socket).await?);
            stream.write_all(&line(&call)?).await?;
            stream.write_all(body).await?;
            stream.flush().await?;
            read_line(&mut stream).await
        };
        asked.await.map_err(unavailable)
    }
}

impl SocketSource {
    /// The source behind `socket`, for the runner of that name. `holder` is a number that no other process has.
    pub fn new(socket: PathBuf, runner: impl Into<String>, holder: u64) -> Arc<Self> {
        let line = Line { socket, holder };
        Arc::new(Self { runner: runner.into(), line, exhausted: AtomicBool::new(false) })
    }

    fn lease(&self, saved: SavedLease) -> Result<JobLease> {
        let wrong = |cause| Error::new(ErrorKind::Corrupt, "read a stored lease").because(cause);
        let lease = saved.state.expose().parse().map_err(|error: std::num::ParseIntError| wrong(error))?;
        let ticket = Ticket { job: saved.job.id.as_str().to_owned(), lease };
        let report = Arc::new(SocketReport { line: self.line.clone(), ticket });
        Ok(JobLease {
            job: Arc::clone(&saved.job),
            report,
            artifacts: Arc::new(Refusing),
            saved,
            remote: None,
        })
    }
}

#[async_trait]
impl JobSource for SocketSource {
    /// The server answers within a moment, so there is no need to heed `stop`: what it hands out is returned.
    async fn next(&self, _capacity: Capacity, _stop: &CancellationToken) -> Result<Option<JobLease>> {
        match self.line.ask(What::Next, &[]).await? {
            Answer::Job { spec, lease } => {
                let state = Secret::new(lease.to_string());
                let saved = SavedLease { runner: self.runner.clone(), job: Arc::new(*spec), state };
                self.lease(saved).map(Some)
            }
            Answer::NoJob { exhausted } => {
                self.exhausted.store(exhausted, Ordering::Relaxed);
                Ok(None)
            }
            answer => Err(nonsense(&answer)),
        }
    }

    async fn resume(&self, saved: SavedLease) -> Result<JobLease> {
        self.lease(saved)
    }

    fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }
}

/// A [`JobReport`] to a socket.
#[derive(Debug)]
struct SocketReport {
    line: Line,
    ticket: Ticket,
}

#[async_trait]
impl JobReport for SocketReport {
    async fn accept(&self) -> Result<Wish> {
        wish(self.line.ask(What::Accept(self.ticket.clone()), &[]).await?)
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        let what = What::Append { ticket: self.ticket.clone(), offset, length: bytes.len() as u64 };
        match self.line.ask(what, &bytes).await? {
            Answer::Log { ack, action } => {
                Ok(LogReply { ack: ack.into(), wish: Wish { action: action.into(), interval: None } })
            }
            answer => Err(nonsense(&answer)),
        }
    }

    async fn heartbeat(&self, _state: JobState) -> Result<Wish> {
        wish(self.line.ask(What::Heartbeat(self.ticket.clone()), &[]).await?)
    }

    async fn complete(&self, outcome: &JobOutcome, log: Option<LogDigest>) -> Result<Completion> {
        let what = What::Complete { ticket: self.ticket.clone(), outcome: outcome.clone(), digest: log };
        match self.line.ask(what, &[]).await? {
            Answer::Completion(ended) => Ok(ended.into()),
            answer => Err(nonsense(&answer)),
        }
    }
}

fn wish(answer: Answer) -> Result<Wish> {
    match answer {
        Answer::Wish(action) => Ok(Wish { action: action.into(), interval: None }),
        answer => Err(nonsense(&answer)),
    }
}

fn nonsense(answer: &Answer) -> Error {
    match answer {
        Answer::Gone => Error::new(ErrorKind::NotFound, "find the job at its source"),
        answer => {
            Error::new(ErrorKind::Corrupt, "understand the source").with("answer", format!("{answer:?}"))
        }
    }
}

/// There are no artifacts here.
#[derive(Debug)]
struct Refusing;

#[async_trait]
impl ArtifactStore for Refusing {
    async fn upload(&self, _artifact: &ArtifactUpload, _body: ByteStream) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "store an artifact"))
    }

    async fn download(&self, _dependency: &Dependency) -> Result<ByteStream> {
        Err(Error::new(ErrorKind::Unsupported, "fetch an artifact"))
    }
}
