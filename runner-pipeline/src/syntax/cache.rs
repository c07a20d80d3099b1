//! `cache`.

use runner_core::job::{CachePolicy, CacheSpec};

use super::{Check, Placed, artifacts, keyword, value};
use crate::yaml::{Map, Node, Span, Value};

const KEYS: &[&str] = &["key", "paths", "untracked", "policy", "when", "fallback_keys", "unprotect"];

/// The most caches of a job; GitLab's limit.
const MOST_CACHES: usize = 4;

/// The most keys to fall back to; GitLab's limit.
const MOST_FALLBACK_KEYS: usize = 5;

const POLICIES: &[(&str, CachePolicy)] =
    &[("pull-push", CachePolicy::PullPush), ("pull", CachePolicy::Pull), ("push", CachePolicy::Push)];

/// One cache as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cache {
    /// All of it that is decided; the key is empty where it is made of files.
    pub(crate) spec: CacheSpec,
    /// The files that the key is made of.
    pub(crate) files: Option<KeyFiles>,
    /// A policy that is a variable.
    pub(crate) policy_variable: Option<Placed<String>>,
}

/// A key that is made of the contents of files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyFiles {
    /// The files.
    pub(crate) files: Vec<String>,
    /// What the key begins with.
    pub(crate) prefix: Option<String>,
    /// Where they are written.
    pub(crate) span: Span,
}

/// The caches: one, or a list of them.
pub(crate) fn read(node: &Node, check: Check<'_, '_>) -> Option<Vec<Cache>> {
    match &node.value {
        Value::List(items) => {
            if items.len() > MOST_CACHES {
                check.error(
                    node.span,
                    format!("`cache` has {} items; the limit is {MOST_CACHES}", items.len()),
                );
            }
            Some(items.iter().filter_map(|item| cache(item, check)).collect())
        }
        Value::Map(map) if map.len() == 0 => Some(Vec::new()),
        Value::Map(_) => cache(node, check).map(|cache| vec![cache]),
        _ => {
            value::wrong(node, "cache", "a mapping or a list of mappings", None, check);
            None
        }
    }
}

/// The policy that a word names.
pub(crate) fn policy_of(word: &str) -> Option<CachePolicy> {
    POLICIES.iter().find(|(name, _)| *name == word).map(|(_, policy)| *policy)
}

fn cache(node: &Node, check: Check<'_, '_>) -> Option<Cache> {
    let map = value::mapping(node, "cache", check)?;
    keyword::known(map, "cache", KEYS, &[], check);
    let (key, files) = match map.value("key") {
        Some(node) => key(node, check)?,
        None => ("default".to_owned(), None),
    };
    let flag =
        |key: &str| map.value(key).and_then(|node| value::boolean(node, &format!("cache:{key}"), check));
    flag("unprotect");
    let (policy, policy_variable) = policy(map, check);
    let spec = CacheSpec {
        key,
        fallback_keys: fallback_keys(map, check),
        paths: map
            .value("paths")
            .and_then(|node| value::plain_texts(node, "cache:paths", check))
            .unwrap_or_default(),
        untracked: flag("untracked").unwrap_or_default(),
        policy,
        when: map
            .value("when")
            .and_then(|node| value::choice(node, "cache:when", artifacts::WHEN, check))
            .unwrap_or_default(),
    };
    Some(Cache { spec, files, policy_variable })
}

fn policy(map: &Map, check: Check<'_, '_>) -> (CachePolicy, Option<Placed<String>>) {
    let Some(node) = map.value("policy") else { return (CachePolicy::default(), None) };
    match &node.value {
        Value::Text(text) if text.starts_with('$') => {
            (CachePolicy::default(), Some(Placed { value: (**text).to_owned(), span: node.span }))
        }
        _ => (value::choice(node, "cache:policy", POLICIES, check).unwrap_or_default(), None),
    }
}

fn fallback_keys(map: &Map, check: Check<'_, '_>) -> Vec<String> {
    let Some(node) = map.value("fallback_keys") else { return Vec::new() };
    let keys = value::texts(node, "cache:fallback_keys", check).unwrap_or_default();
    if keys.len() > MOST_FALLBACK_KEYS {
        let message =
            format!("`cache:fallback_keys` has {} items; the limit is {MOST_FALLBACK_KEYS}", keys.len());
        check.error(node.span, message);
    }
    keys.into_iter().map(|key| key.value).collect()
}

fn key(node: &Node, check: Check<'_, '_>) -> Option<(String, Option<KeyFiles>)> {
    if let Value::Map(map) = &node.value {
        return key_files(node, map, check).map(|files| (String::new(), Some(files)));
    }
    let key = value::filled_text(node, "cache:key", check)?;
    is_key(&key, node.span, "cache:key", check).then_some((key, None))
}

fn key_files(node: &Node, map: &Map, check: Check<'_, '_>) -> Option<KeyFiles> {
    keyword::known(map, "cache:key", &["files", "prefix"], &["files_commits"], check);
    let prefix = map.value("prefix").and_then(|node| {
        let prefix = value::text(node, "cache:key:prefix", check)?;
        is_key(&prefix, node.span, "cache:key:prefix", check).then_some(prefix)
    });
    let Some(files) = map.value("files") else {
        if map.get("files_commits").is_none() {
            check.error_with_help(node.span, "`cache:key` has no `files`", "list up to two files in `files`");
        }
        return None;
    };
    let list = value::plain_texts(files, "cache:key:files", check)?;
    if list.is_empty() || list.len() > 2 {
        check.error(
            files.span,
            format!("`cache:key:files` must have one or two items, but has {}", list.len()),
        );
        return None;
    }
    Some(KeyFiles { files: list, prefix, span: files.span })
}

/// A key names a place in a store, so that some letters would lead elsewhere.
fn is_key(key: &str, span: Span, what: &str, check: Check<'_, '_>) -> bool {
    let fits = !key.contains('/') && !key.to_ascii_lowercase().contains("%2f") && !matches!(key, "." | "..");
    if !fits {
        let help = "use `-` instead, or `$CI_COMMIT_REF_SLUG` for the name of a branch";
        check.error_with_help(span, format!("`{what}` must not hold a `/`, or be `.` or `..`"), help);
    }
    fits
}
