//! What a container has printed, line by line with its time, as a kubelet keeps it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;

/// The log of a container.
#[derive(Debug, Default)]
pub(super) struct ContainerLog {
    lines: Mutex<Vec<(Timestamp, Bytes)>>,
    /// How many lines there are, and whether there will be no more.
    state: watch::Sender<(usize, bool)>,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Lines of this time or later.
    pub(super) since: Option<Timestamp>,
    /// So many of the last ones.
    pub(super) tail: Option<usize>,
    /// The time before each line.
    pub(super) timestamps: bool,
}

impl ContainerLog {
    /// Adds a line, which ends with a line feed.
    pub(super) fn add(&self, line: Bytes) {
        let count = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push((Timestamp::now(), line));
            lines.len()
        };
        self.state.send_modify(|state| state.0 = count);
    }

    /// There will be no more.
    pub(super) fn end(&self) {
        self.state.send_modify(|state| state.1 = true);
    }

    /// Where to begin for what is wanted.
    pub(super) fn start(&self, wanted: Wanted) -> usize {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = wanted.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
        let since = wanted.since.map_or(0, |since| lines.partition_point(|(at, _)| *at < since));
        tail.max(since)
    }

    /// The lines from number `next` on, in one piece, and how many there are; waits for some where it is followed. `None`
    /// where there will be none.
    pub(super) async fn read(&self, next: usize, wanted: Wanted, follows: bool) -> Option<(usize, Bytes)> {
        let mut state = self.state.subscribe();
        let (count, _) = if follows {
            *state.wait_for(|(count, is_over)| *count > next || *is_over).await.ok()?
        } else {
            *state.borrow()
        };
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        for (at, line) in lines.get(next..count).filter(|lines| !lines.is_empty())? {
            if wanted.timestamps {
                text.extend_from_slice(format!("{at:.9} ").as_bytes());
            }
            text.extend_from_slice(line);
        }
        Some((count, text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_that_is_followed_ends_with_its_container() {
        let log = ContainerLog::default();
        log.add("one\n".into());
        let all = Wanted::default();
        assert_eq!(log.read(0, all, true).await, Some((1, "one\n".into())));
        assert_eq!(log.read(1, all, false).await, None);
        log.add("two\n".into());
        log.end();
        assert_eq!(log.read(1, all, true).await, Some((2, "two\n".into())));
        assert_eq!(log.read(2, all, true).await, None);
    }

    #[test]
    fn the_last_lines_are_found_by_their_number_and_by_their_time() {
        let log = ContainerLog::default();
        assert_eq!(log.start(Wanted { since: Some(Timestamp::now()), ..Wanted::default() }), 0);
        (0..3).for_each(|_| log.add("line\n".into()));
        assert_eq!(log.start(Wanted { tail: Some(1), ..Wanted::default() }), 2);
        assert_eq!(log.start(Wanted { since: Some(Timestamp::now()), ..Wanted::default() }), 3);
        assert_eq!(log.start(Wanted { since: Some(Timestamp::UNIX_EPOCH), ..Wanted::default() }), 0);
    }
}
