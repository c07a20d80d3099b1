//! `script`, `before_script`, `after_script` and hooks: commands.

use runner_core::job::{Hook, HookName};

use super::{Check, keyword, value};
use crate::yaml::{Node, Value};

/// How deep lists may be nested; GitLab's limit.
const MOST_NESTED: usize = 10;

/// The commands: a string, or a list of strings and of further lists.
pub(crate) fn read(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Vec<String>> {
    let mut commands = Vec::new();
    match &node.value {
        Value::Text(text) => commands.push((**text).to_owned()),
        Value::List(_) => flatten(node, what, 0, &mut commands, check),
        _ => {
            value::wrong(node, what, "a string or a list of strings", colon(node), check);
            return None;
        }
    }
    Some(commands)
}

/// Whether there is no command at all.
pub(crate) fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => text.trim().is_empty(),
        Value::List(items) => items.iter().all(|item| is_empty(item)),
        _ => false,
    }
}

/// `hooks`.
pub(crate) fn hooks(node: &Node, check: Check<'_, '_>) -> Option<Vec<Hook>> {
    let map = value::mapping(node, "hooks", check)?;
    keyword::known(map, "hooks", &["pre_get_sources_script"], &[], check);
    let node = map.value("pre_get_sources_script")?;
    let script = read(node, "hooks:pre_get_sources_script", check)?;
    Some(vec![Hook { name: HookName::PreGetSourcesScript, script }])
}

fn flatten(node: &Node, what: &str, level: usize, commands: &mut Vec<String>, check: Check<'_, '_>) {
    let Value::List(items) = &node.value else { return };
    if level > MOST_NESTED {
        check.error(node.span, format!("lists in `{what}` are nested more than {MOST_NESTED} times"));
        return;
    }
    for item in items {
        match &item.value {
            Value::Text(text) => commands.push((**text).to_owned()),
            Value::List(_) => flatten(item, what, level + 1, commands, check),
            _ => {
                let what = format!("a command of `{what}`");
                value::wrong(item, &what, "a string", Some(colon(item).unwrap_or("put it in quotes")), check);
            }
        }
    }
}

/// The usual reason why a command is a mapping.
fn colon(node: &Node) -> Option<&'static str> {
    node.as_map().map(|_| "a colon and a space make a mapping of it: put the whole command in quotes")
}
