//! What becomes of a cache's key.

/// The key of a cache that names none.
pub(super) const DEFAULT: &str = "default";

/// The key that GitLab Runner makes of `key`, so that the same caches are found: `%2f`, `%2e` and backslashes stand
/// for `/`, `.` and `/`; `.` and `..` are resolved, and never lead above the top; space at the end is dropped. `None`
/// where nothing is left.
pub(super) fn clean(key: &str) -> Option<String> {
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
pub(super) fn is_protected(key: &str) -> bool {
    key.trim_end_matches(['.', ' ']).ends_with("-protected")
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
