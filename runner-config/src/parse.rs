//! The first step: from a text to what stands in it. Nothing outside of the text is looked at.

use std::ops::Range;

use toml::de::DeTable;

use crate::{
    document::{Document, Places, read},
    mistake::{Mistake, Mistakes, masked, place},
    table::GlobalKeys,
};

/// A config as it stands in its file: variables are not replaced, and defaults from outside are not in it.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub(crate) keys: GlobalKeys,
    pub(crate) notebook: Notebook,
    is_readable: bool,
}

impl Parsed {
    /// Whether nothing could be read, so that nothing is known to be missing either.
    pub(crate) fn is_unreadable(&self) -> bool {
        !self.is_readable
    }

    /// What is wrong with the text itself, as far as that is known without its surroundings.
    pub fn mistakes(&self) -> Option<Mistakes> {
        self.notebook.clone().finish()
    }
}

/// Reads a config. `file` is how mistakes call it.
pub fn parse(file: &str, text: &str) -> Parsed {
    let mut notebook = Notebook {
        file: file.to_owned(),
        text: text.to_owned(),
        places: Places::default(),
        found: Vec::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let message = error.message().trim().replace('\n', ", ");
        notebook.at(error.span().unwrap_or_default(), message, None);
    }
    if !errors.is_empty() {
        return Parsed { keys: GlobalKeys::default(), notebook, is_readable: false };
    }
    let document = Document::new(table);
    notebook.places = document.places;
    for (span, name) in document.twice {
        notebook.at(span, format!("`{name}` is there twice"), None);
    }
    let keys = read(document.table, |span, message| notebook.wrong_form(span, message));
    let is_readable = keys.is_some();
    Parsed { keys: keys.unwrap_or_default(), notebook, is_readable }
}

/// Where mistakes are gathered.
#[derive(Debug, Clone)]
pub(crate) struct Notebook {
    pub(crate) file: String,
    text: String,
    places: Places,
    found: Vec<Note>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    at: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Notebook {
    /// A mistake about the key at `path`, or about the section around it where it is not there. What was told of that
    /// key already is the reason for whatever else is wrong with it.
    pub(crate) fn wrong(&mut self, path: &str, message: impl Into<String>, help: Option<String>) {
        let at = if let Some(place) = self.places.exact(path) {
            let holds = |at: &Range<usize>| [&place.key, &place.value].iter().any(|outer| within(outer, at));
            if place.is_single && self.found.iter().any(|note| holds(&note.at)) {
                return;
            }
            if place.is_single && !is_secret(path) { place.value.clone() } else { place.key.clone() }
        } else {
            let slip = slip(path.rsplit('.').next().unwrap_or_default());
            if self.found.iter().any(|note| note.help.as_ref() == Some(&slip)) {
                return;
            }
            self.places.of(path).map_or(0..0, |place| place.key.clone())
        };
        self.at(at, message.into(), help);
    }

    /// The line of a key, counted from 1; of the section around it where it is not there.
    pub(crate) fn line(&self, path: &str) -> usize {
        self.places.of(path).map_or(1, |found| place(&self.text, &found.key).0)
    }

    fn at(&mut self, at: Range<usize>, message: String, help: Option<String>) {
        let note = Note { at, message, help };
        if !self.found.contains(&note) {
            self.found.push(note);
        }
    }

    /// What the reader of values has to say.
    fn wrong_form(&mut self, span: Range<usize>, message: &str) {
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        match quoted.split_first() {
            Some((unknown, known)) if message.starts_with("unknown field") => {
                let help = nearest(unknown, known.iter().copied());
                let help = help.map(slip);
                self.at(span, format!("unknown key `{unknown}`"), help);
            }
            _ if self.places.at(&span).is_some_and(|(path, _)| is_secret(path)) => {
                self.at(span, "the value has the wrong form".to_owned(), Some("write it in quotes".into()));
            }
            _ => {
                let message = message.trim().replace('\n', ", ");
                let plain = ["u32", "u64"].iter().fold(message, |message, number| {
                    message.replace(&format!("expected {number}"), "expected a whole number, 0 or more")
                });
                self.at(span, plain, None);
            }
        }
    }

    /// The mistakes, if there are any.
    pub(crate) fn finish(self) -> Option<Mistakes> {
        if self.found.is_empty() {
            return None;
        }
        let is_shown = |range: &&Range<usize>| {
            self.places.at(range).is_some_and(|(path, place)| place.is_single && !is_secret(path))
        };
        let shown: Vec<_> = self.found.iter().map(|note| &note.at).filter(is_shown).cloned().collect();
        let text = without_bare_secrets(&masked(&self.text, &shown));
        let mut found: Vec<_> = self.found.into_iter().map(|note| note.placed(&self.text)).collect();
        found.sort_by_key(|mistake| (mistake.line, mistake.column));
        Some(Mistakes { file: self.file, found, text })
    }
}

impl Note {
    fn placed(self, text: &str) -> Mistake {
        let (line, column, length) = place(text, &self.at);
        Mistake { line, column, length, message: self.message, help: self.help }
    }
}

/// What is asked about a word that is nearly `known`.
fn slip(known: &str) -> String {
    format!("did you mean `{known}`?")
}

fn within(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Whether the value of a key is not to be shown.
fn is_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    ["token", "secret", "password", "key", "accessid", "dsn", "environment", "script"]
        .iter()
        .any(|part| name.contains(part))
}

/// A secret that somebody forgot to put in quotes is one as well.
fn without_bare_secrets(text: &str) -> String {
    let star = |letter: char| if letter.is_alphanumeric() { '*' } else { letter };
    let line = |line: &str| match line.split_once('=') {
        Some((key, value)) if is_secret(key.trim()) => {
            [key, "=", &value.chars().map(star).collect::<String>()].concat()
        }
        _ => line.to_owned(),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The one of `known` that `word` is most likely a slip of.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    let distance = |known: &str| strsim::osa_distance(&word, &known.to_lowercase());
    let near = known.into_iter().map(|known| (distance(known), known));
    near.filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
