//! Rules for single files: size, opening, names, notes of work left, and what the core may use.

use crate::{offence::Offence, scan::Scan, tree::File};

const MOST_LINES: usize = 500;

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 11] =
    ["common", "handler2", "helpers", "imp", "manager", "misc", "mod", "stuff", "types", "util", "utils"];

/// Modules that reach outside of the process.
const OUTSIDE: [&str; 4] = ["env", "fs", "net", "process"];

/// Files of more than 500 lines of code, without tests, comments and blank lines.
pub(crate) fn too_long(file: &File) -> Option<Offence> {
    if file.is_test() {
        return None;
    }
    let lines = Scan::of(&file.text).product().lines().filter(|line| !line.trim().is_empty()).count();
    let advice = format!("{lines} lines of code, at most {MOST_LINES}: split it by the nouns that it holds");
    (lines > MOST_LINES).then(|| Offence::at(&file.path, 1, advice))
}

/// Files that do not open with `//!`. The tests of a module in a file of their own need not: `tests.rs` says it all.
pub(crate) fn without_opening(file: &File) -> Option<Offence> {
    if file.name() == "tests.rs" {
        return None;
    }
    let opens = file.text.lines().next().is_some_and(|line| {
        line.strip_prefix("//!").is_some_and(|text| text.trim().chars().any(char::is_alphanumeric))
    });
    (!opens).then(|| {
        Offence::at(&file.path, 1, "open the file with `//!` and a sentence that says what it holds")
    })
}

/// Files and folders whose name says nothing.
pub(crate) fn empty_name(file: &File) -> Option<Offence> {
    let mut parts = file.path.trim_end_matches(".rs").split('/');
    let name = parts.find(|part| EMPTY_NAMES.contains(part))?;
    let advice = if name == "mod" {
        "a module `x` with files of its own is `x.rs` beside the folder `x/`".to_owned()
    } else {
        format!("`{name}` says nothing: name the file for the noun that it holds")
    };
    Some(Offence::at(&file.path, 1, advice))
}

/// Integration tests that are a binary of their own: each costs a link, and together they share nothing.
pub(crate) fn lone_integration_test(file: &File) -> Option<Offence> {
    let (_, inner) = file.path.split_once("/tests/").filter(|(folder, _)| !folder.contains('/'))?;
    let advice = "make it a module of `tests/it/main.rs`";
    (!inner.contains('/')).then(|| Offence::at(&file.path, 1, advice))
}

/// Notes of work left that name no issue: `TODO(#123)` is the form.
pub(crate) fn note_without_issue(file: &File) -> Vec<Offence> {
    let comments = match file.extension() {
        Some("rs") => Scan::of(&file.text).comments,
        Some("toml" | "yml" | "yaml" | "sh" | "py" | "go") | None => file.text.clone(),
        _ => return Vec::new(),
    };
    let faulty = |(index, line): (usize, &str)| {
        let advice = "say which issue: `TODO(#123)`; or do it now";
        has_bare_note(line).then(|| Offence::at(&file.path, index + 1, advice))
    };
    comments.lines().enumerate().filter_map(faulty).collect()
}

fn has_bare_note(line: &str) -> bool {
    ["TODO", "FIXME"].iter().any(|mark| {
        line.match_indices(mark).any(|(start, _)| {
            let (before, after) = line.split_at(start);
            let after = after.strip_prefix(mark).unwrap_or_default();
            let is_word = !before.ends_with(is_of_word) && !after.starts_with(is_of_word);
            is_word && !(*mark == "TODO" && names_issue(after))
        })
    })
}

fn names_issue(after: &str) -> bool {
    let number = after.strip_prefix("(#").and_then(|rest| rest.split_once(')')).map(|(number, _)| number);
    number.is_some_and(|number| !number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit()))
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Uses of files, of the network, of processes and of the environment.
pub(crate) fn io(file: &File) -> Vec<Offence> {
    if file.is_test() {
        return Vec::new();
    }
    let code = Scan::of(&file.text).product();
    let mut offences = Vec::new();
    for root in ["std", "tokio"] {
        for (start, _) in code.match_indices(&format!("{root}::")) {
            let (before, after) = code.split_at(start);
            if before.ends_with(is_of_word) {
                continue;
            }
            let path = after.strip_prefix(root).and_then(|rest| rest.strip_prefix("::")).unwrap_or_default();
            for module in first_names(path).into_iter().filter(|name| OUTSIDE.contains(name)) {
                let advice =
                    format!("the core does without `{root}::{module}`: take what is needed through a trait");
                offences.push(Offence::at(&file.path, before.lines().count().max(1), advice));
            }
        }
    }
    offences
}

