//! The config that is shipped has the defaults of the program, and every key that works.

use std::collections::BTreeSet;

use runner_config::{Config, DEFAULT, Mistakes, Surroundings, parse, sections};
use runner_k8s::config::KeyClass;

fn resolved(text: &str) -> Result<Config, Mistakes> {
    let variables = ["A", "CI_SERVER_URL", "CI_SERVER_TOKEN", "RUNNER_EXECUTOR"];
    let values = ["", "https://gitlab.example.com", "glrt-x", "kubernetes"];
    let variables = variables.into_iter().zip(values).map(|(name, value)| (name.into(), value.into()));
    parse("c", text).resolve(&Surroundings::new(variables))
}

/// The text with what stands behind a hash sign and is no remark.
fn with_examples() -> String {
    let line = |line: &str| match line.trim_start().strip_prefix('#') {
        Some(example) if !example.starts_with(' ') => format!("{example}\n"),
        _ => format!("{line}\n"),
    };
    DEFAULT.lines().map(line).collect()
}

#[test]
fn the_config_that_is_shipped_means_what_an_empty_one_means() {
    assert_eq!(resolved(DEFAULT).unwrap(), resolved("[[runners]]\n").unwrap());
}

#[test]
fn it_has_every_key_that_works_but_those_of_pods_and_former_names() {
    let text = with_examples();
    let written: BTreeSet<_> =
        text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.trim()).collect();
    let left_out = ["token_obtained_at", "token_expires_at", "pre_clone_script", "post_clone_script"];
    // Sections without effect as a whole, and those that are tables of their own.
    let is_section = |path: &str, name: &str| {
        let path = format!("{path}.{name}");
        let names = ["labels", "runners", "kubernetes", "experimental", "feature_flags", "cache"];
        names.contains(&name) || sections().iter().any(|section| section.path == path.trim_start_matches('.'))
    };
    for section in sections() {
        let is_idle =
            ["experimental", "referees", "kubernetes"].iter().any(|part| section.path.contains(part));
        for key in section.keys.iter().filter(|key| !is_idle && key.class == KeyClass::Works) {
            let is_known = written.contains(key.name) || left_out.contains(&key.name);
            assert!(is_known || is_section(section.path, key.name), "{} of {}", key.name, section.header);
        }
    }
}

#[test]
fn its_examples_are_right() {
    let variables = ["RUNNER_TOKEN", "CACHE_S3_ACCESS_KEY", "CACHE_S3_SECRET_KEY", "CACHE_S3_SESSION_TOKEN"];
    let variables = variables.into_iter().map(|name| (name.to_owned(), "x".to_owned()));
    let config = parse("c", &with_examples()).resolve(&Surroundings::new(variables));
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.findings, []);
    assert_eq!(config.runners[0].name, "build-1");
}
