//! Durations as Go writes them: `90s`, `1h5m30s`, `1.5h`.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// A duration as it stands in the config. A whole number is one of nanoseconds, as in GitLab Runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurationText(String);

impl DurationText {
    /// The duration; `None`: the text is none.
    pub fn parse(&self) -> Option<Duration> {
        runner_core::go_duration::parse(&self.0)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNanoseconds)
    }
}

struct TextOrNanoseconds;

impl Visitor<'_> for TextOrNanoseconds {
    type Value = DurationText;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration such as \"5m\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<DurationText, E> {
        Ok(DurationText(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, nanoseconds: i64) -> Result<DurationText, E> {
        Ok(DurationText(format!("{nanoseconds}ns")))
    }

    fn visit_u64<E: Error>(self, nanoseconds: u64) -> Result<DurationText, E> {
        Ok(DurationText(format!("{nanoseconds}ns")))
    }
}
