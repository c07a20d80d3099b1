//! `artifacts`.

use std::time::Duration;

use runner_core::job::{ArtifactFormat, ArtifactSpec, When};

use super::{Check, duration, keyword, reports, value};
use crate::yaml::{Entry, Node};

const KEYS: &[&str] = &[
    "name",
    "untracked",
    "paths",
    "exclude",
    "reports",
    "when",
    "expire_in",
    "expose_as",
    "public",
    "access",
];

/// The three words of `when` that artifacts and caches have.
pub(crate) const WHEN: &[(&str, When)] =
    &[("on_success", When::OnSuccess), ("on_failure", When::OnFailure), ("always", When::Always)];

/// What to keep: the archive, if there is one, and each report.
pub(crate) fn read(node: &Node, check: Check<'_, '_>) -> Option<Vec<ArtifactSpec>> {
    let map = value::mapping(node, "artifacts", check)?;
    keyword::known(map, "artifacts", KEYS, &[], check);
    let texts = |key: &str| {
        map.value(key).and_then(|node| value::plain_texts(node, &format!("artifacts:{key}"), check))
    };
    let expire_in =
        map.value("expire_in").and_then(|node| duration::read_or_never(node, "artifacts:expire_in", check));
    let flag =
        |key: &str| map.value(key).and_then(|node| value::boolean(node, &format!("artifacts:{key}"), check));
    let archive = ArtifactSpec {
        name: map.value("name").and_then(|node| value::text(node, "artifacts:name", check)),
        paths: texts("paths").unwrap_or_default(),
        exclude: texts("exclude").unwrap_or_default(),
        untracked: flag("untracked").unwrap_or_default(),
        when: map
            .value("when")
            .and_then(|node| value::choice(node, "artifacts:when", WHEN, check))
            .unwrap_or_default(),
        expire_in,
        ..ArtifactSpec::default()
    };
    without_effect_here(map, check);
    let mut artifacts = Vec::new();
    if archive.untracked || !archive.paths.is_empty() {
        artifacts.push(archive);
    }
    if let Some(reports) =
        map.value("reports").and_then(|node| value::mapping(node, "artifacts:reports", check))
    {
        artifacts.extend(reports.iter().filter_map(|entry| report(entry, expire_in, check)));
    }
    Some(artifacts)
}

/// What is about GitLab's pages alone is still checked.
fn without_effect_here(map: &crate::yaml::Map, check: Check<'_, '_>) {
    if let Some(node) = map.value("expose_as") {
        value::filled_text(node, "artifacts:expose_as", check);
    }
    if let Some(node) = map.value("public") {
        value::boolean(node, "artifacts:public", check);
    }
    if let Some(node) = map.value("access") {
        let words = [("all", ()), ("developer", ()), ("maintainer", ()), ("none", ())];
        value::choice(node, "artifacts:access", &words, check);
    }
    if let (Some(access), Some(_)) = (map.get("access"), map.value("public")) {
        check.error(
            access.key_span,
            "`artifacts` has both `access` and `public`: only one of them may be there",
        );
    }
}

fn report(entry: &Entry, expire_in: Option<Duration>, check: Check<'_, '_>) -> Option<ArtifactSpec> {
    if entry.value.is_null() {
        return None;
    }
    let key = &*entry.key;
    if key == "coverage_report" {
        return coverage_report(&entry.value, expire_in, check);
    }
    let Some((kind, name, format)) = reports::find(key) else {
        let message = format!("unknown report `{key}` of `artifacts:reports`");
        check.unknown(entry.key_span, message, (key, reports::names()), None);
        return None;
    };
    let paths = value::text_or_texts(&entry.value, &format!("artifacts:reports:{key}"), check)?;
    let paths = paths.into_iter().map(|path| path.value).collect();
    Some(spec((kind, name, *format), paths, expire_in))
}

fn coverage_report(node: &Node, expire_in: Option<Duration>, check: Check<'_, '_>) -> Option<ArtifactSpec> {
    let what = "artifacts:reports:coverage_report";
    let map = value::mapping(node, what, check)?;
    keyword::known(map, what, &["coverage_format", "path"], &[], check);
    let required = |key: &str| {
        let found = map.value(key);
        if found.is_none() {
            check.error(node.span, format!("`{what}` has no `{key}`"));
        }
        found
    };
    let words: Vec<(&str, (&str, &str))> = reports::COVERAGE.iter().map(|pair| (pair.0, *pair)).collect();
    let format = required("coverage_format")
        .and_then(|node| value::choice(node, &format!("{what}:coverage_format"), &words, check));
    let path = required("path").and_then(|node| value::filled_text(node, &format!("{what}:path"), check));
    let (kind, name) = format?;
    Some(spec((kind, name, ArtifactFormat::Gzip), vec![path?], expire_in))
}

fn spec(
    (kind, name, format): (&str, &str, ArtifactFormat),
    paths: Vec<String>,
    expire_in: Option<Duration>,
) -> ArtifactSpec {
    ArtifactSpec {
        name: Some(name.to_owned()),
        kind: kind.to_owned(),
        format,
        paths,
        when: When::Always,
        expire_in,
        ..ArtifactSpec::default()
    }
}
