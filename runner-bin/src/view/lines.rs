//! A job's log, byte by byte, as lines that are safe to show: colours stay, everything else that steers a terminal goes.

use super::ansi;

/// How much of a line without an end is held back: what is longer is shown in pieces.
const LONGEST_PIECE: usize = 64 << 10;

/// A part of a job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogItem {
    /// A line, or a piece of one.
    Line {
        /// Text with colours, which all end within it.
        text: String,
        /// Whether the line ends here.
        ended: bool,
    },
    /// A section begins.
    SectionStarted {
        /// Its name, which [`SectionEnded`](Self::SectionEnded) repeats.
        name: String,
        /// Its heading; the name where it has none.
        heading: String,
    },
    /// A section ends.
    SectionEnded {
        /// Its name.
        name: String,
    },
}

/// Cuts one job's log into [`LogItem`]s. What is held of it is bounded, whatever the job prints.
#[derive(Debug, Default)]
pub(crate) struct LogLines {
    /// The line so far, without what a carriage return has overwritten.
    line: Vec<u8>,
    /// A carriage return came last: the next text overwrites the line.
    returned: bool,
    /// A section that began on this line; the rest of the line is its heading.
    section: Option<String>,
    /// Colours that are on at the start of the line.
    colors: ansi::Colors,
    /// A part of this line was shown already.
    shown: bool,
    /// A section mark stood on this line: without other text, it is no line of the job.
    marked: bool,
}

impl LogLines {
    /// Takes bytes of the log and gives what they complete to `take`.
    pub(crate) fn push(&mut self, bytes: &[u8], take: &mut impl FnMut(LogItem)) {
        let mut rest = bytes;
        while let Some(position) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, after) = rest.split_at(position);
            self.text(text, take);
            if after.first() == Some(&b'\n') {
                self.end_line(take);
            } else {
                self.carriage_return(take);
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.text(rest, take);
    }

    /// Gives the line so far as a piece, where there is one that is no passing progress.
    pub(crate) fn flush(&mut self, take: &mut impl FnMut(LogItem)) {
        if !self.line.is_empty() && !self.returned && self.section.is_none() {
            self.piece(take);
        }
    }

    /// Gives what is left at the end of the log.
    pub(crate) fn finish(&mut self, take: &mut impl FnMut(LogItem)) {
        if self.has_text() || self.section.is_some() || self.shown {
            self.end_line(take);
        }
        self.line.clear();
    }

    /// The line so far, without colours: a prompt, or progress that overwrites itself.
    pub(crate) fn unfinished(&self) -> String {
        ansi::plain(&String::from_utf8_lossy(&self.line)).into_owned()
    }

    fn text(&mut self, mut text: &[u8], take: &mut impl FnMut(LogItem)) {
        if text.is_empty() {
            return;
        }
        if self.returned {
            self.line.clear();
            self.returned = false;
        }
        while self.line.len() + text.len() > LONGEST_PIECE {
            let (head, tail) = text.split_at(LONGEST_PIECE.saturating_sub(self.line.len()).min(text.len()));
            self.line.extend_from_slice(head);
            self.piece(take);
            text = tail;
        }
        self.line.extend_from_slice(text);
    }

    fn has_text(&self) -> bool {
        !self.unfinished().is_empty()
    }

    /// Gives all of the line but a letter or an escape sequence that may be cut in two.
    fn piece(&mut self, take: &mut impl FnMut(LogItem)) {
        let cut = ansi::whole_prefix(&self.line);
        let rest = self.line.split_off(cut);
        let line = std::mem::replace(&mut self.line, rest);
        let text = self.colors.apply(&String::from_utf8_lossy(&line));
        self.shown = true;
        take(LogItem::Line { text, ended: false });
    }

    fn end_line(&mut self, take: &mut impl FnMut(LogItem)) {
        let line = std::mem::take(&mut self.line);
        let text = self.colors.apply(&String::from_utf8_lossy(&line));
        self.returned = false;
        let only_a_mark = std::mem::take(&mut self.marked) && ansi::plain(&text).is_empty();
        let goes_on = std::mem::take(&mut self.shown);
        match self.section.take() {
            Some(name) => {
                let heading = ansi::plain(&text).trim().to_owned();
                let heading = if heading.is_empty() { name.clone() } else { heading };
                take(LogItem::SectionStarted { name, heading });
            }
            None if only_a_mark && !goes_on => {}
            None => take(LogItem::Line { text, ended: true }),
        }
    }

    fn carriage_return(&mut self, take: &mut impl FnMut(LogItem)) {
        let Some((before, mark)) = mark(&self.line) else {
            self.returned = true;
            return;
        };
        self.line.truncate(before);
        if self.has_text() || self.section.is_some() {
            self.end_line(take);
        }
        self.line.clear();
        self.marked = true;
        match mark {
            Mark::Start(name) => self.section = Some(name),
            Mark::End(name) => take(LogItem::SectionEnded { name }),
        }
    }
}

enum Mark {
    Start(String),
    End(String),
}

