//! Rules for documents: they name what exists, and nothing else.

use std::collections::BTreeSet;

use crate::{offence::Offence, tree::File, tree::Tree};

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Examples that the README does not name.
pub(crate) fn unnamed_examples(tree: &Tree) -> Vec<Offence> {
    let readme = tree.text("README.md");
    let examples: BTreeSet<_> = tree.files().iter().filter_map(example).collect();
    let unnamed = examples.into_iter().filter(|path| !names(readme, path));
    unnamed.map(|path| Offence::at("README.md", 1, format!("name the example `{path}`"))).collect()
}

/// The program in the README, unless it is the example that is run, letter by letter.
pub(crate) fn other_embedding(tree: &Tree) -> Option<Offence> {
    let program = tree.text("examples/embed.rs").lines().filter(|line| !line.starts_with("//!"));
    let program: Vec<_> = program.skip_while(|line| line.is_empty()).collect();
    let readme = tree.text("README.md").lines();
    let shown: Vec<_> =
        readme.skip_while(|line| *line != "```rust").skip(1).take_while(|line| *line != "```").collect();
    let advice = "the program in ```rust must be that of examples/embed.rs, letter by letter: copy it";
    (shown != program).then(|| Offence::at("README.md", 1, advice))
}

/// The example that a file is or belongs to: a program directly in `examples`, or a folder of `examples/pipelines`.
fn example(file: &File) -> Option<String> {
    let inner = file.path.strip_prefix("examples/")?;
    match inner.strip_prefix("pipelines/").and_then(|rest| rest.split_once('/')) {
        Some((folder, _)) => Some(format!("examples/pipelines/{folder}")),
        None => (!inner.contains('/') && file.extension() == Some("rs")).then(|| file.path.clone()),
    }
}

/// Whether a text has a name that does not go on behind it.
fn names(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(start, _)| {
        let after = text.split_at(start).1.strip_prefix(name).unwrap_or_default();
        !after.starts_with(|letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_')
    })
}

/// Crates that the architecture forgets, and names of crates in it that do not exist.
pub(crate) fn wrong_crates(tree: &Tree) -> Vec<Offence> {
    let members: Vec<_> = tree.members().into_iter().map(|member| member.name).collect();
    let text = tree.text(ARCHITECTURE);
    let missing = members.iter().filter(|name| !text.contains(&format!("`{name}`")));
    let mut offences: Vec<_> = missing
        .map(|name| Offence::at(ARCHITECTURE, 1, format!("say what the crate `{name}` holds")))
        .collect();
    for (index, line) in text.lines().enumerate() {
        for name in crate_names(line).filter(|name| !members.iter().any(|member| member == name)) {
            let advice = format!("there is no crate `{name}`");
            offences.push(Offence::at(ARCHITECTURE, index + 1, advice));
        }
    }
    offences
}

fn crate_names(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
        .filter(|word| word.starts_with("runner-"))
}

/// Decisions that the architecture does not list.
pub(crate) fn unlisted_decisions(tree: &Tree) -> Vec<Offence> {
    let text = tree.text(ARCHITECTURE);
    let decisions = tree.files().iter().filter(|file| file.is_in("docs/adr"));
    let unlisted = decisions.filter(|file| !text.contains(&file.path));
    unlisted.map(|file| Offence::at(ARCHITECTURE, 1, format!("list the decision `{}`", file.path))).collect()
}

/// Links from one document to a file that is not there.
pub(crate) fn dead_links(tree: &Tree) -> Vec<Offence> {
    let documents = tree.files().iter().filter(|file| file.extension() == Some("md"));
    documents.flat_map(|file| dead_links_of(file, tree)).collect()
}

fn dead_links_of(file: &File, tree: &Tree) -> Vec<Offence> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut offences = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let targets =
            line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let path = resolved(folder, target.split('#').next().unwrap_or_default());
            if !tree.has(&path) {
                offences.push(Offence::at(&file.path, index + 1, format!("there is no file `{path}`")));
            }
        }
    }
    offences
}

fn resolved(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Lines of a document with more than one sentence. Tables, headings and code are left alone.
pub(crate) fn crowded_lines(file: &File) -> Vec<Offence> {
    if file.extension() != Some("md") {
        return Vec::new();
    }
    let mut is_code = false;
    let mut offences = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code && !line.starts_with(['|', '#', ' ']) && has_two_sentences(line) {
            offences.push(Offence::at(&file.path, index + 1, "begin each sentence on a line of its own"));
        }
    }
    offences
}

