//! The reference of all keys, as a document.

use runner_k8s::config::KeyClass;

use crate::{
    key::Key,
    table::{FLAGS, Section, sections},
};

/// What stands at the beginning of it.
const OPENING: &str = "\
# The config

`config.toml` has the keys of GitLab Runner, so that the config that you have goes on working.
This page is made from the tables of keys in `runner-config/src/table` and `runner-k8s/src/config`.

- A key **works**, or it has **no effect** here, which is said once at the start, or it is **refused**, which is said with what to use instead.
- The case of keys does not matter; names that are your own, such as labels, are taken as they are.
- All mistakes are told at once, each at its place; a key that does not exist is a mistake.
- Where **$** is noted, `$NAME` and `${NAME}` are variables of the environment of the runner; one that is not set is a mistake.
  Secrets but `token` are such a variable as a whole, or taken as they are: a dollar sign in a password is a letter.
- The folder of secrets is `/secrets`, where the Helm chart mounts the Secret with the token.
- The file, that folder and the file that `CI_SERVER_TOKEN_FILE` names are looked at every three seconds, and on SIGHUP; a config with a mistake is told, and the one before it stays.
- `runner-config/src/runner.default.toml` is a config with all defaults, to begin with.
";

/// The whole document, in Markdown.
pub fn reference() -> String {
    let mut text = OPENING.to_owned();
    for section in sections() {
        text.push_str(&section_text(&section));
    }
    text.push_str(
        "\n## Feature flags\n\nThey are set in `[runners.feature_flags]`, or by a variable of the job.\n\n",
    );
    text.push_str("| flag | default | |\n|---|---|---|\n");
    for flag in FLAGS {
        let default = if flag.default { "on" } else { "off" };
        let class = if flag.class == KeyClass::Works { "" } else { "no effect: " };
        let row = ["| `", flag.name, "` | ", default, " | ", class, &cell(flag.about), " |\n"];
        text.push_str(&row.concat());
    }
    text
}

fn section_text(section: &Section) -> String {
    let title = if section.path.is_empty() {
        "The top of the file".to_owned()
    } else {
        format!("`{}`", section.header)
    };
    let mut text = format!(
        "\n## {title}\n\n{}\n\n| key | |\n|---|---|\n",
        section.about.join("").trim().replace(". ", ".\n")
    );
    for key in &section.keys {
        text.push_str(&row(key));
    }
    text
}

fn row(key: &Key) -> String {
    let about = key.about.join("");
    let fate = match (key.class, key.why) {
        (KeyClass::Works, _) | (_, None) => String::new(),
        (KeyClass::NoEffect, Some(why)) => format!(" **No effect**: {why}."),
        (KeyClass::Refused, Some(why)) => format!(" **Refused**: {why}."),
    };
    let dollar = if key.is_expanded { " **$**" } else { "" };
    format!("| `{}` | {}{dollar}{} |\n", key.name, cell(about.trim()), cell(&fate))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_that_of_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md");
        let written = fs_err::read_to_string(path).unwrap_or_default();
        let expected = reference();
        if written != expected && std::env::var_os("UPDATE_DOCS").is_some() {
            fs_err::write(path, &expected).unwrap();
            return;
        }
        let first = written.lines().zip(expected.lines()).find(|(written, expected)| written != expected);
        assert!(written == expected, "run this test with UPDATE_DOCS=1; the first difference is {first:?}");
    }
}
