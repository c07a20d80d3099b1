//! Durations as GitLab Runner's messages write them: `1h30m0s`, `5s`.

use std::time::Duration;

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
    fn durations_are_written_for_people() {
        let check = |seconds, expected: &str| assert_eq!(show(Duration::from_secs(seconds)), expected);
        check(3600, "1h0m0s");
        check(65, "1m5s");
        check(5, "5s");
        check(0, "0s");
        assert_eq!(show(Duration::from_millis(250)), "250ms");
    }
}
