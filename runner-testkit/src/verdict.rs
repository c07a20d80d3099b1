//! What a conformance suite says.

use std::fmt;

/// The promises that an implementation broke, one line each.
#[derive(Clone, PartialEq, Eq)]
pub struct Broken(pub Vec<String>);

impl fmt::Debug for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} promises broken:", self.0.len())?;
        self.0.iter().try_for_each(|promise| writeln!(formatter, "- {promise}"))
    }
}

/// Collects the results of single checks.
#[derive(Debug, Default)]
pub struct Verdict(Vec<String>);

/// What one check returns: `Err` says what was seen instead of what was promised.
pub type Check = Result<(), String>;

impl Verdict {
    /// Adds the result of the check of `promise`.
    pub fn add(&mut self, promise: &str, check: Check) {
        if let Err(seen) = check {
            self.0.push(format!("{promise}: {seen}"));
        }
    }

    /// All checks together.
    ///
    /// # Errors
    /// The promises that were broken.
    pub fn finish(self) -> Result<(), Broken> {
        if self.0.is_empty() { Ok(()) } else { Err(Broken(self.0)) }
    }
}

/// A check that `seen` is what was promised.
///
/// # Errors
/// Where they differ, both.
pub fn same<T: PartialEq + fmt::Debug>(seen: &T, promised: &T) -> Check {
    if seen == promised { Ok(()) } else { Err(format!("saw {seen:?} instead of {promised:?}")) }
}

/// The value of a call that must not fail.
///
/// # Errors
/// Where it failed, with its causes.
pub fn worked<T>(result: runner_core::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("failed to {}", error.chain()))
}
