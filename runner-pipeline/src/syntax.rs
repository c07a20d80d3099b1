//! What the nodes of a file mean: one reader for each keyword, each of which notes what is wrong and goes on.
//!
//! A reader gives `None` where it noted a mistake, and never guesses.

pub(crate) mod artifacts;
pub(crate) mod cache;
pub(crate) mod container;
pub(crate) mod duration;
pub(crate) mod environment;
pub(crate) mod inherit;
pub(crate) mod job;
pub(crate) mod keyword;
pub(crate) mod needs;
pub(crate) mod parallel;
pub(crate) mod reports;
pub(crate) mod retry;
pub(crate) mod root;
pub(crate) mod rules;
pub(crate) mod script;
pub(crate) mod value;
pub(crate) mod variables;

use crate::{diagnostic::Mistakes, yaml::Span};

/// Something and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed<T> {
    /// What.
    pub(crate) value: T,
    /// Where.
    pub(crate) span: Span,
}

/// What readers have in common: where mistakes go.
pub(crate) type Check<'a, 'text> = &'a Mistakes<'text>;
