//! Durations as a person reads them, and as JSON has them.

use std::time::Duration;

/// `0.2s`, `12.3s`, `1m 05s`, `2h 03m`.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration < Duration::from_millis(59_950) {
        format!("{:.1}s", duration.as_secs_f64())
    } else if seconds < 3600 {
        format!("{}m {:02}s", seconds.max(60) / 60, if seconds < 60 { 0 } else { seconds % 60 })
    } else {
        format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60)
    }
}

/// `0:07`, `12:07`, `1:00:07`: for a clock that runs, where tenths would only flicker.
pub(crate) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads a span such as `90s`, `5m`, `25h` or `30d`.
pub(crate) fn read(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no span such as 90m, 25h or 30d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit() {
        assert_eq!(read("25h"), Ok(Duration::from_hours(25)));
        assert_eq!(read("30d"), Ok(Duration::from_hours(720)));
        for wrong in ["", "h", "30", "-1h", "1y", "99999999999999999999d", "1ä"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_as_exact_as_they_are_short() {
        let check = |milliseconds, text| assert_eq!(human(Duration::from_millis(milliseconds)), text);
        check(0, "0.0s");
        check(249, "0.2s");
        check(59_949, "59.9s");
        check(59_999, "1m 00s");
        check(65_000, "1m 05s");
        check(7_380_000, "2h 03m");
        assert_eq!(clock(Duration::from_secs(3607)), "1:00:07");
        assert_eq!(clock(Duration::from_secs(67)), "1:07");
    }
}
