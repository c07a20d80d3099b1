//! The lines of a file, to find the place of a part of a scalar.

use super::{Node, Span, Style};

/// The lines of a file.
#[derive(Debug)]
pub(crate) struct Source<'text> {
    lines: Vec<&'text str>,
}

impl<'text> Source<'text> {
    /// The lines of `text`.
    pub(crate) fn new(text: &'text str) -> Self {
        Self { lines: text.strip_prefix('\u{feff}').unwrap_or(text).lines().collect() }
    }

    /// A line, counted from 1; empty where there is none.
    pub(crate) fn line(&self, number: usize) -> &'text str {
        number.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or_default()
    }

    /// A place that can be shown: what is after the end of the file is at the end of its last line with something.
    pub(crate) fn shown(&self, line: usize, column: usize) -> (usize, usize) {
        if (1..=self.lines.len()).contains(&line) {
            return (line, column.clamp(1, self.line(line).chars().count() + 1));
        }
        let filled = self.lines.iter().rposition(|line| !line.trim().is_empty());
        let last = filled.map_or(1, |index| index + 1);
        (last, self.rest(last, 1).max(1))
    }

    /// What is written at a place.
    pub(crate) fn text(&self, span: Span) -> String {
        self.line(span.line).chars().skip(span.column.saturating_sub(1)).take(span.length).collect()
    }

    /// How many letters stand between a column, counted from 1, and the end of its line, without white space there.
    pub(crate) fn rest(&self, line: usize, column: usize) -> usize {
        self.line(line).trim_end().chars().count().saturating_sub(column.saturating_sub(1))
    }

    /// The place of `length` letters that begin `offset` letters into the text of a scalar, or all of it where it is
    /// written over several lines.
    pub(crate) fn inside(&self, node: &Node, offset: usize, length: usize) -> Span {
        let written = self.line(node.span.line).chars().skip(node.span.column - 1);
        let (from, to) = match node.style {
            Style::Other => return node.span,
            Style::Plain => (offset, offset + length),
            Style::Single => {
                let letters = letters(written, '\'', |_| 1);
                (at(&letters, offset), at(&letters, offset + length))
            }
            Style::Double => {
                let letters = letters(written, '\\', |escape| match escape {
                    'x' => 3,
                    'u' => 5,
                    'U' => 9,
                    _ => 1,
                });
                (at(&letters, offset), at(&letters, offset + length))
            }
        };
        Span { line: node.span.line, column: node.span.column + from, length: to.saturating_sub(from).max(1) }
    }
}

/// The position of each letter of a quoted scalar, after the quote. An `escape` and as many letters after it as
/// `follow` says are one letter.
fn letters(written: impl Iterator<Item = char>, escape: char, follow: impl Fn(char) -> usize) -> Vec<usize> {
    let written: Vec<char> = written.collect();
    let mut positions = Vec::new();
    let mut position = 1;
    while let Some(letter) = written.get(position) {
        positions.push(position);
        position += 1;
        if *letter == escape {
            position += written.get(position).map_or(0, |next| follow(*next));
        }
    }
    positions
}

fn at(positions: &[usize], offset: usize) -> usize {
    positions.get(offset).or(positions.last()).copied().unwrap_or(1)
}
