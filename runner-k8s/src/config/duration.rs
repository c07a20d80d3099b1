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
        parse(self.0.trim())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_ends = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(number_ends);
        let unit_ends =
            after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_ends);
        let seconds = number.parse::<f64>().ok()? * seconds_of(unit)?;
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

fn seconds_of(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1e-9),
        "us" | "µs" | "μs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(parse("1h5m30s"), Some(Duration::from_secs(3930)));
        assert_eq!(parse("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
        for wrong in ["", "5", "m", "5 m", "-5m", "5d", "1..5s"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
