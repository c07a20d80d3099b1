//! Rules for the crates: which may see which, and what their manifests say.

use crate::{
    manifest::{Dependency, Need},
    offence::Offence,
    tree::{File, Member},
};

/// What a crate may depend on within the workspace: for its product, and for its tests besides that.
struct Arrows {
    name: &'static str,
    product: &'static [&'static str],
    tests: &'static [&'static str],
}

/// Adapters never see each other, and the core sees nobody.
const ARROWS: [Arrows; 9] = [
    Arrows { name: "runner-core", product: &[], tests: &[] },
    Arrows { name: "runner-cache", product: &["runner-core"], tests: &["runner-testkit"] },
    Arrows { name: "runner-gitlab", product: &["runner-core"], tests: &["runner-testkit"] },
    Arrows { name: "runner-k8s", product: &["runner-core"], tests: &["runner-testkit"] },
    Arrows { name: "runner-pipeline", product: &["runner-core"], tests: &["runner-testkit"] },
    Arrows {
        name: "runner-agent",
        product: &["runner-core", "runner-cache", "runner-gitlab"],
        tests: &["runner-testkit"],
    },
    Arrows { name: "runner-config", product: &["runner-core", "runner-k8s"], tests: &["runner-testkit"] },
    Arrows {
        name: "runner-bin",
        product: &[
            "runner-core",
            "runner-config",
            "runner-agent",
            "runner-cache",
            "runner-gitlab",
            "runner-k8s",
            "runner-pipeline",
        ],
        tests: &["runner-testkit"],
    },
    Arrows { name: "runner-testkit", product: &["runner-core"], tests: &[] },
];

/// Packages that nobody depends on and that may depend on anything.
const LEAVES: [&str; 3] = ["benches", "e2e", "examples"];

/// Dependencies that the drawing of the crates does not have.
pub(crate) fn against_the_arrows(members: &[Member]) -> Vec<Offence> {
    members.iter().flat_map(|member| wrong_arrows(member, members)).collect()
}

fn wrong_arrows(member: &Member, members: &[Member]) -> Vec<Offence> {
    if LEAVES.contains(&member.name.as_str()) {
        return Vec::new();
    }
    let path = &member.manifest.path;
    let Some(arrows) = ARROWS.iter().find(|arrows| arrows.name == member.name) else {
        let advice = "a new crate: draw it in ARCHITECTURE.md and give it its arrows in this test";
        return vec![Offence::at(path, 1, advice)];
    };
    let is_sibling = |found: &Dependency| members.iter().any(|other| other.name == found.name);
    let is_allowed = |found: &Dependency| {
        let allowed = arrows.product.contains(&found.name.as_str());
        allowed || (found.need == Need::Tests && arrows.tests.contains(&found.name.as_str()))
    };
    let offence = |found: Dependency| {
        let advice = format!("`{}` must not depend on `{}`", member.name, found.name);
        Offence::at(
            path,
            found.line,
            format!("{advice}: meet in a trait of runner-core, and wire in runner-bin"),
        )
    };
    let dependencies = member.manifest.dependencies().into_iter();
    dependencies.filter(is_sibling).filter(|found| !is_allowed(found)).map(offence).collect()
}

/// Crates whose code is not held to the lints of the workspace. The examples are: they are programs of somebody else.
pub(crate) fn without_lints(members: &[Member]) -> Vec<Offence> {
    let inherits = |member: &&Member| member.manifest.value("lints", "workspace") == Some("true");
    let faulty = members.iter().filter(|member| member.name != "examples").filter(|member| !inherits(member));
    faulty
        .map(|member| Offence::at(&member.manifest.path, 1, "add `[lints]` with `workspace = true`"))
        .collect()
}

/// Dependencies with a version, a path or a repository of their own.
pub(crate) fn with_own_versions(members: &[Member]) -> Vec<Offence> {
    let faults = |member: &Member| {
        let offence = |found: Dependency| {
            let advice = format!(
                "`{}` must say `workspace = true`: versions stand in the root Cargo.toml",
                found.name
            );
            Offence::at(&member.manifest.path, found.line, advice)
        };
        member.manifest.dependencies().into_iter().filter(has_own_version).map(offence).collect::<Vec<_>>()
    };
    members.iter().flat_map(faults).collect()
}

fn has_own_version(found: &Dependency) -> bool {
    let keys: Vec<_> = found
        .terms
        .split(['{', '}', ','])
        .filter_map(|term| term.split_once('='))
        .map(|(key, _)| key.trim())
        .collect();
    // `features = [...]` in a table of its own inherits nothing by itself, but the key beside it does.
    let is_addition = matches!(keys.as_slice(), ["features" | "optional" | "default-features"]);
    let inherits = keys.contains(&"workspace");
    !is_addition && (!inherits || keys.iter().any(|key| ["version", "path", "git"].contains(key)))
}

