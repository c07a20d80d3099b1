//! Safe names of files from names that may be anything.

/// The longest name: short enough for sockets and first lines of scripts inside of it.
const LONGEST: usize = 48;

/// A file name for `name`: letters and digits of ASCII, `.`, `_` and `-`, neither empty nor hidden nor long.
///
/// A name that is already so stays as it is. Others get a checksum, so that two names that differ stay two.
pub fn clean_name(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-') {
            clean.push(letter);
        } else if !clean.ends_with('-') {
            clean.push('-');
        }
    }
    let clean = clean.trim_matches(['-', '.']);
    if clean == name && clean.len() <= LONGEST && !clean.is_empty() {
        return clean.to_owned();
    }
    let short: String = clean.chars().take(LONGEST).collect();
    let short = if short.is_empty() { "job" } else { short.trim_end_matches(['-', '.']) };
    format!("{short}-{:06x}", checksum(name) & 0x00ff_ffff)
}

/// The parts of `path`, each cleaned. There is at least one, and the first is none of `reserved`.
pub(super) fn clean_path(path: &str, reserved: &[&str]) -> Vec<String> {
    let mut parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(clean_name).collect();
    match parts.first_mut() {
        None => parts.push("project".into()),
        Some(first) if reserved.contains(&first.as_str()) => first.push_str("-project"),
        Some(_) => {}
    }
    parts
}

/// FNV-1a: short, and the same in every build, so that a name keeps its directory.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(name: &str, start: &str, is_changed: bool) {
        let clean = clean_name(name);
        assert!(clean.starts_with(start), "{name} became {clean}");
        assert_eq!(clean != name, is_changed, "{name} became {clean}");
    }

    #[test]
    fn names_stay_readable() {
        check("build", "build", false);
        check("go-1.22_x", "go-1.22_x", false);
        check("test: [linux, amd64]", "test-linux-amd64-", true);
        check("übersetze alles", "bersetze-alles-", true);
        check("", "job-", true);
        check("..", "job-", true);
        check("-rf", "rf-", true);
        check(".hidden", "hidden-", true);
        check("a/../../b", "a-..-..-b-", true);
        check("日本", "job-", true);
        check(&"x".repeat(300), &"x".repeat(48), true);
        assert_ne!(clean_name("a b"), clean_name("a/b"));
    }

    #[test]
    fn a_project_path_stays_below() {
        assert_eq!(clean_path("group/project", &["tmp"]), ["group", "project"]);
        assert_eq!(clean_path("/tmp//x/", &["home", "tmp"]), ["tmp-project", "x"]);
        assert_eq!(clean_path("", &["tmp"]), ["project"]);
        assert!(!clean_path("../../etc", &["tmp"]).contains(&"..".to_owned()));
    }

    proptest! {
        #[test]
        fn any_name_becomes_a_safe_one(name in "\\PC*") {
            let clean = clean_name(&name);
            prop_assert!(!clean.is_empty() && clean.len() <= LONGEST + 7);
            prop_assert!(!clean.starts_with(['.', '-']));
            prop_assert!(clean.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter)));
        }
    }
}
