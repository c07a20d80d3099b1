//! A job's log: what its scripts and we print, on its way to where it is read.
//!
//! Bytes pass, in this order, through the [mask](Masks), the repair of UTF-8, timestamps, and the size limit; what comes
//! out is counted, and kept in a [`LogSpool`] until a [`Reporter`](crate::report::Reporter) has sent it.

use std::{sync::Arc, time::SystemTime};

use bytes::{Bytes, BytesMut};
use tokio::sync::Mutex;

use crate::{executor::LogLimits, outcome::LogDigest};

mod automaton;
mod candidate;
mod limit;
pub mod mask;
pub mod masker;
mod of_job;
mod pattern;
mod section;
pub mod spool;
mod timestamp;
mod utf8;

pub use mask::{DEFAULT_TOKEN_PREFIXES, Masks};
pub use masker::Masker;
pub use spool::{LogSpool, MemorySpool};

pub use timestamp::line_of_ours;

use limit::Limit;
use timestamp::{Lines, Stream};
use utf8::Utf8;

/// What tells the time of day.
pub type Clock = fn() -> SystemTime;

/// So much passes at once: it stays within a core's cache, and a bounded spool never waits for room for more.
const PIECE: usize = 64 << 10;

/// Takes a job's log. Cheap to clone; all clones write one log, whose writes are in the order of the calls.
///
/// A write never fails a job: what the spool does not take is lost, which is said once in the log as soon as it takes
/// something again. Writes after [`finish`](Self::finish) are dropped. A write waits while the spool has no room.
///
/// # Cancellation
/// All calls are cancel safe: what a dropped future was given is in the log as a whole, as a first part, or not at
/// all, and what is in it is not lost.
#[derive(Debug, Clone)]
pub struct JobLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    spool: Arc<dyn LogSpool>,
    sections: bool,
    masks: Masks,
    clock: Clock,
}

impl JobLog {
    /// A log that is masked and cut as said, and goes to `spool`. `sections` says whether its reader knows marks of
    /// sections.
    pub fn new(limits: &LogLimits, masks: Masks, sections: bool, spool: Arc<dyn LogSpool>) -> Self {
        Self::with_clock(limits, masks, sections, spool, SystemTime::now)
    }

    /// The same with another clock, for tests.
    pub fn with_clock(
        limits: &LogLimits,
        masks: Masks,
        sections: bool,
        spool: Arc<dyn LogSpool>,
        clock: Clock,
    ) -> Self {
        let state = Mutex::new(State::new(limits, masks.clone()));
        Self(Arc::new(Shared { state, spool, sections, masks, clock }))
    }

    /// Takes what a script printed. The beginning of what could be a secret is held back until it is known not to be
    /// one; everything else shows at once.
    pub async fn output(&self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            self.write(|state, now| state.output(piece, now)).await;
        }
    }

    /// Writes a line of ours; `text` needs no line end, and may hold ANSI colours. It is masked too. A line that a
    /// script has begun is interrupted.
    pub async fn line(&self, text: &str) {
        let line = self.0.masks.mask(text) + "\n";
        self.write(|state, now| state.ours(&line, now)).await;
    }

    /// Opens a section, with `header` as its first line. Where the reader knows no sections it is just that line.
    pub async fn section_start(&self, name: &str, header: &str) {
        self.start(name, false, header).await;
    }

    /// Opens a section that a page shows folded.
    pub async fn collapsed_section_start(&self, name: &str, header: &str) {
        self.start(name, true, header).await;
    }

    /// Closes a section. What scripts printed is complete then: what masking holds back shows.
    pub async fn section_end(&self, name: &str) {
        self.write(|state, now| {
            state.end_output(now);
            if self.0.sections {
                state.ours(&(section::end(name, now) + "\n"), now);
            }
        })
        .await;
    }

    /// Writes what masking and the size limit hold back, and ends the log. Called again, it returns the same.
    pub async fn finish(&self) -> LogDigest {
        self.write(State::finish).await;
        let mut state = self.0.state.lock().await;
        // What a dropped call has left behind.
        state.send(&*self.0.spool).await;
        state.digest
    }

    async fn start(&self, name: &str, collapsed: bool, header: &str) {
        let header = self.0.masks.mask(header);
        self.write(|state, now| {
            state.end_output(now);
            let mark = if self.0.sections { section::start(name, collapsed, now) } else { String::new() };
            state.ours(&format!("{mark}{header}\n"), now);
        })
        .await;
    }

    async fn write(&self, change: impl FnOnce(&mut State, SystemTime)) {
        let mut state = self.0.state.lock().await;
        state.send(&*self.0.spool).await;
        if !state.finished {
            change(&mut state, (self.0.clock)());
            state.send(&*self.0.spool).await;
        }
    }
}

