//! File names made of any text: readable, safe, and never the same for two texts.

use runner_core::{CacheScope, Error, ErrorKind, Result};

/// The longest readable part of a name, in bytes.
const READABLE: usize = 60;

/// A file name for `text`: what of it is harmless, and a digest. Two texts never get the same name, and no name
/// leaves its folder, is hidden, or is longer than 100 bytes.
pub fn unique(text: &str) -> String {
    let digest = blake3::hash(text.as_bytes()).to_hex();
    let short: String = digest.chars().take(32).collect();
    match readable(text) {
        slug if slug.is_empty() => short,
        slug => format!("{slug}-{short}"),
    }
}

/// A folder name for people: `text` itself where it is harmless, else what of it is, and a short digest.
pub fn folder(text: &str) -> String {
    let slug = readable(text);
    if slug == text && !slug.is_empty() {
        return slug;
    }
    let digest = blake3::hash(text.as_bytes()).to_hex();
    let short: String = digest.chars().take(8).collect();
    if slug.is_empty() { short } else { format!("{slug}-{short}") }
}

/// The name of a scope's folder.
pub fn of_scope(scope: &CacheScope) -> String {
    let CacheScope { runner, project, protected } = scope;
    // Zero bytes are in neither name, so two scopes never become the same text.
    unique(&format!("{runner}\0{project}\0{}", if *protected { "protected" } else { "open" }))
}

/// The id of a write: 32 random digits of base 16, so that no two writes have the same one.
///
/// # Errors
/// [`ErrorKind::Internal`] where the system has no random numbers.
pub fn write_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|cause| {
        Error::new(ErrorKind::Internal, "draw a random number").because(cause.to_string())
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// What of `text` is harmless in a file name; all else becomes single dashes.
fn readable(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() || (matches!(letter, '.' | '_') && !slug.is_empty()) {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= READABLE {
            break;
        }
    }
    slug.truncate(slug.trim_end_matches(['-', '.']).len());
    slug
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_stay_readable() {
        assert_eq!(folder("unit-test"), "unit-test");
        assert_eq!(folder("python_3.12"), "python_3.12");
        assert!(folder("test: [3.12, linux]").starts_with("test-3.12-linux-"));
        assert!(unique("go-modules-main").starts_with("go-modules-main-"));
    }

    #[test]
    fn names_that_would_clash_differ() {
        let texts =
            ["a/b", "a-b", "a b", "a_b", "a//b", "a/b ", "", ".", "..", "../a", "/a", "a", "A", ".a", "ä"];
        let names: HashSet<_> = texts.iter().map(|text| unique(text)).collect();
        assert_eq!(names.len(), texts.len());
        let folders: HashSet<_> = texts.iter().map(|text| folder(text)).collect();
        assert_eq!(folders.len(), texts.len());
    }

    proptest! {
        #[test]
        fn a_name_is_one_plain_component(text in ".*") {
            for name in [unique(&text), folder(&text)] {
                prop_assert!(!name.is_empty() && name.len() <= 100, "{}", name);
                prop_assert!(!name.starts_with(['.', '-']), "{}", name);
                prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{}", name);
            }
        }
    }
}
