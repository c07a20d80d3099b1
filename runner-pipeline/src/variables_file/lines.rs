//! `.env` files.
//!
//! Values are taken as they are: a password with a dollar sign stays one.

use runner_core::job::Variable;

use super::check_name;
use crate::{diagnostic::Mistakes, yaml::Span};

pub(super) fn read(text: &str, mistakes: &Mistakes<'_>) -> Vec<Variable> {
    let mut reader = Reader { lines: text.split('\n').collect(), next: 0, mistakes };
    let mut variables = Vec::new();
    while let Some(line) = reader.line() {
        variables.extend(reader.variable(line));
    }
    variables
}

struct Reader<'text, 'check> {
    lines: Vec<&'text str>,
    next: usize,
    mistakes: &'check Mistakes<'text>,
}

impl<'text> Reader<'text, '_> {
    fn line(&mut self) -> Option<&'text str> {
        let line = self.lines.get(self.next)?;
        self.next += 1;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    fn variable(&mut self, line: &'text str) -> Option<Variable> {
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            return None;
        }
        let assignment = content.strip_prefix("export ").map_or(content, str::trim_start);
        let span = self.span(line, assignment.trim_end());
        let Some((name, value)) = assignment.split_once('=') else {
            self.mistakes.error_with_help(span, "this line sets no variable", "write NAME=VALUE");
            return None;
        };
        check_name(name.trim_end(), self.span(line, name), self.mistakes);
        let value = self.value(line, value.trim_start())?;
        Some(Variable { public: false, ..Variable::raw(name.trim_end(), value) })
    }

    /// The value that begins with `text`, at the end of `line`.
    fn value(&mut self, line: &'text str, text: &'text str) -> Option<String> {
        if let Some(quote @ ('"' | '\'')) = text.chars().next() {
            return self.quoted(line, text, quote);
        }
        // A remark starts the value, or comes after white space.
        let is_remark = |(index, _): &(usize, &str)| {
            text.get(..*index).is_none_or(|before| before.is_empty() || before.ends_with([' ', '\t']))
        };
        let value = text.match_indices('#').find(is_remark).and_then(|(index, _)| text.get(..index));
        Some(value.unwrap_or(text).trim_end().to_owned())
    }

    /// A value in quotes, which may go on over further lines.
    fn quoted(&mut self, line: &'text str, text: &'text str, quote: char) -> Option<String> {
        let start = self.span(line, text);
        let mut value = String::new();
        let mut rest = text.strip_prefix(quote).unwrap_or(text);
        loop {
            let mut letters = rest.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    letter if letter == quote => return self.after_quote(letters.as_str(), value),
                    '\\' if quote == '"' => value.push_str(&escaped(letters.next())),
                    letter => value.push(letter),
                }
            }
            let Some(next) = self.line() else {
                self.mistakes.error_with_help(start, format!("the {quote} is never closed"), "close it");
                return None;
            };
            value.push('\n');
            rest = next;
        }
    }

    fn after_quote(&self, rest: &str, value: String) -> Option<String> {
        let rest = rest.trim();
        if rest.is_empty() || rest.starts_with('#') {
            return Some(value);
        }
        let line = self.lines.get(self.next - 1).copied().unwrap_or_default();
        self.mistakes.error_with_help(
            self.span(line, rest),
            "there is more after the closing quote",
            "put all of the value in quotes",
        );
        None
    }

    /// The place of `part`, with which the line that was read last ends, or which it has.
    fn span(&self, line: &str, part: &str) -> Span {
        let before = line.find(part).and_then(|index| line.get(..index)).unwrap_or_default();
        Span { line: self.next, column: before.chars().count() + 1, length: part.chars().count() }
    }
}

/// What a backslash in double quotes makes of the letter after it.
fn escaped(letter: Option<char>) -> String {
    match letter {
        Some('n') => "\n".to_owned(),
        Some('r') => "\r".to_owned(),
        Some('t') => "\t".to_owned(),
        Some(letter @ ('"' | '\\' | '$')) => letter.to_string(),
        Some(other) => format!("\\{other}"),
        None => "\\".to_owned(),
    }
}