/// A section mark at the end of `line`, and where it begins: `section_start:<seconds>:<name>[<options>]`.
fn mark(line: &[u8]) -> Option<(usize, Mark)> {
    const START: &str = "section_start:";
    const END: &str = "section_end:";
    let text = std::str::from_utf8(line).ok()?;
    let at = text.rfind(START).max(text.rfind(END))?;
    let (_, marked) = text.split_at_checked(at)?;
    let (starts, rest) = match marked.strip_prefix(START) {
        Some(rest) => (true, rest),
        None => (false, marked.strip_prefix(END)?),
    };
    let (seconds, name) = rest.split_once(':')?;
    let name = name.split_once('[').map_or(name, |(name, _options)| name);
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let good = !name.is_empty() && name.chars().all(is_part);
    let timed = !seconds.is_empty() && seconds.chars().all(|letter| letter.is_ascii_digit());
    let name = name.to_owned();
    (good && timed).then_some((at, if starts { Mark::Start(name) } else { Mark::End(name) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The items of `log`, one per line, whatever the pieces in which it comes.
    fn items(log: &str) -> String {
        let whole = read(std::iter::once(log.as_bytes()));
        let bytewise = read(log.as_bytes().chunks(1));
        assert_eq!(whole, bytewise, "{log:?}");
        whole
    }

    fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> String {
        let mut lines = LogLines::default();
        let mut text = String::new();
        let mut take = |item| {
            let line = match item {
                LogItem::Line { text, ended } => format!("{}{text:?}\n", if ended { "" } else { "part " }),
                LogItem::SectionStarted { name, heading } => format!("start {name} {heading:?}\n"),
                LogItem::SectionEnded { name } => format!("end {name}\n"),
            };
            text.push_str(&line);
        };
        for chunk in chunks {
            lines.push(chunk, &mut take);
        }
        lines.finish(&mut take);
        text
    }

    #[test]
    fn lines_end_with_a_newline_or_with_the_log() {
        insta::assert_snapshot!(items("one\n\ntwo\r\nthree"), @r#"
        "one"
        ""
        "two"
        "three"
        "#);
    }

    #[test]
    fn progress_shows_as_what_it_came_to() {
        insta::assert_snapshot!(items("1%\r50%\r100%\ndone\r\n"), @r#"
        "100%"
        "done"
        "#);
    }

    #[test]
    fn section_marks_become_sections_and_never_show() {
        let log = "\x1b[0Ksection_start:1700000000:get_sources\r\x1b[0K\x1b[0K\x1b[36;1mGetting source\x1b[0;m\x1b[0;m\n\
                   text\nsection_end:1700000001:get_sources\r\x1b[0Ksection_start:1700000001:own[collapsed=true]\r\x1b[0K\n\
                   section_end:1700000002:own\r\x1b[0K\nafter\n";
        insta::assert_snapshot!(items(log), @r#"
        start get_sources "Getting source"
        "text"
        end get_sources
        start own "own"
        end own
        "after"
        "#);
    }

    #[test]
    fn text_before_a_mark_is_kept() {
        insta::assert_snapshot!(items("no newlinesection_end:17:step_script\r\x1b[0K"), @r#"
        "no newline"
        end step_script
        "#);
    }

    #[test]
    fn what_only_looks_like_a_mark_is_text() {
        insta::assert_snapshot!(items("section_start:now:x\rsection_start:1:a b\rx section_end:1:\n"), @r#""x section_end:1:""#);
    }

    #[test]
    fn colours_stay_within_their_line_and_go_on_in_the_next() {
        insta::assert_snapshot!(items("\x1b[31mred\nstill\x1b[0m plain\nend\n"), @r#"
        "\u{1b}[31mred\u{1b}[0m"
        "\u{1b}[31mstill\u{1b}[0m plain"
        "end"
        "#);
    }

    #[test]
    fn a_line_without_end_comes_in_pieces_and_is_never_held_whole() {
        let mut lines = LogLines::default();
        let (mut pieces, mut bytes) = (0, 0);
        let mut take = |item| {
            let LogItem::Line { text, ended: false } = item else { panic!("{item:?}") };
            pieces += 1;
            bytes += text.len();
        };
        let chunk = "ä".repeat(50_001);
        for _ in 0..100 {
            lines.push(chunk.as_bytes(), &mut take);
            assert!(lines.line.len() <= LONGEST_PIECE);
        }
        lines.flush(&mut take);
        assert_eq!(bytes, 100 * chunk.len());
        assert!(pieces > 100);
    }

    #[test]
    fn a_prompt_can_be_flushed_but_progress_cannot() {
        let mut lines = LogLines::default();
        let mut taken = Vec::new();
        lines.push(b"Name? ", &mut |item| taken.push(item));
        assert_eq!(lines.unfinished(), "Name? ");
        lines.flush(&mut |item| taken.push(item));
        assert_eq!(taken, [LogItem::Line { text: "Name? ".into(), ended: false }]);
        lines.push(b"50%\r", &mut |item| taken.push(item));
        lines.flush(&mut |item| taken.push(item));
        assert_eq!(taken.len(), 1);
        assert_eq!(lines.unfinished(), "50%");
    }
}
