//! Errors as a person reads them: once, with their causes, and with the place in the file where there is one.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use runner_pipeline::{Diagnostic, Diagnostics};

use crate::{exit_code::ExitStatus, view::tame};

/// Why the program ends early.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What it ends with.
    pub(crate) status: ExitStatus,
    /// What went wrong.
    pub(crate) error: anyhow::Error,
    /// What mends it, where that is known.
    pub(crate) help: Option<String>,
}

/// Mistakes in a file, with the text that they are in.
#[derive(Debug)]
pub(crate) struct WrongFile {
    /// The mistakes.
    pub(crate) diagnostics: Diagnostics,
    /// The text of the file.
    pub(crate) text: String,
}

impl From<runner_config::Mistakes> for WrongFile {
    fn from(mistakes: runner_config::Mistakes) -> Self {
        let runner_config::Mistakes { file, found, text } = mistakes;
        let diagnostic = |mistake: runner_config::Mistake| Diagnostic {
            file: file.clone(),
            line: mistake.line,
            column: mistake.column,
            length: mistake.length,
            message: mistake.message,
            help: mistake.help,
        };
        Self { diagnostics: Diagnostics(found.into_iter().map(diagnostic).collect()), text }
    }
}

impl fmt::Display for WrongFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.diagnostics.0.first().map_or("the file", |first| &first.file);
        match self.diagnostics.0.len() {
            1 => write!(formatter, "{file} has a mistake; nothing ran"),
            count => write!(formatter, "{file} has {count} mistakes; nothing ran"),
        }
    }
}

impl std::error::Error for WrongFile {}

impl Fault {
    /// Wrong use of the command line, or a wrong file.
    pub(crate) fn wrong_use(error: impl Into<anyhow::Error>) -> Self {
        Self { status: ExitStatus::WrongUse, error: error.into(), help: None }
    }

    /// Something that we could not do.
    pub(crate) fn ours(error: impl Into<anyhow::Error>) -> Self {
        Self { status: ExitStatus::OurFault, error: error.into(), help: None }
    }

    /// Says what mends it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What the program prints, each line with its end.
    pub(crate) fn text(&self, color: bool) -> String {
        let mut text = String::new();
        if let Some(file) = self.error.downcast_ref::<WrongFile>() {
            for diagnostic in &file.diagnostics.0 {
                text.push_str(&render(diagnostic, &file.text, &Level::ERROR, color));
                text.push_str("\n\n");
            }
        }
        let (on, off) = if color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        text.push_str(&[on, "error:", off, " ", &self.chain(), "\n"].concat());
        if let Some(help) = &self.help {
            text.push_str(&["  help: ", help, "\n"].concat());
        }
        text
    }

    /// The message with its causes, in one line.
    pub(crate) fn chain(&self) -> String {
        let parts: Vec<_> = self.error.chain().map(|error| tame(&error.to_string())).collect();
        parts.join(": ")
    }
}

/// A diagnostic with the line that it is about, as compilers show it.
pub(crate) fn render(diagnostic: &Diagnostic, text: &str, level: &Level<'_>, color: bool) -> String {
    /// Lines longer than this are not shown: nobody reads them, and one of megabytes would be all there is.
    const LONGEST_LINE: usize = 400;
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let message = tame(&diagnostic.message);
    let title = level.clone().primary_title(message.as_str());
    let help = diagnostic.help.as_deref().map(tame);
    let line = text.lines().nth(diagnostic.line.saturating_sub(1)).unwrap_or_default();
    let harmless = |letter: char| if letter.is_control() && letter != '\t' { '\u{fffd}' } else { letter };
    let line: String = line.chars().map(harmless).collect();
    let mut group = if text.is_empty() || line.chars().count() > LONGEST_LINE {
        Group::with_title(title).element(
            annotate_snippets::Origin::path(diagnostic.file.as_str())
                .line(diagnostic.line)
                .char_column(diagnostic.column),
        )
    } else {
        let offset = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        let start = offset(diagnostic.column.saturating_sub(1));
        let end = offset(diagnostic.column.saturating_sub(1) + diagnostic.length.max(1)).max(start);
        let place = AnnotationKind::Primary.span(start..end);
        let snippet =
            Snippet::source(line.as_str()).line_start(diagnostic.line).path(diagnostic.file.as_str());
        Group::with_title(title).element(snippet.annotation(place))
    };
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn diagnostic(line: usize, column: usize, length: usize) -> Diagnostic {
        Diagnostic {
            file: ".gitlab-ci.yml".into(),
            line,
            column,
            length,
            message: "unknown key `scipt`".into(),
            help: Some("did you mean `script`?".into()),
        }
    }

    fn fault(diagnostics: Vec<Diagnostic>, text: &str) -> String {
        Fault::wrong_use(WrongFile { diagnostics: Diagnostics(diagnostics), text: text.into() }).text(false)
    }

    #[test]
    fn a_mistake_is_shown_at_its_place() {
        insta::assert_snapshot!(fault(vec![diagnostic(2, 3, 5)], "build:\n  scipt: make\n"), @r"
        error: unknown key `scipt`
         --> .gitlab-ci.yml:2:3
          |
        2 |   scipt: make
          |   ^^^^^
          |
          = help: did you mean `script`?

        error: .gitlab-ci.yml has a mistake; nothing ran
        ");
    }

    #[test]
    fn a_mistake_at_the_end_of_an_empty_file_or_in_a_huge_line_has_a_place_too() {
        insta::assert_snapshot!(fault(vec![diagnostic(1, 1, 1), diagnostic(7, 9, 3)], ""), @r"
        error: unknown key `scipt`
        --> .gitlab-ci.yml:1:1
         = help: did you mean `script`?

        error: unknown key `scipt`
        --> .gitlab-ci.yml:7:9
         = help: did you mean `script`?

        error: .gitlab-ci.yml has 2 mistakes; nothing ran
        ");
        insta::assert_snapshot!(fault(vec![diagnostic(1, 4000, 1)], &"x".repeat(5000)), @r"
        error: unknown key `scipt`
        --> .gitlab-ci.yml:1:4000
         = help: did you mean `script`?

        error: .gitlab-ci.yml has a mistake; nothing ran
        ");
    }

    #[test]
    fn causes_stand_once_and_help_last() {
        let error =
            Err::<(), _>(std::io::Error::other("disk on fire")).context("failed to read .env").unwrap_err();
        insta::assert_snapshot!(Fault::ours(error).help("put it out").text(false), @r"
        error: failed to read .env: disk on fire
          help: put it out
        ");
    }
}
