use std::collections::BTreeSet;

use super::*;

#[test]
fn there_are_as_many_flags_as_gitlab_runner_has_and_none_twice() {
    let names: BTreeSet<_> = FLAGS.iter().map(|flag| flag.name).collect();
    assert_eq!((FLAGS.len(), names.len()), (52, 52));
    assert_eq!(FLAGS.iter().filter(|flag| flag.default).count(), 12);
}

#[test]
fn every_key_is_described_and_says_why_it_does_not_work() {
    for section in sections() {
        let names: BTreeSet<_> = section.keys.iter().map(|key| key.name.to_ascii_lowercase()).collect();
        assert_eq!(names.len(), section.keys.len(), "{}", section.header);
        for key in &section.keys {
            let about = key.about.join(" ");
            assert!(about.trim().ends_with(['.', ':', ';']), "{} {}: {about}", section.header, key.name);
            let (works, silent) = (key.class == KeyClass::Works, key.why.is_none());
            assert_eq!(works, silent, "{} {}", section.header, key.name);
        }
    }
}

#[test]
fn sections_within_sections_are_keys_of_them() {
    let all = sections();
    for section in all.iter().filter(|section| !section.path.is_empty()) {
        let (outer, name) = section.path.rsplit_once('.').unwrap_or(("", section.path));
        let outer = all.iter().find(|other| other.path == outer).unwrap();
        assert!(outer.keys.iter().any(|key| key.name == name), "{}", section.path);
    }
}