/// Packages that could be published though nobody is to depend on them.
pub(crate) fn published_by_mistake(members: &[Member]) -> Vec<Offence> {
    let is_inner =
        |member: &&Member| LEAVES.contains(&member.name.as_str()) || member.name == "runner-testkit";
    let faulty = members
        .iter()
        .filter(is_inner)
        .filter(|member| member.manifest.value("package", "publish") != Some("false"));
    faulty.map(|member| Offence::at(&member.manifest.path, 1, "add `publish = false`")).collect()
}

/// Lines of a lock file that name another source than the public registry.
pub(crate) fn other_registry(file: &File) -> Vec<Offence> {
    if file.name() != "Cargo.lock" {
        return Vec::new();
    }
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let faulty = |(index, line): (usize, &str)| {
        let advice = "every dependency comes from crates.io: write the lock file without a mirror";
        (line.starts_with("source = ") && line != public).then(|| Offence::at(&file.path, index + 1, advice))
    };
    file.text.lines().enumerate().filter_map(faulty).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    fn members(samples: &[(&str, &str)]) -> Vec<Member> {
        let member = |(name, text): &(&str, &str)| Member {
            name: (*name).into(),
            manifest: Manifest::parse(&format!("{name}/Cargo.toml"), text),
        };
        samples.iter().map(member).collect()
    }

    fn shown(offences: &[Offence]) -> String {
        offences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn arrows_that_are_not_drawn_are_found() {
        let rest = [("runner-core", ""), ("runner-testkit", ""), ("runner-pipeline", "")];
        for (name, text) in [
            ("runner-cache", "[dependencies]\nrunner-pipeline.workspace = true"),
            ("runner-cache", "[dependencies]\nrunner-testkit.workspace = true"),
            ("runner-agent", "[dependencies]\nrunner-pipeline = { workspace = true }"),
            ("runner-agent", "[build-dependencies]\nrunner-testkit = { workspace = true }"),
            ("runner-agent", "[dependencies.runner-pipeline]\nworkspace = true"),
            ("runner-gitlab", "[target.'cfg(unix)'.dependencies]\nrunner-pipeline.workspace = true"),
        ] {
            let all = members(&[&rest[..], &[(name, text)]].concat());
            assert!(
                shown(&against_the_arrows(&all)).starts_with(&format!("{name}/Cargo.toml:2: ")),
                "{text}"
            );
        }
    }

    #[test]
    fn the_core_does_not_even_test_with_a_sibling() {
        let all = members(&[
            ("runner-testkit", ""),
            ("runner-core", "[dev-dependencies]\nrunner-testkit.workspace = true"),
        ]);
        assert_eq!(against_the_arrows(&all).len(), 1);
    }

    #[test]
    fn a_crate_without_arrows_is_found() {
        let all = members(&[("runner-new", "")]);
        assert!(shown(&against_the_arrows(&all)).contains("give it its arrows"));
    }

    #[test]
    fn arrows_that_are_drawn_are_fine() {
        let all = members(&[
            ("runner-core", "[dependencies]\nserde.workspace = true"),
            ("runner-cache", "[dependencies]\nrunner-core.workspace = true"),
            (
                "runner-agent",
                "[dependencies]\nrunner-cache.workspace = true\n[dev-dependencies]\nrunner-testkit.workspace = true",
            ),
            ("runner-testkit", "[dependencies]\nrunner-core.workspace = true"),
            ("examples", "[dependencies]\nrunner-testkit.workspace = true"),
        ]);
        assert_eq!(shown(&against_the_arrows(&all)), "");
    }

    #[test]
    fn a_crate_without_lints_is_found() {
        let all = members(&[("a", "[lints]\nworkspace = true"), ("b", "[package]"), ("examples", "")]);
        assert!(shown(&without_lints(&all)).starts_with("b/Cargo.toml:1: "));
        assert_eq!(without_lints(&all).len(), 1);
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        for terms in [
            "a = \"1\"",
            "a = { version = \"1\" }",
            "a = { path = \"../a\" }",
            "a.version = \"1\"",
            "a = { git = \"x\", features = [\"workspace\"] }",
        ] {
            let all = members(&[("runner-core", &format!("[dependencies]\n{terms}"))]);
            assert!(shown(&with_own_versions(&all)).starts_with("runner-core/Cargo.toml:2: `a`"), "{terms}");
        }
        let fine = "[dependencies]\na.workspace = true\nb = { workspace = true, features = [\"x\", \"y\"] }\n\
            [dependencies.c]\nworkspace = true\nfeatures = [\"x\"]";
        assert_eq!(shown(&with_own_versions(&members(&[("runner-core", fine)]))), "");
    }

    #[test]
    fn a_package_for_nobody_must_not_be_publishable() {
        let all = members(&[("examples", "[package]"), ("benches", "[package]\npublish = false")]);
        assert_eq!(shown(&published_by_mistake(&all)), "examples/Cargo.toml:1: add `publish = false`");
    }

    #[test]
    fn another_registry_is_found() {
        let text = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"registry+http://mirror/\"\n";
        let file = File { path: "Cargo.lock".into(), text: text.into() };
        assert!(shown(&other_registry(&file)).starts_with("Cargo.lock:2: "));
    }
}