fn has_two_sentences(line: &str) -> bool {
    // Text in backticks may hold anything; what is left of a number is "1".
    let text: Vec<_> = line.split('`').step_by(2).collect();
    let text = text.join("x");
    let mut letters =
        text.trim_start_matches(|letter: char| letter.is_ascii_digit()).chars().skip(2).peekable();
    while let Some(letter) = letters.next() {
        if !".!?".contains(letter) || letters.next_if_eq(&' ').is_none() {
            continue;
        }
        if letters.peek().is_some_and(|next| next.is_uppercase()) {
            return true;
        }
    }
    false
}

/// Paths that exist only where the file was written.
pub(crate) fn machine_paths(file: &File) -> Vec<Offence> {
    // Written in two halves, or this file would be an offence itself.
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "plan")];
    let faulty = |(index, line): (usize, &str)| {
        let found = places.iter().find(|place| begins_path(line, place))?;
        Some(Offence::at(&file.path, index + 1, format!("`{found}` is a path of one machine: leave it out")))
    };
    file.text.lines().enumerate().filter_map(faulty).collect()
}

/// Whether a path that begins with `place` stands in a line, and not only a longer path with it inside.
fn begins_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(start, _)| {
        let before = line.split_at(start).0;
        !before.ends_with(|letter: char| letter.is_alphanumeric() || "_-.}".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(offences: &[Offence]) -> Vec<String> {
        offences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_example_that_the_readme_forgets_is_found() {
        let tree = Tree::of(&[
            ("README.md", "Try `examples/pipelines/one-more` and `examples/embed.rs`."),
            ("examples/embed.rs", ""),
            ("examples/executor.rs", ""),
            ("examples/src/lib.rs", ""),
            ("examples/pipelines/one/.gitlab-ci.yml", ""),
            ("examples/pipelines/one/a/b.py", ""),
            ("examples/pipelines/one-more/.gitlab-ci.yml", ""),
        ]);
        let advice = ["examples/executor.rs", "examples/pipelines/one"];
        let expected = advice.map(|path| format!("README.md:1: name the example `{path}`"));
        assert_eq!(shown(&unnamed_examples(&tree)), expected);
    }

    #[test]
    fn a_program_in_the_readme_that_is_not_the_example_is_found() {
        let check = |readme: &str| {
            other_embedding(&Tree::of(&[
                ("README.md", readme),
                ("examples/embed.rs", "//! It.\n\nfn main() {}\n"),
            ]))
        };
        assert_eq!(check("Text\n```sh\nls\n```\n```rust\nfn main() {}\n```\nText"), None);
        for readme in ["", "```rust\nfn main() { }\n```", "```rust\nfn main() {}\n\n```"] {
            assert!(check(readme).is_some(), "{readme}");
        }
    }

    #[test]
    fn crates_that_are_missing_or_imagined_are_found() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"runner-core\", \"benches\"]"),
            ("ARCHITECTURE.md", "It is no gitlab-runner.\n`runner-core` and runner-cloud."),
        ]);
        let expected = [
            "ARCHITECTURE.md:1: say what the crate `benches` holds",
            "ARCHITECTURE.md:2: there is no crate `runner-cloud`",
        ];
        assert_eq!(shown(&wrong_crates(&tree)), expected);
    }

    #[test]
    fn a_decision_that_is_not_listed_is_found() {
        let tree = Tree::of(&[
            ("ARCHITECTURE.md", "[One](docs/adr/0001-one.md)"),
            ("docs/adr/0001-one.md", ""),
            ("docs/adr/0002-two.md", ""),
        ]);
        let expected = ["ARCHITECTURE.md:1: list the decision `docs/adr/0002-two.md`"];
        assert_eq!(shown(&unlisted_decisions(&tree)), expected);
    }

    #[test]
    fn a_dead_link_is_found() {
        let text = "[a](b.md) [c](../README.md#top) [d](https://example.invalid) [e](#here)\n[f](missing.md)";
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("README.md", "")]);
        assert_eq!(shown(&dead_links(&tree)), ["docs/a.md:2: there is no file `docs/missing.md`"]);
    }

    #[test]
    fn two_sentences_on_a_line_are_found() {
        let check = |text: &str| crowded_lines(&File { path: "a.md".into(), text: text.into() }).len();
        for text in ["One. Two.", "- One `a`. Two.", "1. One! Two.", "Is it `x`? It is."] {
            assert_eq!(check(text), 1, "{text}");
        }
        for text in
            ["1. One.", "One, version 1.5, `A. B` too.", "| a. B |", "```text\nOne. Two.\n```", "# 1. Title"]
        {
            assert_eq!(check(text), 0, "{text}");
        }
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let check = |text: &str| {
            let text = text.replace('@', "");
            machine_paths(&File { path: "a.md".into(), text }).len()
        };
        assert_eq!(check("cd /wo@rk/main"), 1);
        assert_eq!(check("\"/ro@ot/.cargo\""), 1);
        assert_eq!(check("builds/wo@rk/x and ${HOME}/wo@rk/x"), 0);
    }
}
