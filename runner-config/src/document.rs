//! A config as a tree: where each key stands, keys in the case of the tables, and a reader that finds all mistakes.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer},
};

use crate::{
    key::join,
    table::{Section, sections},
};

/// More mistakes than this help nobody.
const MOST: usize = 100;

/// Keys of `[runners.kubernetes]` whose value has keys that are the user's own.
const MAPS: [&str; 8] = [
    "node_selector",
    "node_tolerations",
    "retry_limits",
    "pod_labels",
    "pod_annotations",
    "match_labels",
    "items",
    "volume_attributes",
];

/// Where a key stands in the text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
    /// Whether the value is neither a table nor a list.
    pub(crate) is_single: bool,
}

/// Where every key stands, by its path: `runners[0].cache.s3.AccessKey`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places(BTreeMap<String, Place>);

impl Places {
    /// The place of a key that is there.
    pub(crate) fn exact(&self, path: &str) -> Option<&Place> {
        self.0.get(path)
    }

    /// The place of a key, or of the nearest section around it.
    pub(crate) fn of(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return Some(place);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }

    /// The path of the innermost key whose value or name is at a place.
    pub(crate) fn at(&self, range: &Range<usize>) -> Option<(&str, &Place)> {
        let holds = |outer: &Range<usize>| outer.start <= range.start && range.end <= outer.end;
        let holding = self.0.iter().filter(|(_, place)| holds(&place.value) || holds(&place.key));
        holding.max_by_key(|(path, _)| path.len()).map(|(path, place)| (path.as_str(), place))
    }
}

/// A tree whose keys have the case of the tables.
pub(crate) struct Document<'text> {
    pub(crate) table: Spanned<DeTable<'text>>,
    pub(crate) places: Places,
    /// Keys that are there twice, in different case, each with the name.
    pub(crate) twice: Vec<(Range<usize>, String)>,
}

impl<'text> Document<'text> {
    pub(crate) fn new(table: Spanned<DeTable<'text>>) -> Self {
        let span = table.span();
        let mut reader = Fold { sections: sections(), places: Places::default(), twice: Vec::new() };
        let table = reader.table(table.into_inner(), "", "");
        Self { table: Spanned::new(span, table), places: reader.places, twice: reader.twice }
    }
}

struct Fold {
    sections: Vec<Section>,
    places: Places,
    twice: Vec<(Range<usize>, String)>,
}

impl Fold {
    /// `section` is the path without indexes.
    fn table<'text>(&mut self, table: DeTable<'text>, path: &str, section: &str) -> DeTable<'text> {
        let mut folded = DeTable::new();
        self.fold_into(&mut folded, table, path, section);
        folded
    }

    fn fold_into<'text>(
        &mut self,
        folded: &mut DeTable<'text>,
        table: DeTable<'text>,
        path: &str,
        section: &str,
    ) {
        for (key, value) in table {
            let (key_span, value_span) = (key.span(), value.span());
            let name = self.canonical(section, key.get_ref());
            let (path, section) = (join(path, &name), join(section, &name));
            match (folded.get_mut(name.as_str()).map(Spanned::get_mut), value.into_inner()) {
                // Headers of one section may differ in their case.
                (Some(DeValue::Table(known)), DeValue::Table(more)) => {
                    self.fold_into(known, more, &path, &section);
                }
                (Some(_), _) => self.twice.push((key_span, name)),
                (None, value) => {
                    self.note(&path, &key_span, &value_span, &value);
                    let value = self.value(value, &path, &section);
                    folded.insert(Spanned::new(key_span, Cow::Owned(name)), Spanned::new(value_span, value));
                }
            }
        }
    }

    fn note(&mut self, path: &str, key: &Range<usize>, value: &Range<usize>, what: &DeValue<'_>) {
        let is_single = !matches!(what, DeValue::Table(_) | DeValue::Array(_));
        self.places.0.insert(path.to_owned(), Place { key: key.clone(), value: value.clone(), is_single });
    }

    fn value<'text>(&mut self, value: DeValue<'text>, path: &str, section: &str) -> DeValue<'text> {
        match value {
            DeValue::Table(table) => DeValue::Table(self.table(table, path, section)),
            DeValue::Array(mut array) => {
                for (index, element) in array.iter_mut().enumerate() {
                    let path = format!("{path}[{index}]");
                    let span = element.span();
                    let inner = std::mem::replace(element.get_mut(), DeValue::Boolean(false));
                    self.note(&path, &span, &span, &inner);
                    *element.get_mut() = self.value(inner, &path, section);
                }
                DeValue::Array(array)
            }
            other => other,
        }
    }

    /// The name as the tables have it. GitLab Runner does not look at the case of keys.
    fn canonical(&self, section: &str, name: &str) -> String {
        if let Some(known) = self.sections.iter().find(|known| known.path == section) {
            let found = known.keys.iter().find(|key| key.name.eq_ignore_ascii_case(name));
            return found.map_or(name, |key| key.name).to_owned();
        }
        let is_own = || section.split('.').any(|part| MAPS.contains(&part));
        if section.starts_with("runners.kubernetes.") && !is_own() {
            return name.to_ascii_lowercase();
        }
        name.to_owned()
    }
}

/// Reads a value, and tells each mistake with its place: what is wrong is left out, and the rest is read again.
/// `None`: not even the rest could be read.
pub(crate) fn read<T: DeserializeOwned>(
    mut table: Spanned<DeTable<'_>>,
    mut on_mistake: impl FnMut(Range<usize>, &str),
) -> Option<T> {
    for _ in 0..MOST {
        let error = match T::deserialize(Deserializer::from(table.clone())) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        on_mistake(span.clone(), error.message());
        if !prune_table(table.get_mut(), &span) {
            return None;
        }
    }
    None
}

/// Takes out the innermost key whose name or value is at `span`. Whether there was one.
fn prune_table(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let holds = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    for (_, value) in table.iter_mut() {
        if prune_value(value.get_mut(), span) {
            return true;
        }
    }
    let found = table.iter().find(|(key, value)| holds(key.span()) || holds(value.span()));
    let Some(name) = found.map(|(key, _)| key.get_ref().clone().into_owned()) else { return false };
    table.remove(name.as_str()).is_some()
}

fn prune_value(value: &mut DeValue<'_>, span: &Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => prune_table(table, span),
        DeValue::Array(array) => array.iter_mut().any(|element| prune_value(element.get_mut(), span)),
        _ => false,
    }
}
