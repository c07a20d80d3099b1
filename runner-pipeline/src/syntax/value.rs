//! Simple values: strings, numbers, booleans, lists of them, and one of several words.

use std::rc::Rc;

use super::{Check, Placed};
use crate::yaml::{Map, Node, Value};

/// Notes that a value is not what it must be.
pub(crate) fn wrong(node: &Node, what: &str, expected: &str, help: Option<&str>, check: Check<'_, '_>) {
    if matches!(node.value, Value::Broken) {
        return;
    }
    let message = format!("{} must be {expected}, but is {}", quoted(what), node.kind());
    match help {
        Some(help) => check.error_with_help(node.span, message, help),
        None => check.error(node.span, message),
    }
}

/// A keyword in backquotes; a phrase that has them already, as it is.
fn quoted(what: &str) -> String {
    if what.contains('`') { what.to_owned() } else { format!("`{what}`") }
}

/// A string. Numbers and booleans are not: GitLab refuses them too.
pub(crate) fn text(node: &Node, what: &str, check: Check<'_, '_>) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some((**text).to_owned()),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            let written = check.source().text(node.span);
            wrong(node, what, "a string", Some(&format!("put it in quotes: \"{written}\"")), check);
            None
        }
        _ => {
            wrong(node, what, "a string", None, check);
            None
        }
    }
}

/// A string with something in it.
pub(crate) fn filled_text(node: &Node, what: &str, check: Check<'_, '_>) -> Option<String> {
    let text = text(node, what, check)?;
    if text.trim().is_empty() {
        check.error(node.span, format!("{} must not be empty", quoted(what)));
        return None;
    }
    Some(text)
}

/// `true` or `false`.
pub(crate) fn boolean(node: &Node, what: &str, check: Check<'_, '_>) -> Option<bool> {
    match &node.value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) if matches!(&**text, "true" | "false") => {
            wrong(node, what, "true or false", Some("write it without quotes"), check);
            None
        }
        _ => {
            wrong(node, what, "true or false", None, check);
            None
        }
    }
}

/// A whole number from `least` to `most`.
pub(crate) fn number(
    node: &Node,
    what: &str,
    (least, most): (i64, i64),
    check: Check<'_, '_>,
) -> Option<i64> {
    match &node.value {
        Value::Int(value) if (least..=most).contains(value) => Some(*value),
        _ => {
            wrong(node, what, &format!("a whole number from {least} to {most}"), None, check);
            None
        }
    }
}

/// A mapping.
pub(crate) fn mapping<'node>(node: &'node Node, what: &str, check: Check<'_, '_>) -> Option<&'node Map> {
    let map = node.as_map();
    if map.is_none() {
        wrong(node, what, "a mapping", None, check);
    }
    map
}

/// A list.
pub(crate) fn list<'node>(node: &'node Node, what: &str, check: Check<'_, '_>) -> Option<&'node [Rc<Node>]> {
    if let Value::List(items) = &node.value {
        return Some(items);
    }
    let help = matches!(node.value, Value::Text(_) | Value::Int(_)).then_some("put it in brackets: `[…]`");
    wrong(node, what, "a list", help, check);
    None
}

/// A list of strings, each with its place.
pub(crate) fn texts(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Vec<Placed<String>>> {
    let items = list(node, what, check)?;
    let item_of = format!("an item of `{what}`");
    let texts = items
        .iter()
        .filter_map(|item| text(item, &item_of, check).map(|value| Placed { value, span: item.span }))
        .collect();
    Some(texts)
}

/// A list of strings.
pub(crate) fn plain_texts(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Vec<String>> {
    texts(node, what, check).map(|texts| texts.into_iter().map(|text| text.value).collect())
}

/// A string, or a list of strings.
pub(crate) fn text_or_texts(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Vec<Placed<String>>> {
    match &node.value {
        Value::Text(text) => Some(vec![Placed { value: (**text).to_owned(), span: node.span }]),
        Value::List(_) => texts(node, what, check),
        _ => {
            wrong(node, what, "a string or a list of strings", None, check);
            None
        }
    }
}

/// One of several words.
pub(crate) fn choice<T: Copy>(
    node: &Node,
    what: &str,
    words: &[(&str, T)],
    check: Check<'_, '_>,
) -> Option<T> {
    let word = text(node, what, check)?;
    if let Some((_, value)) = words.iter().find(|(name, _)| *name == word) {
        return Some(*value);
    }
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let otherwise = format!("it is one of {}", names.join(", "));
    check.unknown(node.span, format!("unknown value `{word}` of `{what}`"), (&word, names), Some(otherwise));
    None
}

/// Exit codes: one number, or a list of them.
pub(crate) fn exit_codes(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Vec<i32>> {
    let code = |node: &Node| {
        number(node, what, (i64::from(i32::MIN), i64::from(i32::MAX)), check)
            .and_then(|code| i32::try_from(code).ok())
    };
    match &node.value {
        Value::List(items) => Some(items.iter().filter_map(|item| code(item)).collect()),
        Value::Int(_) => code(node).map(|code| vec![code]),
        _ => {
            wrong(node, what, "a number or a list of numbers", None, check);
            None
        }
    }
}
