//! Which stream gets what: text for a person, one JSON document, errors.

use std::io::{self, Write};

use console::Term;
use serde::Serialize;

use crate::{
    cli::{Color, Output},
    view::{Painter, Palette},
};

/// The streams of the program and how each is written to.
#[derive(Debug)]
pub(crate) struct Stdio {
    output: Output,
    color: Color,
    taste: Taste,
}

/// What the environment says about terminals.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taste {
    /// `NO_COLOR` is set.
    pub(crate) no_color: bool,
    /// `TERM` is `dumb`: nothing can be drawn anew.
    pub(crate) dumb: bool,
}

impl Stdio {
    /// Streams as `output` and `color` ask for.
    pub(crate) fn new(output: Output, color: Color, taste: Taste) -> Self {
        Self { output, color, taste }
    }

    /// The colours of the text for a person.
    pub(crate) fn palette(&self) -> Palette {
        match self.output {
            Output::Human => self.palette_on(&Term::stdout()),
            Output::Json => self.palette_on(&Term::stderr()),
        }
    }

    /// The colours of errors.
    pub(crate) fn error_palette(&self) -> Palette {
        self.palette_on(&Term::stderr())
    }

    fn palette_on(&self, stream: &Term) -> Palette {
        Palette::new(match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => stream.is_term() && !self.taste.no_color && !self.taste.dumb,
        })
    }

    /// The terminal at the bottom of which there is an area that moves, if the text goes to one.
    pub(crate) fn terminal(&self) -> Option<Term> {
        let stdout = Term::stdout();
        (self.output == Output::Human && stdout.is_term() && !self.taste.dumb).then_some(stdout)
    }

    /// What writes the text of a run.
    pub(crate) fn painter(&self) -> Painter {
        Painter::new(self.stream())
    }

    fn stream(&self) -> Box<dyn Write + Send> {
        match self.output {
            Output::Human => Box::new(io::stdout()),
            Output::Json => Box::new(io::stderr()),
        }
    }

    /// Writes text for a person.
    pub(crate) fn text(&self, text: &str) {
        // Where nobody reads any more, nobody is to be told.
        drop(self.stream().write_all(text.as_bytes()));
    }

    /// Shows how far something is, in the place of what this showed before; an empty text takes it away. Only on a terminal.
    pub(crate) fn progress(&self, text: &str) {
        let stderr = Term::stderr();
        if stderr.is_term() && !self.taste.dumb {
            // Where it cannot be drawn, it is not missed.
            drop(stderr.clear_line().and_then(|()| stderr.write_str(text)));
        }
    }

    /// Writes to stderr.
    pub(crate) fn error(text: &str) {
        // Where nobody reads any more, nobody is to be told.
        drop(io::stderr().write_all(text.as_bytes()));
    }

    /// Writes the document.
    pub(crate) fn json(document: &impl Serialize) {
        match serde_json::to_string_pretty(document) {
            Ok(text) => drop(writeln!(io::stdout(), "{text}")),
            Err(error) => Self::error(&format!("error: the JSON document could not be made: {error}\n")),
        }
    }
}
