//! One line of the log, in either form.

use std::{fmt::Write, time::Duration};

use jiff::Timestamp;
use runner_config::config::{LogFormat, LogLevel};
use serde_json::{Map, Value};

use crate::view::tame;

/// A text is not longer than this, in bytes; the rest is cut.
const LONGEST: usize = 8 << 10;

/// A line, not written yet.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) level: LogLevel,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Line {
    /// A line that says `message`.
    pub(super) fn new(level: LogLevel, message: &str) -> Self {
        Self { level, message: tame(shortened(message)), fields: Vec::new() }
    }

    /// Adds a field.
    #[must_use]
    pub(super) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        let value = match value.into() {
            Value::String(text) => Value::String(tame(shortened(&text))),
            other => other,
        };
        self.fields.push((key, value));
        self
    }

    /// The line, with its end.
    pub(super) fn text(&self, format: LogFormat) -> String {
        match format {
            LogFormat::Text => self.plain(),
            LogFormat::Json => self.json(Timestamp::now()),
        }
    }

    /// Without the time: whatever keeps the output of a service notes it.
    fn plain(&self) -> String {
        let mut text = match self.level {
            LogLevel::Error => "ERROR: ",
            LogLevel::Warning => "WARNING: ",
            LogLevel::Info | LogLevel::Debug => "",
        }
        .to_owned();
        text.push_str(&self.message);
        for (key, value) in &self.fields {
            let is_bare = |text: &String| !text.is_empty() && text.chars().all(is_bare);
            let written = match value {
                Value::String(value) if is_bare(value) => write!(text, " {key}={value}"),
                value => write!(text, " {key}={value}"),
            };
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
        text.push('\n');
        text
    }

    fn json(&self, now: Timestamp) -> String {
        let level = match self.level {
            LogLevel::Error => "error",
            LogLevel::Warning => "warning",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        };
        let fields = self.fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        let mut object: Map<String, Value> = fields.collect();
        object.insert("level".to_owned(), level.into());
        object.insert("msg".to_owned(), self.message.as_str().into());
        object.insert("time".to_owned(), format!("{now:.3}").into());
        let mut text = Value::Object(object).to_string();
        text.push('\n');
        text
    }
}

fn is_bare(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-._/@^+:".contains(letter)
}

fn shortened(text: &str) -> &str {
    let cut = (0..=LONGEST.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..cut).unwrap_or_default()
}

/// Seconds with two digits after the point.
pub(super) fn seconds(duration: Duration) -> Value {
    let hundredths = duration.as_millis().saturating_add(5) / 10;
    let hundredths = u32::try_from(hundredths).unwrap_or(u32::MAX);
    if hundredths.is_multiple_of(100) {
        return Value::from(hundredths / 100);
    }
    Value::from(f64::from(hundredths) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jobs_write_stays_in_its_line_and_its_field() {
        let line =
            Line::new(LogLevel::Warning, "a\nb\u{1b}[2J").with("name", "x y=\"z\"\n").with("empty", "");
        let text = line.with("url", "https://g/a").plain();
        assert_eq!(text, "WARNING: a b name=\"x y=\\\"z\\\" \" empty=\"\" url=https://g/a\n");
        let long = Line::new(LogLevel::Info, &"ä".repeat(LONGEST)).plain();
        assert_eq!(long.len(), LONGEST + 1);
    }

    #[test]
    fn a_line_of_json_has_its_time() {
        let now = Timestamp::from_second(1_767_323_045).unwrap();
        let line = Line::new(LogLevel::Info, "Job succeeded").with("job", 7);
        assert_eq!(
            line.json(now),
            "{\"job\":7,\"level\":\"info\",\"msg\":\"Job succeeded\",\"time\":\"2026-01-02T03:04:05.000Z\"}\n"
        );
    }

    #[test]
    fn seconds_have_two_digits_where_they_need_them() {
        let shown = [202_956, 3000, 4].map(|millis| seconds(Duration::from_millis(millis)).to_string());
        assert_eq!(shown, ["202.96", "3", "0"]);
    }
}
