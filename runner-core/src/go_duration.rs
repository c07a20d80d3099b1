//! Durations as Go writes them, and so GitLab Runner's variables and configuration: `90s`, `1h5m30s`, `1.5h`.

use std::time::Duration;

/// Reads such a duration; `None` where it is none, has no unit, is negative, or is too long. `0` needs no unit.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let mut rest = text.strip_prefix('+').unwrap_or(text);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text}");
        };
        check("1h30m", Some(5_400_000));
        check("1h5m30s", Some(3_930_000));
        check("+1.5s", Some(1_500));
        check(" 300ms ", Some(300));
        check("0", Some(0));
        let wrong = ["", "+", "10", "h", "m", "-1s", "1x", "5d", "5 m", "1..2s", "99999999999999999999h"];
        for text in wrong {
            check(text, None);
        }
    }
}
