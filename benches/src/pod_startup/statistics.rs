//! The middle of some values, and the end of them.

use serde_json::{Value, json};

/// What is said of a number of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Half are less.
    pub median: f64,
    /// 95 of 100 are less, or the greatest of a few.
    pub p95: f64,
    /// The least.
    pub least: f64,
}

impl Spread {
    /// Of `values`; nothing is said of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let (count, half) = (values.len(), values.len() / 2);
        let median = if count.is_multiple_of(2) {
            f64::midpoint(at(half.saturating_sub(1)), at(half))
        } else {
            at(half)
        };
        Self { median, p95: at((count * 95).div_ceil(100).saturating_sub(1)), least: at(0) }
    }

    /// For programs.
    pub(crate) fn to_json(self) -> Value {
        json!({ "median": rounded(self.median), "p95": rounded(self.p95), "min": rounded(self.least) })
    }
}

/// With one decimal.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95th_of_a_hundred_has_five_above_it() {
        let spread = Spread::of((1..=100).map(f64::from));
        assert_eq!(spread, Spread { median: 50.5, p95: 95.0, least: 1.0 });
    }

    #[test]
    fn of_a_few_the_greatest_is_the_end() {
        let spread = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!(spread, Spread { median: 2.0, p95: 3.0, least: 1.0 });
    }
}
