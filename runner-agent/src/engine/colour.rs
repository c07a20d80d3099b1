//! The colours of our own lines in a job's log.

const RESET: &str = "\u{1b}[0;m";

/// The header of a phase.
pub(crate) fn header(text: &str) -> String {
    format!("\u{1b}[0K\u{1b}[36;1m{text}{RESET}")
}

/// A command before it runs, and the line of a job that succeeded.
pub(crate) fn good(text: &str) -> String {
    format!("\u{1b}[32;1m{text}{RESET}")
}

/// What a person should know although the job goes on.
pub(crate) fn warning(text: &str) -> String {
    format!("\u{1b}[0;33mWARNING: {text}{RESET}")
}

/// Why a job failed.
pub(crate) fn error(text: &str) -> String {
    format!("\u{1b}[31;1mERROR: {text}{RESET}")
}
