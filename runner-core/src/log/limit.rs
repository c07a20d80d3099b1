//! The size limit of a log: its beginning, a notice, and its end.

use std::collections::VecDeque;

use super::timestamp::Prefix;

/// The end of a log that is kept, at most.
const LARGEST_TAIL: u64 = 64 << 10;

/// Room for what each line of ours begins with.
const PREFIX: u64 = 32;

/// Room for both notices, without what they begin with.
const NOTICES: u64 = 320;

/// Cuts a log at a limit. What is kept of its end is given out when it ends; a log that is not longer than the limit
/// is not changed, but what is near the limit waits too, since only its end tells whether it will be kept.
#[derive(Debug)]
pub(super) struct Limit {
    most: u64,
    /// Bytes that are given out as they come.
    head: u64,
    /// Bytes of the end that are kept once the limit is exceeded.
    tail: u64,
    /// Bytes given out.
    written: u64,
    /// Bytes that came after the head.
    later: VecDeque<u8>,
    /// Bytes that were dropped.
    dropped: u64,
}

impl Limit {
    pub(super) fn new(limit: u64) -> Self {
        let tail = LARGEST_TAIL.min(limit / 16);
        // Without room for the notices, all of the log is cut without a word.
        let head = if limit == u64::MAX { limit } else { limit.saturating_sub(tail + NOTICES + 2 * PREFIX) };
        let tail = if head == 0 { 0 } else { tail };
        let head = if head == 0 { limit } else { head };
        Self { most: limit, head, tail, written: 0, later: VecDeque::new(), dropped: 0 }
    }

    /// Takes the next `bytes`. `prefix` is what a line of ours begins with.
    pub(super) fn push(&mut self, bytes: &[u8], prefix: Prefix, out: &mut impl FnMut(&[u8])) {
        if self.dropped == 0 {
            let room = usize::try_from(self.head - self.written).unwrap_or(usize::MAX);
            if bytes.len() <= room && self.later.is_empty() {
                self.written += bytes.len() as u64;
                out(bytes);
                return;
            }
        }
        self.push_later(bytes, prefix, out);
    }

    /// The log ends: gives out what is kept of its end.
    pub(super) fn finish(&mut self, prefix: Prefix, out: &mut impl FnMut(&[u8])) {
        if self.dropped > 0 && self.tail > 0 {
            let skipped = whole_line(self.later.make_contiguous());
            self.later.drain(..skipped);
            self.dropped += skipped as u64;
            out(&prefix.to_bytes());
            out(format!("\u{1b}[33;1m... {} bytes left out ...\u{1b}[0;m\n", self.dropped).as_bytes());
        }
        out(self.later.make_contiguous());
        self.later = VecDeque::new();
    }

