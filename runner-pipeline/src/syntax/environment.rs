//! `environment`, of which only the variables matter here: there is no page that shows it.

use super::{Check, Placed, duration, keyword, value};
use crate::yaml::{Node, Value};

const KEYS: &[&str] = &["name", "url", "on_stop", "action", "auto_stop_in", "kubernetes", "deployment_tier"];

const ACTIONS: &[(&str, &str)] = &[
    ("start", "start"),
    ("stop", "stop"),
    ("prepare", "prepare"),
    ("verify", "verify"),
    ("access", "access"),
];

const TIERS: &[(&str, &str)] = &[
    ("production", "production"),
    ("staging", "staging"),
    ("testing", "testing"),
    ("development", "development"),
    ("other", "other"),
];

/// Where a job deploys to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Environment {
    /// Its name, before variable expansion.
    pub(crate) name: String,
    /// Its address, before variable expansion.
    pub(crate) url: Option<String>,
    /// What the job does to it.
    pub(crate) action: &'static str,
    /// What it is for.
    pub(crate) tier: Option<&'static str>,
    /// The job that stops it.
    pub(crate) on_stop: Option<Placed<String>>,
}

/// `environment`.
pub(crate) fn read(node: &Node, check: Check<'_, '_>) -> Option<Environment> {
    let Value::Map(map) = &node.value else {
        let name = value::filled_text(node, "environment", check)?;
        return Some(Environment { name, url: None, action: "start", tier: None, on_stop: None });
    };
    keyword::known(map, "environment", KEYS, &[], check);
    let text = |key: &str| {
        map.value(key).and_then(|node| {
            let value = value::filled_text(node, &format!("environment:{key}"), check)?;
            Some(Placed { value, span: node.span })
        })
    };
    if let Some(node) = map.value("auto_stop_in")
        && !matches!(&node.value, Value::Text(text) if text.starts_with('$'))
    {
        duration::read_or_never(node, "environment:auto_stop_in", check);
    }
    if let Some(node) = map.value("kubernetes") {
        value::mapping(node, "environment:kubernetes", check);
    }
    let url = text("url").map(|url| url.value);
    let on_stop = text("on_stop");
    let action = map
        .value("action")
        .and_then(|node| value::choice(node, "environment:action", ACTIONS, check))
        .unwrap_or("start");
    let tier = map
        .value("deployment_tier")
        .and_then(|node| value::choice(node, "environment:deployment_tier", TIERS, check));
    if map.value("name").is_none() {
        check.error_with_help(node.span, "`environment` has no `name`", "add `name:` to `environment`");
    }
    Some(Environment { name: text("name")?.value, url, action, tier, on_stop })
}
