//! What becomes of the keys of a job's caches: the same where they are granted and where they are used.

use crate::job::{CacheSpec, Variables};

/// The key of a cache that names none.
const DEFAULT: &str = "default";

/// The keys of a cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheKeys {
    /// The key, and then those to try where nothing is stored under it. Empty: there is no cache.
    pub keys: Vec<String>,
    /// What was changed or left out, a sentence each.
    pub warnings: Vec<String>,
}

impl CacheKeys {
    /// The keys of `spec` in a job with these variables. Those that only count for a restore are part of it, as they also
    /// say what a save may build upon.
    pub fn of(spec: &CacheSpec, variables: &Variables) -> Self {
        let mut all = Self::default();
        if !all.add(&spec.key, variables) {
            return all;
        }
        for key in spec.fallback_keys.iter().filter(|key| !variables.expand(key).is_empty()) {
            all.add(key, variables);
        }
        if let Some(key) = clean(&variables.value("CACHE_FALLBACK_KEY")) {
            // It would give the cache of protected refs to everybody.
            if is_protected(&key) {
                let text = format!("CACHE_FALLBACK_KEY is ignored: {key:?} ends with \"-protected\"");
                all.warnings.push(text);
            } else {
                all.keys.push(key);
            }
        }
        all
    }

    /// The key itself; `None` where nothing is left of it.
    pub fn key(&self) -> Option<&str> {
        self.keys.first().map(String::as_str)
    }

    /// The keys to try after it.
    pub fn fallbacks(&self) -> &[String] {
        self.keys.get(1..).unwrap_or_default()
    }

    fn add(&mut self, key: &str, variables: &Variables) -> bool {
        let expanded = if key.is_empty() { DEFAULT.to_owned() } else { variables.expand(key) };
        let Some(clean) = clean(&expanded) else {
            let text = format!("there is nothing left of the cache's key {key:?}, so it has no cache");
            self.warnings.push(text);
            return false;
        };
        if clean != expanded {
            self.warnings.push(format!("the cache's key {expanded:?} is used as {clean:?}"));
        }
        self.keys.push(clean);
        true
    }
}

/// The key that GitLab Runner makes of `key`, so that the same caches are found: `%2f`, `%2e` and backslashes stand
/// for `/`, `.` and `/`; `.` and `..` are resolved, and never lead above the top; space at the end is dropped. `None`
/// where nothing is left.
fn clean(key: &str) -> Option<String> {
    let mut plain = key.replace('\\', "/");
    for (code, letter) in [("%2f", "/"), ("%2F", "/"), ("%2e", "."), ("%2E", ".")] {
        plain = plain.replace(code, letter);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in plain.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    while let Some(last) = parts.pop() {
        let trimmed = last.trim_end();
        if !trimmed.is_empty() {
            parts.push(trimmed);
            return Some(parts.join("/"));
        }
    }
    None
}

/// Whether the name is that of a cache of protected refs.
fn is_protected(key: &str) -> bool {
    key.trim_end_matches(['.', ' ']).ends_with("-protected")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Variable;

    #[test]
    fn keys_become_what_gitlab_runner_makes_of_them() {
        let check =
            |key: &str, expected: Option<&str>| assert_eq!(clean(key).as_deref(), expected, "{key:?}");
        check("plain-key_1.2", Some("plain-key_1.2"));
        check("group/key", Some("group/key"));
        check("../../etc/passwd", Some("etc/passwd"));
        check("a/../b", Some("b"));
        check("%2e%2E%2fx", Some("x"));
        check(r"a\b", Some("a/b"));
        check("/a//b/", Some("a/b"));
        check("key \t", Some("key"));
        check("a/ ", Some("a"));
        check(" a", Some(" a"));
        for nothing in ["", ".", "..", "/", " ", "a/..", "%2e", " / "] {
            check(nothing, None);
        }
    }

    #[test]
    fn the_cache_of_protected_refs_is_known_by_its_name() {
        for key in ["main-protected", "x-protected. .", "-protected "] {
            assert!(is_protected(key), "{key}");
        }
        for key in ["protected", "main-non_protected", "main-protected-1"] {
            assert!(!is_protected(key), "{key}");
        }
    }

    fn of(key: &str, fallbacks: &[&str], common: &str) -> CacheKeys {
        let variables =
            Variables(vec![Variable::raw("REF", "main"), Variable::raw("CACHE_FALLBACK_KEY", common)]);
        let fallback_keys = fallbacks.iter().map(|key| (*key).to_owned()).collect();
        CacheKeys::of(&CacheSpec { key: key.into(), fallback_keys, ..CacheSpec::default() }, &variables)
    }

    #[test]
    fn the_key_comes_first_and_the_common_fallback_last() {
        assert_eq!(of("$REF", &["a/$REF", "$NOTHING"], "common").keys, ["main", "a/main", "common"]);
        assert_eq!(of("", &[], "").keys, ["default"]);
    }

    #[test]
    fn what_is_changed_or_left_out_is_said() {
        let keys = of("../$REF", &[".."], "main-protected");
        assert_eq!((keys.key(), keys.fallbacks()), (Some("main"), &[][..]));
        assert_eq!(keys.warnings.len(), 3, "{keys:?}");
        let none = of("$NOTHING", &["a"], "b");
        assert_eq!((none.key(), none.warnings.len()), (None, 1));
    }
}
