//! What a rule has found.

use std::fmt;

/// One place that breaks a rule, and what to do about it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Offence {
    path: String,
    line: usize,
    advice: String,
}

impl Offence {
    /// An offence at a line, counted from 1.
    pub(crate) fn at(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self { path: path.into(), line, advice: advice.into() }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.advice)
    }
}

impl fmt::Debug for Offence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Why a test of this binary fails. The test harness prints it with `Debug`, so that is made for people.
pub(crate) enum Untidy {
    /// A rule is broken at these places.
    Offences(Vec<Offence>),
    /// The repository could not be read.
    Unreadable(String),
}

impl fmt::Debug for Untidy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offences(offences) => {
                writeln!(formatter, "{} offence(s):", offences.len())?;
                offences.iter().try_for_each(|offence| writeln!(formatter, "  {offence}"))
            }
            Self::Unreadable(reason) => formatter.write_str(reason),
        }
    }
}
