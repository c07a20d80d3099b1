//! The half of the source that answers.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Notify,
    task::JoinSet,
};

use super::{
    ledger::Ledger,
    wire::{Call, CallKind, line, read_body, read_line},
};

/// Who asks for a job where there is none is answered after this time.
const LONG_POLL: Duration = Duration::from_millis(200);

/// When a trap acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The call has come and is not applied.
    Before,
    /// The call is applied and not answered.
    After,
}

/// Acts at the next call of a kind, once.
pub struct Trap {
    /// At which call.
    pub kind: CallKind,
    /// When.
    pub moment: Moment,
    /// What it does: it ends the caller, who gets no answer.
    pub act: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Trap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Trap {:?} {:?}", self.moment, self.kind)
    }
}

/// A source of jobs behind a socket.
#[derive(Debug)]
pub struct SourceServer {
    shared: Arc<Shared>,
    socket: PathBuf,
    _task: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    trap: Mutex<Option<Trap>>,
    /// Something changed in the ledger.
    news: Notify,
}

impl SourceServer {
    /// Listens at `socket` until it is dropped.
    ///
    /// # Errors
    /// Where the socket cannot be made.
    pub fn new(socket: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let shared = Arc::new(Shared::default());
        let mut task = JoinSet::new();
        let shared_with_task = Arc::clone(&shared);
        task.spawn(async move {
            let mut calls = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared_with_task);
                // A call of a process that was killed breaks off.
                calls.spawn(async move { drop(shared.serve(stream).await) });
                while calls.try_join_next().is_some() {}
            }
        });
        Ok(Self { shared, socket: socket.to_owned(), _task: task })
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it knows.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger()
    }

    /// Sets a trap, in place of one that has not acted.
    pub fn set(&self, trap: Option<Trap>) {
        *self.shared.trap.lock().unwrap_or_else(PoisonError::into_inner) = trap;
    }

    /// Waits until `is_so` holds of the ledger.
    pub async fn until(&self, mut is_so: impl FnMut(&Ledger) -> bool) {
        loop {
            let news = self.shared.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if is_so(&self.ledger()) {
                return;
            }
            news.await;
        }
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, stream: UnixStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let call: Call = read_line(&mut stream).await?;
        let body = read_body(&mut stream, call.body_length()).await?;
        let trap = self.sprung(call.kind());
        let (before, after) = match trap {
            Some(trap) if trap.moment == Moment::Before => (Some(trap), None),
            trap => (None, trap),
        };
        if let Some(trap) = before {
            (trap.act)();
            return until_closed(&mut stream).await;
        }
        let answer = self.answer(&call, &body).await;
        if let Some(trap) = after {
            (trap.act)();
            return until_closed(&mut stream).await;
        }
        stream.write_all(&line(&answer)?).await?;
        stream.flush().await
    }

    async fn answer(&self, call: &Call, body: &[u8]) -> super::wire::Answer {
        let end = Instant::now() + LONG_POLL;
        loop {
            let news = self.news.notified();
            let answer = self.ledger().answer(call, body, Instant::now());
            if let Some(answer) = answer {
                self.news.notify_waiters();
                return answer;
            }
            if tokio::time::timeout_at(end.into(), news).await.is_err() {
                return self.ledger().nothing();
            }
        }
    }

    fn sprung(&self, kind: CallKind) -> Option<Trap> {
        let mut trap = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        trap.take_if(|trap| trap.kind == kind)
    }
}

/// Waits until the other side is no more.
async fn until_closed(stream: &mut BufReader<UnixStream>) -> io::Result<()> {
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}
