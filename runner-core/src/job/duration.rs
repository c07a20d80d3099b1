//! Durations as people write them: `1h 30m`, `3 weeks and 2 days`, `1:30:00`, `90`.

use std::time::Duration;

/// The duration that `text` says, as GitLab reads it; `None` where it says none. A month has 30 days, a year 365.25.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim().to_ascii_lowercase();
    if text.contains(':') {
        return clock(&text);
    }
    let mut seconds = 0.0;
    let mut rest = skip_words(&text);
    if rest.is_empty() {
        return None;
    }
    let mut first = true;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let count: f64 = digits.parse().ok()?;
        let after = after.trim_start();
        let end = after.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let weight =
            if unit.is_empty() && first && after.trim().is_empty() { 1.0 } else { seconds_of(unit)? };
        seconds += count * weight;
        rest = skip_words(after);
        first = false;
    }
    duration(seconds)
}

/// `1:30:00` or `30:15`.
fn clock(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 {
        return None;
    }
    for part in parts {
        let fits = !part.is_empty() && part.chars().all(|digit| digit.is_ascii_digit() || digit == '.');
        seconds = seconds * 60.0 + part.parse::<f64>().ok().filter(|_| fits)?;
    }
    duration(seconds)
}

fn duration(seconds: f64) -> Option<Duration> {
    // A century is the most that makes sense, and keeps sums from overflowing.
    (0.0..=3_155_760_000.0).contains(&seconds).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

fn skip_words(mut text: &str) -> &str {
    loop {
        let trimmed = text.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ',');
        let word = ["and", "with", "plus"].iter().find_map(|word| {
            trimmed
                .strip_prefix(word)
                .filter(|rest| !rest.starts_with(|next: char| next.is_ascii_alphabetic()))
        });
        match word {
            Some(rest) => text = rest,
            None => return trimmed,
        }
    }
}

fn seconds_of(unit: &str) -> Option<f64> {
    let seconds = match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "d" | "dy" | "day" | "days" => 86_400.0,
        "w" | "wk" | "wks" | "week" | "weeks" => 604_800.0,
        "mo" | "mon" | "mos" | "month" | "months" => 2_592_000.0,
        "y" | "yr" | "yrs" | "year" | "years" => 31_557_600.0,
        _ => return None,
    };
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let table = [
            ("90", Some(90)),
            ("1h 30m", Some(5_400)),
            ("3 hours", Some(10_800)),
            ("30 mins 4 sec", Some(1_804)),
            ("2h20min", Some(8_400)),
            ("1 week", Some(604_800)),
            ("3 weeks and 2 days", Some(1_987_200)),
            ("6 mos 1 day", Some(15_638_400)),
            ("47 yrs 6 mos and 4d", Some(1_499_104_800)),
            ("1.5 hours", Some(5_400)),
            ("1 Day, 2 Hours", Some(93_600)),
            ("1:30:00", Some(5_400)),
            ("30:15", Some(1_815)),
            ("", None),
            ("and", None),
            ("soon", None),
            ("5 parsecs", None),
            ("1 2", None),
            ("-5", None),
            ("1..5 h", None),
            ("1:2:3:4", None),
            (":", None),
            ("9999999999999 years", None),
            ("1h android", None),
        ];
        for (text, seconds) in table {
            assert_eq!(parse(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
