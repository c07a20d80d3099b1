//! A job's log, as its source gets it: the log of the agent, and between its bytes what the manager says.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use bytes::Bytes;
use runner_core::{
    log::{LogSpool, line_of_ours},
    outcome::LogDigest,
};
use serde::{Deserialize, Serialize};

/// So much of a log is kept in full, so that another pod can go on with it.
const KEPT: usize = 128 << 10;

/// What the manager says in the log of a job. It is stored before it is written, so that whoever reads the agent's log
/// again makes the same log of it, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Insertion {
    /// The byte of the agent's log that it stands before.
    pub(crate) at: u64,
    /// The text, with its line ends.
    pub(crate) text: String,
}

/// Makes a job's log, each byte once.
#[derive(Debug)]
pub(crate) struct Journal {
    spool: Arc<dyn LogSpool>,
    timestamps: bool,
    /// Of everything that was made so far.
    digest: LogDigest,
    /// What the spool has not taken yet.
    pending: VecDeque<Bytes>,
    /// The number of the next byte of the agent's log.
    agent_next: u64,
    /// What is still to be inserted, in order.
    insertions: VecDeque<Insertion>,
    /// Whether the log ends within a line.
    is_open: bool,
    /// Everything since the digest that it began with; `None` where it is too much.
    kept: Option<Vec<u8>>,
}

impl Journal {
    /// A log that goes on from `before`, which the source has.
    pub(crate) fn new(spool: Arc<dyn LogSpool>, timestamps: bool, before: LogDigest) -> Self {
        Self {
            spool,
            timestamps,
            digest: before,
            pending: VecDeque::new(),
            agent_next: 0,
            insertions: VecDeque::new(),
            is_open: false,
            kept: Some(Vec::new()),
        }
    }

    /// A log of which the source has `size` bytes that cannot be read again, and may end within a line.
    pub(crate) fn unread(spool: Arc<dyn LogSpool>, timestamps: bool, size: u64) -> Self {
        let before = LogDigest { size, crc32: 0 };
        Self { is_open: size > 0, ..Self::new(spool, timestamps, before) }
    }

    /// How many bytes of the agent's log it holds.
    pub(crate) fn of_agent(&self) -> u64 {
        self.agent_next
    }

    /// What the log is so far.
    pub(crate) fn digest(&self) -> LogDigest {
        self.digest
    }

    /// What is to be stored for saying `text` now.
    pub(crate) fn insertion(&self, text: &str, time: SystemTime) -> Insertion {
        let mut lines = String::new();
        if self.is_open {
            lines.push('\n');
        }
        for line in text.lines() {
            lines.push_str(&String::from_utf8_lossy(&line_of_ours(line, self.timestamps, time)));
        }
        Insertion { at: self.agent_next, text: lines }
    }

    /// Inserts what is stored: at once, or as soon as the agent's log has come to its place.
    pub(crate) fn insert(&mut self, insertion: Insertion) {
        self.insertions.push_back(insertion);
        self.insert_due();
    }

    /// Adds a part of the agent's log. What is there already is passed over; what is missing before it is told.
    pub(crate) fn agent(&mut self, offset: u64, mut bytes: Bytes) {
        let end = offset + bytes.len() as u64;
        if end <= self.agent_next {
            return;
        }
        if let Some(missing) = offset.checked_sub(self.agent_next).filter(|missing| *missing > 0) {
            let text = format!("\u{1b}[33;1m... {missing} bytes of the log are lost ...\u{1b}[0;m");
            let line = self.insertion(&text, SystemTime::now()).text;
            self.append(line.into());
            self.agent_next = offset;
            self.insert_due();
        } else {
            bytes = bytes.slice(length(self.agent_next - offset).min(bytes.len())..);
        }
        while let Some(at) = self.insertions.front().map(|next| next.at).filter(|at| *at < end) {
            let before = bytes.split_to(length(at - self.agent_next).min(bytes.len()));
            self.append(before);
            self.agent_next = at;
            self.insert_due();
        }
        self.append(bytes);
        self.agent_next = end;
        self.insert_due();
    }

    /// Another agent begins, whose log is numbered from 0. Returns what is to be stored of the log so far: the digest
    /// that it goes on from, and the text since then.
    pub(crate) fn next_agent(&mut self, before: LogDigest) -> (LogDigest, Vec<Insertion>) {
        self.agent_next = 0;
        self.insertions.clear();
        match &self.kept {
            Some(kept) => {
                let text = String::from_utf8_lossy(kept).into_owned();
                (before, vec![Insertion { at: 0, text }])
            }
            None => (self.digest, Vec::new()),
        }
    }

    /// No other agent will go on with this log.
    pub(crate) fn keep_no_more(&mut self) {
        self.kept = None;
    }

    /// Whether the spool has everything.
    pub(crate) fn is_flushed(&self) -> bool {
        self.pending.is_empty()
    }

    /// Gives the spool what it has not taken yet. It waits while the spool has no room. Cancel safe.
    pub(crate) async fn flush(&mut self) {
        while let Some(bytes) = self.pending.front().cloned() {
            let waiting: u64 = self.pending.iter().map(|bytes| bytes.len() as u64).sum();
            // A call that was dropped while it waited may have been done all the same.
            if self.spool.end() <= self.digest.size - waiting
                && let Err(error) = self.spool.append(bytes).await
            {
                tracing::warn!(error = error.chain(), "a part of a job's log is lost");
            }
            self.pending.pop_front();
        }
    }

    fn insert_due(&mut self) {
        while let Some(insertion) = self.insertions.pop_front_if(|next| next.at <= self.agent_next) {
            self.append(insertion.text.into());
        }
    }

    fn append(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let LogDigest { size, crc32 } = self.digest;
        let mut checksum = crc32fast::Hasher::new_with_initial_len(crc32, size);
        checksum.update(&bytes);
        self.digest = LogDigest { size: size + bytes.len() as u64, crc32: checksum.finalize() };
        self.is_open = bytes.last() != Some(&b'\n');
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(&bytes);
            if kept.len() > KEPT {
                self.kept = None;
            }
        }
        self.pending.push_back(bytes);
    }
}

fn length(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
