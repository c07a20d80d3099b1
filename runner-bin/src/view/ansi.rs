//! What of a terminal's control sequences is let through: colours. The rest could move the cursor into lines of other
//! jobs, clear the screen, or type into the terminal.

use std::{borrow::Cow, iter::Peekable, str::Chars};

const ESCAPE: char = '\x1b';
/// Turns all colours off.
const RESET: &str = "\x1b[0m";
/// How many bytes of colour sequences are carried from line to line.
const MOST_CARRIED: usize = 128;

/// Colours that a text has turned on and not off.
#[derive(Debug, Default)]
pub(super) struct Colors {
    on: String,
}

impl Colors {
    /// `text` as it may be shown, with the colours that were on before it, and none after it.
    pub(super) fn apply(&mut self, text: &str) -> String {
        if self.on.is_empty() && is_plain(text) {
            return text.to_owned();
        }
        let mut shown = self.on.clone();
        for part in Parts::of(text) {
            match part {
                Part::Letter(letter) => shown.push(letter),
                Part::Color(color) => {
                    self.turn(&color);
                    shown.push_str(&color);
                }
                Part::Backspace => {
                    if !shown.ends_with('m') {
                        shown.pop();
                    }
                }
            }
        }
        if !self.on.is_empty() {
            shown.push_str(RESET);
        }
        shown
    }

    fn turn(&mut self, color: &str) {
        let numbers = color.trim_start_matches("\x1b[").trim_end_matches('m');
        let is_off = |number: &str| number.trim_start_matches('0').is_empty();
        if numbers.split(';').next().is_none_or(is_off) || self.on.len() > MOST_CARRIED {
            self.on.clear();
        }
        if !numbers.split(';').all(is_off) {
            self.on.push_str(color);
        }
    }
}

/// `text` without any control sequence.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let letters =
        Parts::of(text).filter_map(|part| if let Part::Letter(it) = part { Some(it) } else { None });
    Cow::Owned(letters.collect())
}

/// Whether `text` may be shown as it is. Most text is ASCII, for which this is quick.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) || text.chars().all(is_text)
}

/// How many bytes of `bytes` hold neither half a letter nor, at their end, a sequence that may be cut in two. At least
/// one where there are any, so that whoever cuts gets on.
pub(super) fn whole_prefix(bytes: &[u8]) -> usize {
    const LONGEST_SEQUENCE: usize = 32;
    let tail_start = bytes.len().saturating_sub(LONGEST_SEQUENCE);
    let tail = bytes.get(tail_start..).unwrap_or_default();
    if let Some(at) = tail.iter().rposition(|byte| *byte == 0x1b).filter(|at| tail_start + at > 0) {
        return tail_start + at;
    }
    bytes.len() - half_letter(bytes).min(bytes.len().saturating_sub(1))
}

/// How many bytes at the end of `bytes` are the beginning of a letter that has more.
fn half_letter(bytes: &[u8]) -> usize {
    for (before, byte) in bytes.iter().rev().take(3).enumerate() {
        let needed = match byte {
            0xf0.. => 4,
            0xe0.. => 3,
            0xc0.. => 2,
            0x80.. => continue,
            _ => return 0,
        };
        return if before + 1 < needed { before + 1 } else { 0 };
    }
    0
}

fn is_text(letter: char) -> bool {
    letter == '\t' || !letter.is_control()
}

enum Part {
    Letter(char),
    Color(String),
    Backspace,
}

struct Parts<'a>(Peekable<Chars<'a>>);

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.chars().peekable())
    }

    /// What follows an escape: a colour, or something that is left out.
    fn sequence(&mut self) -> Option<Part> {
        match self.0.next()? {
            '[' => self.control_sequence(),
            ']' | 'P' | 'X' | '^' | '_' => {
                self.skip_string();
                None
            }
            ' '..='/' => {
                // The letters between are those of a choice of a character set; the last one ends it.
                while self.0.next_if(|letter| matches!(letter, ' '..='/')).is_some() {}
                self.0.next();
                None
            }
            _ => None,
        }
    }

    fn control_sequence(&mut self) -> Option<Part> {
        let mut color = String::from("\x1b[");
        let mut only_numbers = true;
        while let Some(letter) = self.0.next_if(|letter| matches!(letter, ' '..='~')) {
            color.push(letter);
            if matches!(letter, '@'..='~') {
                return (letter == 'm' && only_numbers).then_some(Part::Color(color));
            }
            only_numbers &= letter.is_ascii_digit() || matches!(letter, ';' | ':');
        }
        None
    }

    /// Skips what a title, a link and the like consist of.
    fn skip_string(&mut self) {
        while let Some(letter) = self.0.next() {
            if letter == '\x07' || (letter == ESCAPE && self.0.next_if_eq(&'\\').is_some()) {
                return;
            }
        }
    }
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        loop {
            match self.0.next()? {
                ESCAPE => {
                    if let Some(color) = self.sequence() {
                        return Some(color);
                    }
                }
                '\x08' => return Some(Part::Backspace),
                letter if is_text(letter) => return Some(Part::Letter(letter)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str) {
        assert_eq!(Colors::default().apply(text), shown, "{text:?}");
    }

    #[test]
    fn only_colours_reach_the_terminal() {
        check("a\x1b[2J\x1b[1;1Hb", "ab");
        check("\x1b]0;title\x07a\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "alink");
        check("\x1b(Ba\x1b=b\x07c\x00", "abc");
        check("\x1b[?25la\x1b[0Kb", "ab");
        check("\x1b[38;5;9mx\x1b[m", "\x1b[38;5;9mx\x1b[m");
        check("1%\x08\x082%", "2%");
        check("\x1b[3", "");
    }

    #[test]
    fn plain_text_has_no_escapes() {
        assert_eq!(plain("\x1b[1;31merror\x1b[0m: \x1b]0;t\x07tab\t\u{9b}31m"), "error: tab\t31m");
    }

    #[test]
    fn a_cut_never_halves_a_letter_or_a_colour() {
        let check = |text: &[u8], cut| assert_eq!(whole_prefix(text), cut, "{text:?}");
        check(b"abc", 3);
        check("aä".as_bytes(), 3);
        check(b"a\xc3", 1);
        check(b"a\xf0\x9f\x98", 1);
        check("a😀".as_bytes(), 5);
        check(b"abc\x1b[3", 3);
        check(b"\x1b[3", 3);
        check(b"\xff\xff\xff\xff", 3);
    }
}
