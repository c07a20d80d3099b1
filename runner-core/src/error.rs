//! The error of all traits: a condition that a caller can act on, what was being done, and the cause.

use std::{error, fmt};

use serde::{Deserialize, Serialize};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn error::Error + Send + Sync>;

/// Conditions that a caller acts on. How a script ended is no error but a [`JobOutcome`](crate::JobOutcome).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for is not there, for good.
    NotFound,
    /// It exists already, with other content.
    Conflict,
    /// The credentials are missing or do not suffice.
    Unauthorized,
    /// The configuration or the job asks for something that cannot be.
    Invalid,
    /// Asked for something that this implementation does not do.
    Unsupported,
    /// The image cannot be had.
    ImageUnavailable,
    /// A quota or a disk is full.
    Exhausted,
    /// The other side is not reachable, overloaded or answers nonsense; later it may work.
    Unavailable,
    /// It took longer than it may.
    TimedOut,
    /// It was asked to stop before it was done.
    Cancelled,
    /// Data does not have the digest or the form it must have.
    Corrupt,
    /// The environment of a job is gone and left no record.
    Lost,
    /// A fault of ours.
    Internal,
}

/// What went wrong when *we* could not do or could not know something.
///
/// The message is a fragment that completes "failed to …"; the cause is in [`source`](error::Error::source) only,
/// so that a chain that is printed once never repeats itself.
pub struct Error {
    kind: ErrorKind,
    operation: String,
    retryable: bool,
    context: Vec<(&'static str, String)>,
    cause: Option<Cause>,
}

impl Error {
    /// An error of `kind` while doing `operation`, a fragment such as "read the cache".
    pub fn new(kind: ErrorKind, operation: impl Into<String>) -> Self {
        let retryable = matches!(kind, ErrorKind::Unavailable);
        Self { kind, operation: operation.into(), retryable, context: Vec::new(), cause: None }
    }

    /// Adds a fact that helps to find the cause, such as `("path", "/builds")`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Says whether the same call may succeed later. By default only [`ErrorKind::Unavailable`] may.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// The condition.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The message with all its causes in one line, for a job's log or an operator.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.operation)?;
        for (index, (key, value)) in self.context.iter().enumerate() {
            write!(formatter, "{}{key} {value}", if index == 0 { " (" } else { ", " })?;
        }
        if self.context.is_empty() { Ok(()) } else { write!(formatter, ")") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: failed to {}", self.kind, self.chain())
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_each_cause_once() {
        let inner = Error::new(ErrorKind::NotFound, "open the file").with("path", "/a");
        let outer = Error::new(ErrorKind::Unavailable, "read the cache").because(inner);
        assert_eq!(outer.chain(), "read the cache: open the file (path /a)");
        assert_eq!(outer.to_string(), "read the cache");
        assert!(outer.is_retryable());
    }
}
