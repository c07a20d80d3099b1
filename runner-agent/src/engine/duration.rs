//! Durations as GitLab Runner's variables and messages write them: `1h30m`, `1.5s`, `1h0m0s`.

use std::time::Duration;

/// Reads such a duration; `None` where it is none, is negative, or is too long.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    rest = rest.strip_prefix('+').unwrap_or(rest);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
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
    Some(total)
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" | "μs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

/// Writes a duration in hours, minutes and seconds; what is shorter than a second in milliseconds.
pub(crate) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) if seconds == 0 && !duration.is_zero() => format!("{}ms", duration.as_millis()),
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_gitlab_runner_reads_them() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text}");
        };
        check("1h30m", Some(5_400_000));
        check("1.5s", Some(1_500));
        check(" 300ms ", Some(300));
        check("0", Some(0));
        check("10", None);
        check("-1s", None);
        check("", None);
        check("h", None);
        check("1x", None);
        check("1..2s", None);
        check("99999999999999999999h", None);
    }

    #[test]
    fn durations_are_written_for_people() {
        let check = |seconds, expected: &str| assert_eq!(show(Duration::from_secs(seconds)), expected);
        check(3600, "1h0m0s");
        check(65, "1m5s");
        check(5, "5s");
        check(0, "0s");
        assert_eq!(show(Duration::from_millis(250)), "250ms");
    }
}
