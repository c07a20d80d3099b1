//! Reading what may be missing, null, or written in another form.

use std::fmt;

use runner_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer};

/// A value; null is the default, as is a missing one with `#[serde(default)]`.
pub(super) fn nullable<'de, D, T>(from: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A text, also one that is written as a number or as true or false.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Text(String),
            Number(serde_json::Number),
            Switch(bool),
            Null(()),
        }
        Ok(Self(match Any::deserialize(from)? {
            Any::Text(text) => text,
            Any::Number(number) => number.to_string(),
            Any::Switch(switch) => switch.to_string(),
            Any::Null(()) => String::new(),
        }))
    }
}

/// A list of texts, also one that is written as a single one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Texts(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Many(Vec<Text>),
            One(Text),
        }
        Ok(Self(match Any::deserialize(from)? {
            Any::Many(texts) => texts.into_iter().map(|text| text.0).collect(),
            Any::One(Text(text)) if text.is_empty() => Vec::new(),
            Any::One(Text(text)) => vec![text],
        }))
    }
}

/// The meaning of a word that must be one of a few; an empty one is the default.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for another word: what a job means is never guessed.
pub(super) fn word<T: Copy + Default>(what: &str, written: &str, known: &[(&str, T)]) -> Result<T> {
    if written.is_empty() {
        return Ok(T::default());
    }
    let found = known.iter().find(|(name, _)| *name == written);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| unsupported(format_args!("`{what}: {written}`")))
}

/// The error of a job that asks for `what`.
pub(super) fn unsupported(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Unsupported, format!("run a job with {what}: this runner does not know it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_every_form() {
        let read = |json| serde_json::from_str::<Texts>(json).unwrap().0;
        assert_eq!(read(r#"["a","b"]"#), ["a", "b"]);
        assert_eq!(read(r#""a""#), ["a"]);
        assert!(read("null").is_empty());
        assert_eq!(read("[1, true]"), ["1", "true"]);
    }

    #[test]
    fn another_word_is_not_guessed() {
        let read = |written| word("when", written, &[("always", 1)]);
        assert_eq!(read("always").unwrap(), 1);
        assert_eq!(read("").unwrap(), 0);
        assert_eq!(read("sometimes").unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
