//! Durations as people write them: `1h 30m`, `3 weeks and 2 days`, `1:30:00`, `90`.

use std::time::Duration;

use runner_core::job::duration::parse;

use super::{Check, value::wrong};
use crate::yaml::{Node, Value};

/// Reads a duration.
pub(crate) fn read(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Duration> {
    let text = match &node.value {
        Value::Text(text) => text.to_string(),
        Value::Int(_) | Value::Float(_) => node.to_string(),
        _ => {
            wrong(node, what, "a duration", Some("write it as in `1h 30m`"), check);
            return None;
        }
    };
    let parsed = parse(&text);
    if parsed.is_none() {
        let message = format!("`{what}` is no duration: `{text}`");
        check.error_with_help(node.span, message, "write it as in `1h 30m`, `3 days` or `90 seconds`");
    }
    parsed
}

/// Reads a duration, or `never`, which is `None` as well.
pub(crate) fn read_or_never(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Duration> {
    match &node.value {
        Value::Text(text) if text.trim() == "never" => None,
        _ => read(node, what, check),
    }
}