    fn push_later(&mut self, bytes: &[u8], prefix: Prefix, out: &mut impl FnMut(&[u8])) {
        let room = usize::try_from(self.head.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let (now, later) = if self.later.is_empty() && self.dropped == 0 {
            let (now, later) = bytes.split_at(good_cut(bytes, room));
            self.written += now.len() as u64;
            (now, later)
        } else {
            bytes.split_at(0)
        };
        if !now.is_empty() {
            out(now);
        }
        let fits = self.most - self.written;
        let total = self.later.len() as u64 + later.len() as u64;
        if self.dropped == 0 && total <= fits {
            self.later.extend(later);
            return;
        }
        if self.dropped == 0 && self.tail > 0 {
            self.notice(prefix, out);
        }
        self.keep_tail(later, total);
    }

    fn notice(&self, prefix: Prefix, out: &mut impl FnMut(&[u8])) {
        out(b"\n");
        out(&prefix.to_bytes());
        let (limit, tail) = (self.most, self.tail);
        let text = format!(
            "\u{1b}[33;1mThe log exceeds its limit of {limit} bytes. The job goes on; of what it prints, the last \
             {tail} bytes will follow at its end.\u{1b}[0;m\n"
        );
        out(text.as_bytes());
    }

    /// Adds `bytes`, and drops all but the last of what is kept; `total` is the length of both.
    fn keep_tail(&mut self, bytes: &[u8], total: u64) {
        let tail = usize::try_from(self.tail).unwrap_or(usize::MAX);
        let bytes = bytes.get(bytes.len().saturating_sub(tail)..).unwrap_or_default();
        let surplus = (self.later.len() + bytes.len()).saturating_sub(tail).min(self.later.len());
        self.later.drain(..surplus);
        self.later.extend(bytes);
        self.dropped += total - self.later.len() as u64;
    }
}

/// Pieces of up to this length are not cut within a line: they may be a timestamp.
const SHORT: usize = 256;

/// The last index up to `most` where `bytes` may be cut: at the end of a line or else at least of a character.
fn good_cut(bytes: &[u8], most: usize) -> usize {
    if most >= bytes.len() {
        return bytes.len();
    }
    let line_end = bytes.get(..most).and_then(|head| memchr::memrchr(b'\n', head));
    let is_start = |index: &usize| bytes.get(*index).is_some_and(|byte| byte & 0xc0 != 0x80);
    match line_end {
        Some(end) => end + 1,
        None if bytes.len() <= SHORT => 0,
        None => (0..=most).rev().find(is_start).unwrap_or(0),
    }
}

/// Where the first whole line begins, or else the first whole character.
fn whole_line(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes)
        .map(|end| end + 1)
        .filter(|start| *start < bytes.len())
        .or_else(|| bytes.iter().position(|byte| byte & 0xc0 != 0x80))
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::{collection::vec, prelude::*};

    use super::{super::timestamp::Lines, *};

    fn limited(limit: u64, writes: &[&str], timestamps: bool) -> String {
        let mut limiter = Limit::new(limit);
        let mut shown = Vec::new();
        let prefix = Lines::new(timestamps).prefix(UNIX_EPOCH);
        for write in writes {
            limiter.push(write.as_bytes(), prefix, &mut |bytes| shown.extend_from_slice(bytes));
        }
        limiter.finish(prefix, &mut |bytes| shown.extend_from_slice(bytes));
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_log_within_the_limit_is_not_changed() {
        let line = "0123456789\n".repeat(100);
        assert_eq!(limited(2200, &[&line, &line], false), format!("{line}{line}"));
        assert_eq!(limited(u64::MAX, &[&line, &line], false), format!("{line}{line}"));
        assert_eq!(limited(5, &["hello"], false), "hello");
    }

    #[test]
    fn of_a_log_over_the_limit_the_beginning_and_the_end_are_kept() {
        let lines: Vec<_> = (0..10_000).map(|number| format!("line {number}\n")).collect();
        let writes: Vec<_> = lines.iter().map(String::as_str).collect();
        let shown = limited(8000, &writes, true);
        assert!(shown.len() <= 8000);
        assert!(shown.starts_with("line 0\nline 1\n"));
        assert!(shown.contains(
            "\n1970-01-01T00:00:00.000000Z 00O \u{1b}[33;1mThe log exceeds its limit of 8000 bytes."
        ));
        let (_, end) = shown.split_once("bytes left out ...\u{1b}[0;m\n").unwrap();
        assert!(end.starts_with("line 99") && end.ends_with("line 9998\nline 9999\n"), "{end}");
    }

    #[test]
    fn a_limit_without_room_for_a_notice_just_cuts() {
        assert_eq!(limited(3, &["a\n", "hello", "b"], false), "a\n");
        assert_eq!(limited(300, &[&"x".repeat(400)], false), "x".repeat(300));
        assert_eq!(limited(0, &["hello"], false), "");
    }

    proptest! {
        #[test]
        fn it_never_exceeds_the_limit_and_stays_utf8(
            limit in 0_u64..6000,
            writes in vec("[a-c\u{e4}\u{20ac}\n]{0,400}", 0..30),
        ) {
            let writes: Vec<_> = writes.iter().map(String::as_str).collect();
            let whole = writes.concat();
            let shown = limited(limit, &writes, true);
            prop_assert!(shown.len() as u64 <= limit, "{} bytes", shown.len());
            if whole.len() as u64 <= limit {
                prop_assert_eq!(shown, whole);
            }
        }
    }
}
