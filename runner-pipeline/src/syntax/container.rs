//! `image` and `services`.

use runner_core::job::{Image, PullPolicy, Service};

use super::{
    Check, keyword, script, value,
    variables::{self, Owner},
};
use crate::yaml::{Map, Node, Value};

const IMAGE: &[&str] = &["name", "entrypoint", "pull_policy", "docker", "kubernetes"];
const SERVICE: &[&str] =
    &["name", "alias", "entrypoint", "command", "variables", "pull_policy", "docker", "kubernetes"];

/// `image`.
pub(crate) fn image(node: &Node, check: Check<'_, '_>) -> Option<Image> {
    match &node.value {
        Value::Map(map) => {
            keyword::known(map, "image", IMAGE, &["ports"], check);
            described(node, map, "image", check)
        }
        _ => value::filled_text(node, "image", check).map(|name| Image { name, ..Image::default() }),
    }
}

/// `services`.
pub(crate) fn services(node: &Node, check: Check<'_, '_>) -> Option<Vec<Service>> {
    let items = value::list(node, "services", check)?;
    Some(items.iter().filter_map(|item| service(item, check)).collect())
}

fn service(node: &Node, check: Check<'_, '_>) -> Option<Service> {
    let Value::Map(map) = &node.value else {
        let name = value::filled_text(node, "an item of `services`", check)?;
        return Some(Service { image: Image { name, ..Image::default() }, ..Service::default() });
    };
    keyword::known(map, "services", SERVICE, &["ports"], check);
    let image = described(node, map, "services", check);
    let aliases = map
        .value("alias")
        .and_then(|node| value::text(node, "services:alias", check))
        .map(|alias| alias.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect())
        .unwrap_or_default();
    let command = map.value("command").and_then(|node| words(node, "services:command", check));
    let variables = map
        .value("variables")
        .and_then(|node| variables::read(node, "services:variables", Owner::Other, check))
        .unwrap_or_default();
    Some(Service { image: image?, aliases, command, variables })
}

/// What images and services have in common.
fn described(node: &Node, map: &Map, what: &str, check: Check<'_, '_>) -> Option<Image> {
    let entrypoint =
        map.value("entrypoint").and_then(|node| words(node, &format!("{what}:entrypoint"), check));
    let pull_policies = map
        .value("pull_policy")
        .and_then(|node| pull_policies(node, &format!("{what}:pull_policy"), check))
        .unwrap_or_default();
    let (mut user, mut platform) = (None, None);
    if let Some(docker) =
        map.value("docker").and_then(|node| value::mapping(node, &format!("{what}:docker"), check))
    {
        keyword::known(docker, &format!("{what}:docker"), &["platform", "user"], &[], check);
        platform = docker
            .value("platform")
            .and_then(|node| value::text(node, &format!("{what}:docker:platform"), check));
        user = docker.value("user").and_then(|node| user_of(node, &format!("{what}:docker:user"), check));
    }
    if let Some(kubernetes) =
        map.value("kubernetes").and_then(|node| value::mapping(node, &format!("{what}:kubernetes"), check))
    {
        keyword::known(kubernetes, &format!("{what}:kubernetes"), &["user"], &[], check);
        let kubernetes_user = kubernetes
            .value("user")
            .and_then(|node| user_of(node, &format!("{what}:kubernetes:user"), check));
        user = kubernetes_user.or(user);
    }
    let Some(name) = map.value("name") else {
        let help = format!("add `name:` to `{what}`");
        check.error_with_help(node.span, format!("`{what}` has no `name`"), help);
        return None;
    };
    let name = value::filled_text(name, &format!("{what}:name"), check)?;
    Some(Image { name, entrypoint, pull_policies, user, platform })
}

/// A list of strings; a single string is one word.
fn words(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Vec<String>> {
    match &node.value {
        Value::List(_) | Value::Text(_) => script::read(node, what, check),
        _ => {
            value::wrong(node, what, "a list of strings", None, check);
            None
        }
    }
}

/// A name, or the number of a user.
fn user_of(node: &Node, what: &str, check: Check<'_, '_>) -> Option<String> {
    match &node.value {
        Value::Int(_) => Some(node.to_string()),
        _ => value::text(node, what, check),
    }
}

fn pull_policies(node: &Node, what: &str, check: Check<'_, '_>) -> Option<Vec<PullPolicy>> {
    let words = [
        ("always", PullPolicy::Always),
        ("if-not-present", PullPolicy::IfNotPresent),
        ("never", PullPolicy::Never),
    ];
    match &node.value {
        Value::List(items) => {
            Some(items.iter().filter_map(|item| value::choice(item, what, &words, check)).collect())
        }
        _ => value::choice(node, what, &words, check).map(|policy| vec![policy]),
    }
}
