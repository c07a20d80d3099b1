//! `retry`, `allow_failure` and `when`: what a failure means.

use super::{Check, keyword, value};
use crate::{
    pipeline::{AllowFailure, JobWhen, Retry},
    yaml::{Node, Value},
};

/// What `retry:when` knows.
const FAILURES: &[&str] = &[
    "always",
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "runner_system_failure",
    "runner_unsupported",
    "runner_interrupted",
    "stale_schedule",
    "job_execution_timeout",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
    "image_pull_failure",
    "configuration_error",
    "external_dependency_failure",
];

/// `retry`.
pub(crate) fn read(node: &Node, check: Check<'_, '_>) -> Option<Retry> {
    let max = |node: &Node, what: &str| {
        value::number(node, what, (0, 2), check).and_then(|max| u32::try_from(max).ok())
    };
    match &node.value {
        Value::Int(_) => max(node, "retry").map(|max| Retry { max, ..Retry::default() }),
        Value::Map(map) => {
            keyword::known(map, "retry", &["max", "when", "exit_codes"], &[], check);
            let when = map.value("when").map(|node| failures(node, check)).unwrap_or_default();
            let exit_codes = map
                .value("exit_codes")
                .and_then(|node| value::exit_codes(node, "retry:exit_codes", check))
                .unwrap_or_default();
            let max = match map.value("max") {
                Some(node) => max(node, "retry:max")?,
                None => 2,
            };
            Some(Retry { max, when, exit_codes })
        }
        _ => {
            value::wrong(node, "retry", "a number or a mapping", None, check);
            None
        }
    }
}

/// `allow_failure`.
pub(crate) fn allow_failure(node: &Node, check: Check<'_, '_>) -> Option<AllowFailure> {
    match &node.value {
        Value::Bool(true) => Some(AllowFailure::Yes),
        Value::Bool(false) => Some(AllowFailure::No),
        Value::Map(map) => {
            keyword::known(map, "allow_failure", &["exit_codes"], &[], check);
            let Some(codes) = map.value("exit_codes") else {
                check.error(node.span, "`allow_failure` has no `exit_codes`");
                return None;
            };
            value::exit_codes(codes, "allow_failure:exit_codes", check).map(AllowFailure::ExitCodes)
        }
        _ => {
            let is_quoted = matches!(&node.value, Value::Text(text) if matches!(&**text, "true" | "false"));
            let help = is_quoted.then_some("write it without quotes");
            value::wrong(node, "allow_failure", "true, false or a mapping with `exit_codes`", help, check);
            None
        }
    }
}

/// `when` of a job or of a rule.
pub(crate) fn when(node: &Node, what: &str, in_rule: bool, check: Check<'_, '_>) -> Option<JobWhen> {
    if matches!(&node.value, Value::Text(text) if &**text == "delayed") {
        check.unsupported(node.span, &format!("`{what}: delayed`"));
        return None;
    }
    let words = [
        ("on_success", JobWhen::OnSuccess),
        ("on_failure", JobWhen::OnFailure),
        ("always", JobWhen::Always),
        ("manual", JobWhen::Manual),
        ("never", JobWhen::Never),
    ];
    let when = value::choice(node, what, &words, check)?;
    if when == JobWhen::Never && !in_rule {
        let message = format!("`never` is no value of `{what}`: only a rule may have it");
        check.error_with_help(
            node.span,
            message,
            "write `rules: [{when: never}]`, or put a dot before the job's name",
        );
        return None;
    }
    Some(when)
}

fn failures(node: &Node, check: Check<'_, '_>) -> Vec<String> {
    let names = value::text_or_texts(node, "retry:when", check).unwrap_or_default();
    for name in names.iter().filter(|name| !FAILURES.contains(&name.value.as_str())) {
        let message = format!("unknown value `{}` of `retry:when`", name.value);
        check.unknown(name.span, message, (&name.value, FAILURES.iter().copied()), None);
    }
    names.into_iter().map(|name| name.value).collect()
}
