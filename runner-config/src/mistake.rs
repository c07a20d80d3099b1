//! Mistakes in a config, each at its place, and the text of the file without its secrets.

use std::{fmt, ops::Range};

/// One mistake, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: usize,
    /// The column of the first letter, counted from 1, in letters.
    pub column: usize,
    /// How many letters of that line it is about; at least 1.
    pub length: usize,
    /// What is wrong: a fragment in lower case, without a full stop and without a secret.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// All mistakes of a config, in the order of their places. Never empty where it is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, as the caller named it.
    pub file: String,
    /// The mistakes.
    pub found: Vec<Mistake>,
    /// The text of the file, letter for letter, with `*` for what stands in quotes: it may be a secret. Only values that
    /// a mistake is about, and that are no secrets, are as they are.
    pub text: String,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.found.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            let Mistake { line, column, message, help, length: _ } = mistake;
            let shown = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
            write!(formatter, "{}:{line}:{column}: {message}\n  | {}", self.file, shown.trim())?;
            if let Some(help) = help {
                write!(formatter, "\n  help: {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// The place of a range of bytes: line, column, and how many letters of that line.
pub(crate) fn place(text: &str, range: &Range<usize>) -> (usize, usize, usize) {
    let start = (0..=range.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (before, after) = text.split_at(start);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    let rest = after.get(..range.end.saturating_sub(start)).unwrap_or_default();
    let length = rest.lines().next().unwrap_or_default().chars().count().max(1);
    (before.matches('\n').count() + 1, column, length)
}

/// `text` with `*` for every letter within quotes, but for what lies in one of the `shown` ranges of bytes.
pub(crate) fn masked(text: &str, shown: &[Range<usize>]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut inside: Option<&str> = None;
    let mut is_comment = false;
    let mut is_escaped = false;
    let mut skip_until = 0;
    for (at, letter) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        if at < skip_until {
            masked.push(letter);
            continue;
        }
        match inside {
            Some(quote) if !is_escaped && rest.starts_with(quote) => {
                inside = None;
                skip_until = at + quote.len();
                masked.push(letter);
            }
            // A string of one line ends with its line, even if its closing quote is missing.
            Some(quote) if letter == '\n' => {
                inside = Some(quote).filter(|quote| quote.len() == 3);
                is_escaped = false;
                masked.push(letter);
            }
            Some(quote) => {
                let is_shown = shown.iter().any(|range| range.contains(&at));
                is_escaped = !is_escaped && letter == '\\' && quote.starts_with('"');
                masked.push(if is_shown { letter } else { '*' });
            }
            None => {
                is_comment = letter != '\n' && (is_comment || letter == '#');
                let quotes = ["\"\"\"", "'''", "\"", "'"];
                if !is_comment && let Some(quote) = quotes.into_iter().find(|quote| rest.starts_with(quote)) {
                    inside = Some(quote);
                    skip_until = at + quote.len();
                }
                masked.push(letter);
            }
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_quotes_is_not_shown() {
        let text =
            "token = \"gl\\\"rt\" # it's\na = 'x' \nb = \"\"\"\nPEM \"x\"\n\"\"\"\nc = \"open\nd = \"e\"\n";
        let expected =
            "token = \"******\" # it's\na = '*' \nb = \"\"\"\n*******\n\"\"\"\nc = \"****\nd = \"*\"\n";
        let masked_text = masked(text, &[]);
        assert_eq!(masked_text, expected);
        let start = text.find("'x'").unwrap();
        assert!(masked(text, std::slice::from_ref(&(start..start + 3))).contains("a = 'x'"));
    }

    #[test]
    fn places_are_in_letters() {
        assert_eq!(place("ä = 1\nö = \"x\"\n", &(12..15)), (2, 5, 3));
        assert_eq!(place("a", &(5..9)), (1, 2, 1));
        assert_eq!(place("", &(0..0)), (1, 1, 1));
    }
}
