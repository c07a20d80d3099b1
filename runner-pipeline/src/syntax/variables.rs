//! `variables`, of the file, of a job, of a rule or of a service.

use std::rc::Rc;

use runner_core::job::{Variable, Variables};

use super::{Check, keyword, value};
use crate::yaml::{Entry, Node, Value};

/// Whose variables are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The file: they may be described.
    File,
    /// A job.
    Job,
    /// A rule, a service: plain values only.
    Other,
}

/// The variables in order. Each key is there once.
pub(crate) fn read(node: &Node, what: &str, owner: Owner, check: Check<'_, '_>) -> Option<Variables> {
    let map = value::mapping(node, what, check)?;
    let variables = map.iter().filter_map(|entry| variable(entry, what, owner, check)).collect();
    Some(Variables(variables))
}

fn variable(entry: &Entry, what: &str, owner: Owner, check: Check<'_, '_>) -> Option<Variable> {
    let key = &*entry.key;
    let odd = |letter: char| letter == '=' || letter.is_whitespace() || letter.is_control();
    if key.is_empty() || key.contains(odd) {
        let help = "a name is letters, digits and `_`";
        check.error_with_help(entry.key_span, format!("`{key}` is no name of a variable"), help);
        return None;
    }
    let name = format!("{what}:{key}");
    match &entry.value.value {
        Value::Map(_) => described(entry, &name, owner, check),
        Value::Null => {
            let message = format!("`{name}` has no value");
            check.error_with_help(entry.key_span, message, "write \"\" for an empty value");
            None
        }
        _ => plain(&entry.value, &name, check).map(|value| Variable::new(key, value)),
    }
}

/// A string, a number or a boolean, as text.
fn plain(node: &Node, name: &str, check: Check<'_, '_>) -> Option<String> {
    match &node.value {
        Value::Text(text) if text.contains('\0') => {
            check.error(node.span, format!("`{name}` holds a NUL, which no variable can"));
            None
        }
        Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some(node.to_string()),
        _ => {
            value::wrong(node, name, "a string, a number or a boolean", None, check);
            None
        }
    }
}

/// `{value, description, options, expand}`.
fn described(entry: &Entry, name: &str, owner: Owner, check: Check<'_, '_>) -> Option<Variable> {
    let map = entry.value.as_map()?;
    let keys: &[&str] = match owner {
        Owner::File => &["value", "description", "options", "expand"],
        Owner::Job => &["value", "expand"],
        Owner::Other => {
            value::wrong(&entry.value, name, "a string, a number or a boolean", None, check);
            return None;
        }
    };
    keyword::known(map, name, keys, &[], check);
    if let Some(description) = map.value("description") {
        value::text(description, &format!("{name}:description"), check);
    }
    let given = match map.value("value") {
        Some(node) => plain(node, &format!("{name}:value"), check)?,
        None => String::new(),
    };
    if let Some(node) = map.value("options") {
        let options = value::plain_texts(node, &format!("{name}:options"), check)?;
        if !options.contains(&given) {
            let message = format!("the value of `{name}` is none of its `options`");
            check.error(map.value("value").map_or(entry.key_span, |value| value.span), message);
        }
    }
    let expand = match map.value("expand") {
        Some(node) => value::boolean(node, &format!("{name}:expand"), check)?,
        None => true,
    };
    Some(Variable { raw: !expand, ..Variable::new(Rc::clone(&entry.key).as_ref(), given) })
}
