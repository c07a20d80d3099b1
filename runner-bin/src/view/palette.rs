//! Colours, or none.

use std::fmt::Display;

/// Paints text, where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Palette {
    on: bool,
}

/// What is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// What went well.
    Good,
    /// What went wrong.
    Bad,
    /// What needs a look, but stops nothing.
    Warning,
    /// What is only there for those who look for it.
    Dim,
    /// Headings.
    Strong,
    /// The job of this number.
    Job(usize),
}

impl Palette {
    /// A palette with colours, or without.
    pub(crate) fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether there are colours.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    /// `text` in `color`.
    pub(crate) fn paint(self, color: Color, text: impl Display) -> String {
        /// Cyan, magenta, blue, and their bright forms: red, green and yellow say how something went.
        const JOBS: [&str; 6] = ["36", "35", "34", "96", "95", "94"];
        let code = match color {
            Color::Good => "32",
            Color::Bad => "1;31",
            Color::Warning => "33",
            Color::Dim => "2",
            Color::Strong => "1",
            Color::Job(number) => JOBS.get(number % JOBS.len()).copied().unwrap_or("36"),
        };
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
