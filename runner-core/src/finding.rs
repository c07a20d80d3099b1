//! What a self-check found, said before the first job.

use serde::{Deserialize, Serialize};

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Worth knowing; everything works.
    Note,
    /// Some jobs will not do what their author expects.
    Warning,
    /// No job can run before it is mended.
    Fatal,
}

/// One thing that a self-check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What mends it: a command, a rule, a setting. Empty where nothing need be done.
    pub mend: String,
}
