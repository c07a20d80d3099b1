//! How often a phase is tried, and how long it waits in between.

use std::time::Duration;

use super::environment::Environment;

/// What the variable `key` says: 1 to 10 tries; 1 where it says nothing, or nothing that can be understood.
pub(crate) fn count(environment: &Environment, key: &str, warnings: &mut Vec<String>) -> u32 {
    let text = environment.value(key).trim();
    if text.is_empty() {
        return 1;
    }
    text.parse().ok().filter(|number| (1..=10).contains(number)).unwrap_or_else(|| {
        warnings.push(format!("{key} is {text:?}, which is no number from 1 to 10: it is tried once"));
        1
    })
}

/// How long to wait after the failure of try number `attempt`, from 1 on: twice as long each time, at most 30 seconds.
pub(crate) fn pause(attempt: u32) -> Duration {
    Duration::from_secs(1u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX).min(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let pauses: Vec<_> = [1, 2, 3, 6, 100].map(|attempt| pause(attempt).as_secs()).to_vec();
        assert_eq!(pauses, [1, 2, 4, 30, 30]);
    }
}
