//! Keys of mappings: those that are there twice, and `<<`, which merges.

use std::{collections::HashMap, rc::Rc};

use super::{Map, Node, Span, Style, Value};
use crate::diagnostic::Mistakes;

/// A key of a mapping, before its value is known.
pub(super) struct Key {
    pub(super) text: Rc<str>,
    pub(super) span: Span,
    pub(super) kind: KeyKind,
}

/// What becomes of a key's value.
#[derive(PartialEq, Eq)]
pub(super) enum KeyKind {
    /// It is an entry.
    Plain,
    /// Its entries are merged into the mapping.
    Merge,
    /// It was reported, and is left out together with its value.
    Broken,
}

/// Reads a key; `own` are those that the mapping has already.
pub(super) fn key_of(
    node: &Node,
    span: Span,
    own: &mut HashMap<Rc<str>, Span>,
    mistakes: &Mistakes<'_>,
) -> Key {
    let text: Rc<str> = match &node.value {
        Value::Text(text) => Rc::clone(text),
        Value::List(_) | Value::Map(_) => {
            let message = format!("a key must be a string, but is {}", node.kind());
            mistakes.error_with_help(span, message, "put it in quotes if it is meant as a text");
            return Key { text: Rc::default(), span, kind: KeyKind::Broken };
        }
        Value::Broken => return Key { text: Rc::default(), span, kind: KeyKind::Broken },
        // `3.10`, `on` and the like are names here, as they are written.
        _ => mistakes.source().text(node.span).into(),
    };
    if &*text == "<<" && matches!(node.style, Style::Plain) {
        return Key { text, span, kind: KeyKind::Merge };
    }
    if let Some(first) = own.insert(Rc::clone(&text), span) {
        let message = format!("`{text}` is there twice");
        let help = format!("the other one is in line {}, column {}", first.line, first.column);
        mistakes.error_with_help(span, message, help);
    }
    Key { text, span, kind: KeyKind::Plain }
}

/// Merges what `<<` names into a mapping: over the keys before it, and under those after it, as Ruby does. Of several
/// mappings the first counts most. Returns how many entries that were.
pub(super) fn merge(map: &mut Map, node: &Node, key: Span, mistakes: &Mistakes<'_>) -> usize {
    match &node.value {
        Value::Map(other) => {
            other.iter().for_each(|entry| map.set(entry.clone()));
            other.len()
        }
        Value::List(items) => items
            .iter()
            .rev()
            .map(|item| match &item.value {
                Value::List(_) => {
                    merge_mistake(item, key, mistakes);
                    1
                }
                _ => merge(map, item, key, mistakes),
            })
            .sum(),
        Value::Broken => 1,
        _ => {
            merge_mistake(node, key, mistakes);
            1
        }
    }
}

fn merge_mistake(node: &Node, key: Span, mistakes: &Mistakes<'_>) {
    let message = format!("`<<` must name mappings, but this is {}", node.kind());
    mistakes.error_with_help(key, message, "write `<<: *name` with the name of a mapping that has `&name`");
}
