//! `inherit`: what a job takes over from the file.

use std::collections::HashSet;

use super::{Check, keyword, value};
use crate::yaml::{Node, Value};

/// What of something is taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Inherit {
    /// All.
    #[default]
    All,
    /// Nothing.
    None,
    /// These alone.
    Only(HashSet<String>),
}

impl Inherit {
    /// Whether `key` is taken over.
    pub(crate) fn takes(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(keys) => keys.contains(key),
        }
    }
}

/// `inherit:default` and `inherit:variables`.
pub(crate) fn read(node: &Node, check: Check<'_, '_>) -> Option<(Inherit, Inherit)> {
    let map = value::mapping(node, "inherit", check)?;
    keyword::known(map, "inherit", &["default", "variables"], &[], check);
    let default = map.value("default").and_then(|node| one(node, "inherit:default", check));
    if let (Some(node), Some(Inherit::Only(_))) = (map.value("default"), &default) {
        for name in value::texts(node, "inherit:default", check).unwrap_or_default() {
            if !keyword::DEFAULT.contains(&name.value.as_str()) {
                let message = format!("unknown keyword `{}` in `inherit:default`", name.value);
                check.unknown(name.span, message, (&name.value, keyword::DEFAULT.iter().copied()), None);
            }
        }
    }
    let variables = map.value("variables").and_then(|node| one(node, "inherit:variables", check));
    Some((default.unwrap_or_default(), variables.unwrap_or_default()))
}

fn one(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Inherit> {
    match &node.value {
        Value::Bool(true) => Some(Inherit::All),
        Value::Bool(false) => Some(Inherit::None),
        Value::List(_) => {
            value::plain_texts(node, what, check).map(|keys| Inherit::Only(keys.into_iter().collect()))
        }
        _ => {
            value::wrong(node, what, "true, false or a list of names", None, check);
            None
        }
    }
}
