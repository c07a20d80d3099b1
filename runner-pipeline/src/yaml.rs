//! A YAML file as a tree in which everything knows its place in the file.
//!
//! Scalars mean what they mean to Ruby, in which GitLab reads these files; anchors, aliases and merge keys are
//! resolved. What a node should be is not known here, that is the business of `syntax`.

use std::{collections::HashMap, fmt, rc::Rc};

mod key;
mod load;
mod scalar;
mod source;

pub(crate) use load::load;
pub(crate) use source::Source;

/// A place in the file. Lines and columns count from 1, in letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Span {
    /// The line.
    pub(crate) line: usize,
    /// The column.
    pub(crate) column: usize,
    /// How many letters of the line; 0 where nothing is there.
    pub(crate) length: usize,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes, in one line.
    Plain,
    /// In `'`, in one line.
    Single,
    /// In `"`, in one line.
    Double,
    /// Over several lines, or no scalar at all.
    Other,
}

/// One value of the file. Children are shared: an alias is the node that it names.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where it begins.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) value: Value,
    /// How it is written.
    pub(crate) style: Style,
    /// How many nodes it consists of if each alias counts in full.
    pub(crate) size: usize,
    /// How many levels it has, aliases included.
    pub(crate) depth: usize,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true`, `yes`, `on`, or their opposites.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// A list.
    List(Vec<Rc<Node>>),
    /// A mapping.
    Map(Map),
    /// Something that was reported as a mistake already and must not be reported again.
    Broken,
}

impl Node {
    /// What it is, for a message.
    pub(crate) fn kind(&self) -> String {
        match &self.value {
            Value::Null => "empty".to_owned(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Int(_) | Value::Float(_) => format!("the number {self}"),
            Value::Text(_) => "a string".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Broken => "broken".to_owned(),
        }
    }

    /// Whether there is nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The mapping that it is.
    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }
}

/// A scalar as Ruby makes a string of it; nothing for lists and mappings.
impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Bool(value) => value.fmt(formatter),
            Value::Int(value) => value.fmt(formatter),
            Value::Float(value) => formatter.write_str(&scalar::float_text(*value)),
            Value::Text(value) => formatter.write_str(value),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Broken => Ok(()),
        }
    }
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: Rc<str>,
    /// Where the key is.
    pub(crate) key_span: Span,
    /// The value.
    pub(crate) value: Rc<Node>,
}

/// A mapping in the order of its keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    entries: Vec<Entry>,
    index: HashMap<Rc<str>, usize>,
}

impl Map {
    /// The entry of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.index.get(key).and_then(|index| self.entries.get(*index))
    }

    /// The value of `key`, unless that is null.
    pub(crate) fn value(&self, key: &str) -> Option<&Rc<Node>> {
        self.get(key).map(|entry| &entry.value).filter(|value| !value.is_null())
    }

    /// Adds an entry, or replaces the one with the same key, in its place.
    pub(crate) fn set(&mut self, entry: Entry) {
        if let Some(old) = self.index.get(&entry.key).and_then(|index| self.entries.get_mut(*index)) {
            *old = entry;
        } else {
            self.index.insert(Rc::clone(&entry.key), self.entries.len());
            self.entries.push(entry);
        }
    }

    /// The entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many nodes all values consist of.
    pub(crate) fn size(&self) -> usize {
        self.entries.iter().fold(1, |sum: usize, entry| sum.saturating_add(entry.value.size))
    }
}
