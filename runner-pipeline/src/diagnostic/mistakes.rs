//! Where mistakes are gathered while a file is read, so that all of them are reported at once.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
};

use super::{Diagnostic, Diagnostics, nearest};
use crate::yaml::{Node, Source, Span};

/// More mistakes than this help nobody.
const MOST: usize = 200;

/// Suggestions are worked out for this many mistakes; each compares a word with every candidate.
const MOST_SUGGESTIONS: usize = 20;

/// The mistakes and remarks found so far. What is shared by several jobs is reported once.
#[derive(Debug)]
pub(crate) struct Mistakes<'text> {
    file: String,
    source: Source<'text>,
    found: RefCell<Vec<Diagnostic>>,
    known: RefCell<HashSet<(Span, String)>>,
    notes: RefCell<Vec<Diagnostic>>,
    left_out: Cell<usize>,
    suggested: Cell<usize>,
}

impl<'text> Mistakes<'text> {
    /// No mistakes yet in `text`.
    pub(crate) fn new(file: &str, text: &'text str) -> Self {
        Self {
            file: file.to_owned(),
            source: Source::new(text),
            found: RefCell::default(),
            known: RefCell::default(),
            notes: RefCell::default(),
            left_out: Cell::default(),
            suggested: Cell::default(),
        }
    }

    /// A mistake for which nothing better can be said than the message itself.
    pub(crate) fn error(&self, span: Span, message: impl Into<String>) {
        self.add(span, message.into(), None);
    }

    /// A mistake, and what would be right.
    pub(crate) fn error_with_help(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(span, message.into(), Some(help.into()));
    }

    /// Something that GitLab understands and this program does not yet.
    pub(crate) fn unsupported(&self, span: Span, what: &str) {
        self.error(span, format!("not supported yet: {what}"));
    }

    /// A remark on something that is right.
    pub(crate) fn note(&self, span: Span, message: impl Into<String>) {
        let mut diagnostic = self.diagnostic(span, message.into(), None);
        diagnostic.length = diagnostic.length.max(1);
        let mut notes = self.notes.borrow_mut();
        if notes.len() < MOST && !notes.contains(&diagnostic) {
            notes.push(diagnostic);
        }
    }

    /// A mistake about a `word` that is none of `candidates`; `otherwise` is the help where none is near.
    pub(crate) fn unknown<'a>(
        &self,
        span: Span,
        message: impl Into<String>,
        (word, candidates): (&str, impl IntoIterator<Item = &'a str>),
        otherwise: Option<String>,
    ) {
        let suggestion = if self.suggested.get() < MOST_SUGGESTIONS {
            self.suggested.set(self.suggested.get() + 1);
            nearest(word, candidates)
        } else {
            None
        };
        self.add(
            span,
            message.into(),
            suggestion.map(|name| format!("did you mean `{name}`?")).or(otherwise),
        );
    }

    /// The place of `length` letters that begin `offset` letters into the text of a scalar.
    pub(crate) fn inside(&self, node: &Node, offset: usize, length: usize) -> Span {
        self.source.inside(node, offset, length)
    }

    /// The file as lines.
    pub(crate) fn source(&self) -> &Source<'text> {
        &self.source
    }

    /// Whether something is wrong.
    pub(crate) fn any(&self) -> bool {
        !self.found.borrow().is_empty()
    }

    /// The remarks if nothing is wrong, else all mistakes in the order of their places.
    pub(crate) fn finish(self) -> Result<Vec<Diagnostic>, Diagnostics> {
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(self.notes.into_inner());
        }
        found.sort_by_key(|mistake| (mistake.line, mistake.column));
        if let (more @ 1.., Some(last)) = (self.left_out.get(), found.last().cloned()) {
            found.push(Diagnostic { message: format!("and {more} more mistakes"), help: None, ..last });
        }
        Err(Diagnostics(found))
    }

    fn add(&self, span: Span, message: String, help: Option<String>) {
        let mut found = self.found.borrow_mut();
        if !self.known.borrow_mut().insert((span, message.clone())) {
            return;
        }
        if found.len() >= MOST {
            self.left_out.set(self.left_out.get() + 1);
            return;
        }
        found.push(self.diagnostic(span, message, help));
    }

    fn diagnostic(&self, span: Span, message: String, help: Option<String>) -> Diagnostic {
        let (line, column) = self.source.shown(span.line, span.column);
        Diagnostic { file: self.file.clone(), line, column, length: span.length.max(1), message, help }
    }
}