#[derive(Debug)]
struct State {
    masker: Masker,
    utf8: Utf8,
    outlet: Outlet,
    pending: Option<Pending>,
    /// Of what the spool has taken.
    digest: LogDigest,
    /// Bytes that the spool did not take, and that the log does not tell of yet.
    lost: u64,
    finished: bool,
}

impl State {
    fn new(limits: &LogLimits, masks: Masks) -> Self {
        Self {
            masker: Masker::new(masks),
            utf8: Utf8::default(),
            outlet: Outlet {
                lines: Lines::new(limits.timestamps),
                limit: Limit::new(limits.size),
                ready: BytesMut::new(),
            },
            pending: None,
            digest: LogDigest::default(),
            lost: 0,
            finished: false,
        }
    }

    fn output(&mut self, bytes: &[u8], now: SystemTime) {
        let Self { masker, utf8, outlet, .. } = self;
        masker.push(bytes, &mut |shown| utf8.push(shown, &mut |text| outlet.push(Stream::Script, text, now)));
    }

    /// What the scripts printed so far is complete.
    fn end_output(&mut self, now: SystemTime) {
        let Self { masker, utf8, outlet, .. } = self;
        masker.finish(&mut |shown| utf8.push(shown, &mut |text| outlet.push(Stream::Script, text, now)));
        utf8.finish(&mut |text| outlet.push(Stream::Script, text, now));
    }

    fn ours(&mut self, text: &str, now: SystemTime) {
        self.outlet.push(Stream::Ours, text.as_bytes(), now);
    }

    fn finish(&mut self, now: SystemTime) {
        self.end_output(now);
        self.outlet.finish(now);
        self.finished = true;
    }

    /// Gives the spool what is ready. Only once it has it, it counts.
    async fn send(&mut self, spool: &dyn LogSpool) {
        if self.pending.is_none() && !self.outlet.ready.is_empty() {
            self.pending = Some(self.next_piece(spool.end()));
        }
        let Some(Pending { bytes, notice, start }) = self.pending.clone() else { return };
        // A call that was dropped while it waited may have been done all the same.
        let result = if spool.end() > start { Ok(()) } else { spool.append(bytes.clone()).await };
        self.pending = None;
        match result {
            Ok(()) => {
                let LogDigest { size, crc32 } = self.digest;
                let mut checksum = crc32fast::Hasher::new_with_initial_len(crc32, size);
                checksum.update(&bytes);
                self.digest = LogDigest { size: size + bytes.len() as u64, crc32: checksum.finalize() };
                if notice > 0 {
                    self.lost = 0;
                }
            }
            Err(error) => {
                if self.lost == 0 {
                    tracing::warn!(error = %error.chain(), "a part of a job's log is lost");
                }
                self.lost += (bytes.len() - notice) as u64;
            }
        }
    }

    /// What is ready, after a word of what was lost before it. The word takes no more room than that.
    fn next_piece(&mut self, start: u64) -> Pending {
        let ready = self.outlet.ready.split().freeze();
        if self.lost == 0 {
            return Pending { bytes: ready, notice: 0, start };
        }
        let notice = format!("\n\u{1b}[33;1m... {} bytes of the log are lost ...\u{1b}[0;m\n", self.lost);
        if self.lost < notice.len() as u64 {
            return Pending { bytes: ready, notice: 0, start };
        }
        Pending { bytes: [notice.as_bytes(), &ready].concat().into(), notice: notice.len(), start }
    }
}

/// What the spool is to take next.
#[derive(Debug, Clone)]
struct Pending {
    bytes: Bytes,
    /// So many of the bytes tell of earlier ones that are lost.
    notice: usize,
    /// The end of the spool when it was first given the bytes.
    start: u64,
}

/// The last part of the way, which both streams share.
#[derive(Debug)]
struct Outlet {
    lines: Lines,
    limit: Limit,
    ready: BytesMut,
}

impl Outlet {
    fn push(&mut self, stream: Stream, text: &[u8], now: SystemTime) {
        let Self { lines, limit, ready } = self;
        let prefix = lines.prefix(now);
        lines.push(stream, text, now, &mut |line| {
            limit.push(line, prefix, &mut |kept| ready.extend_from_slice(kept));
        });
    }

    fn finish(&mut self, now: SystemTime) {
        let Self { lines, limit, ready } = self;
        let prefix = lines.prefix(now);
        let mut keep = |kept: &[u8]| ready.extend_from_slice(kept);
        lines.finish(&mut |line| limit.push(line, prefix, &mut keep));
        limit.finish(prefix, &mut keep);
    }
}

#[cfg(test)]
mod tests;