/// The names that a path or a group of paths begins with: `fs` of `fs::File`, `fmt` and `fs` of `{fmt, fs::File}`.
fn first_names(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return first_name(path).into_iter().collect() };
    let mut depth = 0_usize;
    let mut expects_name = true;
    let mut names = Vec::new();
    for (index, letter) in group.char_indices() {
        match letter {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => expects_name = true,
            _ if expects_name && is_of_word(letter) => {
                names.extend(first_name(group.split_at(index).1));
                expects_name = false;
            }
            _ => {}
        }
    }
    names
}

fn first_name(path: &str) -> Option<&str> {
    path.split(|letter| !is_of_word(letter)).next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    fn shown(offences: impl IntoIterator<Item = Offence>) -> String {
        offences.into_iter().map(|offence| offence.to_string()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "let a = 1; // why\n".repeat(501);
        assert!(shown(too_long(&file("a/src/b.rs", &code))).starts_with("a/src/b.rs:1: 501 lines"));
        let tests = format!("//! B.\n\nfn a() {{}}\n#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(too_long(&file("a/src/b.rs", &tests)), None);
        let comments = "// Nothing.\n\n".repeat(501);
        assert_eq!(too_long(&file("a/src/b.rs", &comments)), None);
        assert_eq!(too_long(&file("a/src/b/tests.rs", &code)), None);
    }

    #[test]
    fn a_file_without_an_opening_is_found() {
        for text in ["", "use std::fmt;", "//!", "// It holds nothing.", "\n//! Late."] {
            assert!(without_opening(&file("a.rs", text)).is_some(), "{text:?}");
        }
        assert_eq!(without_opening(&file("a.rs", "//! What it holds.\n")), None);
    }

    #[test]
    fn an_empty_name_is_found_in_files_and_folders() {
        for path in ["a/src/utils.rs", "a/src/common/b.rs", "a/src/b/mod.rs"] {
            assert!(empty_name(&file(path, "")).is_some(), "{path}");
        }
        assert_eq!(empty_name(&file("a/src/model.rs", "")), None);
    }

    #[test]
    fn an_integration_test_of_its_own_is_found() {
        assert!(lone_integration_test(&file("runner-core/tests/log.rs", "")).is_some());
        for path in
            ["runner-core/tests/it/log.rs", "runner-core/src/tests/log.rs", "examples/pipelines/a/tests/b.rs"]
        {
            assert_eq!(lone_integration_test(&file(path, "")), None, "{path}");
        }
    }

    #[test]
    fn a_note_without_an_issue_is_found_in_comments_only() {
        assert!(shown(note_without_issue(&file("a.rs", "//! A.\n// TODO: later"))).starts_with("a.rs:2"));
        for text in ["# TODO()", "# TODO(#)", "# TODO(#x1)", "# FIXME(#1)", "x = 1 # TODO"] {
            assert_eq!(note_without_issue(&file("a.toml", text)).len(), 1, "{text}");
        }
        for text in ["// TODO(#12): later", "let a = \"TODO\";", "// TODOS and STODO"] {
            assert_eq!(shown(note_without_issue(&file("a.rs", text))), "", "{text}");
        }
    }

    #[test]
    fn uses_of_the_outside_are_found_in_every_form() {
        for (text, line) in [
            ("use std::fs;", 1),
            ("\nfn a() { std::env::var(\"A\"); }", 2),
            ("use std::{fmt,\n  net::{IpAddr, fs}};", 1),
            ("use tokio::{fs::File, sync};", 1),
        ] {
            let found = shown(io(&file("runner-core/src/a.rs", text)));
            assert!(found.starts_with(&format!("runner-core/src/a.rs:{line}:")), "{text}: {found}");
        }
        for text in [
            "use std::fmt;",
            "use std::{sync::{atomic, fs}};",
            "// std::fs",
            "\"std::fs\"",
            "mystd::fs",
            "std::fsync",
            "#[cfg(test)]\nmod tests { use std::fs; }",
        ] {
            assert_eq!(shown(io(&file("runner-core/src/a.rs", text))), "", "{text}");
        }
    }
}
