//! The text of a script, as a shell runs it.

use super::colour;

/// The shells that scripts are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    /// Bash.
    Bash,
    /// Another shell of the POSIX kind.
    Sh,
}

impl Shell {
    /// The shell at `path`, and how it is told not to read anything before the script.
    pub(crate) fn at(path: &str) -> (Self, &'static [&'static str]) {
        match path.rsplit('/').next() {
            Some("bash") => (Self::Bash, &["--noprofile", "--norc"]),
            _ => (Self::Sh, &[]),
        }
    }
}

/// One shell's work: commands that share its variables, functions and directory.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    /// The commands, in order. One may have several lines, and one may go on in the next, as GitLab allows.
    pub(crate) commands: Vec<&'a str>,
    /// What the shell exports before the first command.
    pub(crate) exports: Vec<(String, String)>,
    /// The shell shows everything that it does.
    pub(crate) trace: bool,
}

impl Script<'_> {
    /// The text for `shell`.
    ///
    /// All commands stand in one text, not each in an `eval` of its own, because a list may split an `if` over several
    /// entries, which works with GitLab. Shells read it command by command: what stands before a syntax error runs.
    pub(crate) fn text(&self, shell: Shell) -> String {
        let mut text = String::from(match shell {
            Shell::Bash => "set -eo pipefail +o noclobber\n",
            Shell::Sh => "if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi\nset -e +C\n",
        });
        for (key, value) in &self.exports {
            if is_name(key) {
                text.extend(["export ", key, "=", &quoted(value), "\n"]);
            }
        }
        if self.trace {
            text.push_str("set -x\n");
        }
        for command in &self.commands {
            let command = command.trim();
            let shown = if command.is_empty() { String::new() } else { colour::good(&shown(command)) };
            // A function or alias of the script may be called printf or echo.
            text.extend(["command printf '%s\\n' ", &quoted(&shown), "\n", command, "\n"]);
        }
        text
    }
}

/// How a command is shown before it runs.
fn shown(command: &str) -> String {
    match command.split_once('\n') {
        Some((first, _)) => format!("$ {} # collapsed multi-line command", first.trim_end()),
        None => format!("$ {command}"),
    }
}

/// `text` as one word of a shell, whatever it holds.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn is_name(key: &str) -> bool {
    key.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// Whether a shell that shows what it does shows `secret` in another form than its own, which masking would miss:
/// quotes, backslashes and what is not printable are escaped.
pub(crate) fn trace_would_disguise(secret: &str) -> bool {
    !secret
        .chars()
        .all(|letter| (letter.is_ascii_graphic() || letter == ' ') && !matches!(letter, '\'' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_and_collapsed() {
        assert_eq!(shown("make all"), "$ make all");
        assert_eq!(shown("if true\r\nthen x\nfi"), "$ if true # collapsed multi-line command");
    }

    #[test]
    fn any_text_is_one_word() {
        assert_eq!(quoted("it's $HOME\n`x`"), "'it'\\''s $HOME\n`x`'");
    }

    #[test]
    fn a_script_holds_its_commands_as_they_are() {
        let script = Script {
            commands: vec!["  echo 'a' \n", "", "if x\nthen y\nfi"],
            exports: vec![("ENV".into(), "it's".into()), ("A-B".into(), "1".into())],
            trace: true,
        };
        let text = script.text(Shell::Bash);
        assert!(text.contains("\nexport ENV='it'\\''s'\nset -x\n"), "{text}");
        assert!(!text.contains("A-B"), "{text}");
        assert!(text.contains("\necho 'a'\n"), "{text}");
        assert!(text.ends_with("\nif x\nthen y\nfi\n"), "{text}");
    }

    #[test]
    fn secrets_that_tracing_would_disguise_are_known() {
        let check = |secret, expected| assert_eq!(trace_would_disguise(secret), expected, "{secret}");
        check("glpat-abc_DEF.123=", false);
        check("two words", false);
        check("it's", true);
        check("a\\b", true);
        check("line\nline", true);
        check("pässword", true);
    }
}
