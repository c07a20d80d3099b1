//! Timestamps before each line, and the order of lines of two streams (GitLab's `FF_TIMESTAMPS`).
//!
//! A line is `2026-01-02T03:04:05.000000Z 01O text`: the time when it began, the number of its stream in hexadecimal,
//! `O` for output, and a space, or `+` where the line continues the last one of its stream.

use std::time::{SystemTime, UNIX_EPOCH};

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// We.
    Ours,
    /// The job's scripts.
    Script,
}

/// Keeps the lines of both streams apart, and puts a timestamp before each if asked to. A line shows as it is
/// printed: nothing waits for its end.
#[derive(Debug)]
pub(super) struct Lines {
    timestamps: bool,
    /// Whose line has begun and not ended.
    open: Option<Stream>,
    /// The script's line was cut by one of ours: what comes continues it.
    cut: bool,
}

impl Lines {
    pub(super) fn new(timestamps: bool) -> Self {
        Self { timestamps, open: None, cut: false }
    }

    /// Takes `bytes` of `stream`, which were written `now`.
    pub(super) fn push(
        &mut self,
        stream: Stream,
        bytes: &[u8],
        now: SystemTime,
        out: &mut impl FnMut(&[u8]),
    ) {
        if bytes.is_empty() {
            return;
        }
        self.interrupt(stream, out);
        if self.timestamps {
            self.push_stamped(stream, bytes, now, out);
        } else {
            out(bytes);
        }
        self.open = (bytes.last() != Some(&b'\n')).then_some(stream);
    }

    /// The log ends.
    pub(super) fn finish(&mut self, out: &mut impl FnMut(&[u8])) {
        if self.timestamps && self.open.take().is_some() {
            out(b"\n");
        }
    }

    /// What a line of ours that is written `now` begins with.
    pub(super) fn prefix(&self, now: SystemTime) -> Prefix {
        Prefix(self.timestamps.then_some(now))
    }

    fn interrupt(&mut self, stream: Stream, out: &mut impl FnMut(&[u8])) {
        if self.open.is_some_and(|open| open != stream) {
            self.cut |= self.open == Some(Stream::Script);
            self.open = None;
            out(b"\n");
        }
    }

    fn push_stamped(&mut self, stream: Stream, bytes: &[u8], now: SystemTime, out: &mut impl FnMut(&[u8])) {
        let full = header(stream, now, false);
        let mut rest = bytes;
        let mut is_begun = self.open.is_some();
        while !rest.is_empty() {
            if !is_begun {
                if stream == Stream::Script && std::mem::take(&mut self.cut) {
                    out(&header(stream, now, true));
                } else {
                    out(&full);
                }
            }
            let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (line, after) = rest.split_at(length);
            out(line);
            rest = after;
            is_begun = false;
        }
    }
}

/// A line of ours outside of a [`JobLog`](super::JobLog): for who continues the log of a job whose agent is gone. It is
/// not masked, so `text` must hold nothing of the job's.
pub fn line_of_ours(text: &str, timestamps: bool, now: SystemTime) -> Vec<u8> {
    let mut line = Lines::new(timestamps).prefix(now).to_bytes();
    line.extend_from_slice(text.as_bytes());
    line.push(b'\n');
    line
}

/// What a line of ours begins with; made only when it is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix(Option<SystemTime>);

impl Prefix {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        self.0.map_or_else(Vec::new, |now| header(Stream::Ours, now, false).to_vec())
    }
}

const TEMPLATE: &[u8; 32] = b"0000-00-00T00:00:00.000000Z 00O ";

fn header(stream: Stream, now: SystemTime, continued: bool) -> [u8; TEMPLATE.len()] {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = date(since.as_secs() / 86400);
    let second = since.as_secs() % 86400;
    let mut header = *TEMPLATE;
    for (end, digits, number) in [
        (4, 4, year),
        (7, 2, month),
        (10, 2, day),
        (13, 2, second / 3600),
        (16, 2, second / 60 % 60),
        (19, 2, second % 60),
        (26, 6, u64::from(since.subsec_micros())),
        (30, 2, u64::from(stream == Stream::Script)),
    ] {
        write_number(&mut header, end, digits, number);
    }
    if continued {
        header[TEMPLATE.len() - 1] = b'+';
    }
    header
}

/// Writes the last `digits` digits of `number` before index `end`.
fn write_number(text: &mut [u8], end: usize, digits: usize, mut number: u64) {
    for place in text.iter_mut().take(end).rev().take(digits) {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// Year, month and day of a day after 1970-01-01, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Years are taken to begin in March, so that the leap day is the last one; eras are 400 of them.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::new(seconds, 123_456_789)
    }

    fn written(timestamps: bool, writes: &[(Stream, &str)]) -> String {
        let mut lines = Lines::new(timestamps);
        let mut shown = Vec::new();
        for (stream, text) in writes {
            let mut show = |bytes: &[u8]| shown.extend_from_slice(bytes);
            lines.push(*stream, text.as_bytes(), at(1_767_323_045), &mut show);
        }
        lines.finish(&mut |bytes| shown.extend_from_slice(bytes));
        String::from_utf8(shown).unwrap().replace("2026-01-02T03:04:05.123456Z", "T")
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |seconds, expected: &str| {
            let header = header(Stream::Ours, at(seconds), false);
            assert_eq!(std::str::from_utf8(&header).unwrap(), format!("{expected}.123456Z 00O "));
        };
        check(0, "1970-01-01T00:00:00");
        check(951_782_399, "2000-02-28T23:59:59");
        check(951_782_400, "2000-02-29T00:00:00");
        check(1_709_251_199, "2024-02-29T23:59:59");
        check(1_767_323_045, "2026-01-02T03:04:05");
        check(4_107_542_400, "2100-03-01T00:00:00");
    }

    #[test]
    fn each_line_gets_a_timestamp() {
        let writes = [(Stream::Ours, "we\n"), (Stream::Script, "a\nb"), (Stream::Script, "c\n\n")];
        assert_eq!(written(true, &writes), "T 00O we\nT 01O a\nT 01O bc\nT 01O \n");
    }

    #[test]
    fn a_line_that_is_cut_by_one_of_ours_goes_on_after_it() {
        let writes = [(Stream::Script, "half"), (Stream::Ours, "we\n"), (Stream::Script, " and half\nnext")];
        assert_eq!(written(true, &writes), "T 01O half\nT 00O we\nT 01O+ and half\nT 01O next\n");
        assert_eq!(written(false, &writes), "half\nwe\n and half\nnext");
    }

    #[test]
    fn a_carriage_return_is_no_line_end() {
        assert_eq!(
            written(true, &[(Stream::Script, "1%\r2%"), (Stream::Script, "\r3%\n")]),
            "T 01O 1%\r2%\r3%\n"
        );
    }
}
