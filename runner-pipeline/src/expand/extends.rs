//! `extends`: a job takes over what others have, and its own keywords count more. Mappings are merged at every level,
//! anything else is replaced.

use std::{collections::HashMap, rc::Rc};

use crate::{
    diagnostic::Mistakes,
    syntax::value,
    yaml::{Entry, Map, Node, Span, Style, Value},
};

/// How many jobs may extend each other in a row; GitLab's limit.
const MOST_LEVELS: usize = 11;

/// The most entries that all merging together may touch.
const MOST_MERGED: usize = 5_000_000;

/// Merges jobs, each once.
pub(super) struct Extends<'a, 'text> {
    file: &'a Map,
    check: &'a Mistakes<'text>,
    known: HashMap<Rc<str>, Merged>,
    touched: usize,
}

/// A job with everything merged in; no map where that cannot be done, which was noted.
#[derive(Clone)]
struct Merged {
    map: Option<Rc<Map>>,
    levels: usize,
}

impl<'a, 'text> Extends<'a, 'text> {
    pub(super) fn new(file: &'a Map, check: &'a Mistakes<'text>) -> Self {
        Self { file, check, known: HashMap::new(), touched: 0 }
    }

    /// The mapping of a job with everything merged in; empty where it is no mapping.
    pub(super) fn of(&mut self, entry: &'a Entry) -> Option<Rc<Map>> {
        if entry.value.as_map().is_none() {
            return Some(Rc::default());
        }
        self.merged(entry, &mut Vec::new()).map
    }

    fn merged(&mut self, entry: &'a Entry, path: &mut Vec<&'a str>) -> Merged {
        if let Some(known) = self.known.get(&entry.key) {
            return known.clone();
        }
        let nothing = Merged { map: None, levels: 0 };
        let Some(own) = entry.value.as_map() else { return nothing };
        let Some(extends) = own.value("extends") else {
            let merged = Merged { map: Some(Rc::new(own.clone())), levels: 0 };
            self.known.insert(Rc::clone(&entry.key), merged.clone());
            return merged;
        };
        path.push(&entry.key);
        let merged = self.with_bases(own, extends, path);
        path.pop();
        let merged = if merged.levels > MOST_LEVELS {
            self.too_deep(extends.span, &entry.key);
            nothing
        } else {
            merged
        };
        // What failed is not tried again, not even where it would be right by itself: that keeps this linear.
        self.known.insert(Rc::clone(&entry.key), merged.clone());
        merged
    }

    fn with_bases(&mut self, own: &'a Map, extends: &'a Node, path: &mut Vec<&'a str>) -> Merged {
        let mut result = Map::default();
        let mut levels = 0;
        let mut complete = true;
        for (name, span) in self.names(extends) {
            let base = self.base(name, span, path);
            match base.map {
                Some(map) => {
                    levels = levels.max(base.levels + 1);
                    self.touched = self.touched.saturating_add(map.size());
                    merge(&mut result, &map);
                }
                None => complete = false,
            }
        }
        self.touched = self.touched.saturating_add(own.size());
        if self.touched > MOST_MERGED {
            self.check.error(extends.span, format!("`extends` brings in more than {MOST_MERGED} values"));
            complete = false;
        }
        if complete {
            merge(&mut result, own);
        }
        Merged { map: complete.then(|| Rc::new(result)), levels }
    }

    fn base(&mut self, name: &'a str, span: Span, path: &mut Vec<&'a str>) -> Merged {
        let nothing = Merged { map: None, levels: 0 };
        if let Some(start) = path.iter().position(|other| *other == name) {
            self.cycle(path.get(start..).unwrap_or_default());
            return nothing;
        }
        if path.len() > MOST_LEVELS {
            self.too_deep(span, path.first().copied().unwrap_or_default());
            return nothing;
        }
        let Some(entry) = self.file.get(name).filter(|entry| !super::is_keyword(&entry.key)) else {
            let candidates = self.file.iter().map(|entry| &*entry.key).filter(|key| !super::is_keyword(key));
            let message = format!("unknown job `{name}` in `extends`");
            self.check.unknown(span, message, (name, candidates), None);
            return nothing;
        };
        match &entry.value.value {
            Value::Map(_) => self.merged(entry, path),
            Value::Broken => nothing,
            _ => {
                let message = format!("`{name}` cannot be extended: it is {}", entry.value.kind());
                self.check.error_with_help(
                    span,
                    message,
                    "only mappings can be extended; for others use `*aliases`",
                );
                nothing
            }
        }
    }

    /// Notes a cycle once, wherever it was entered.
    fn cycle(&self, names: &[&str]) {
        let mut names = names.to_vec();
        let first = names.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(index, _)| index);
        names.rotate_left(first);
        let Some(name) = names.first() else { return };
        let span = self
            .file
            .get(name)
            .and_then(|entry| entry.value.as_map()?.value("extends").map(|node| node.span));
        let way = names.iter().chain([name]).copied().collect::<Vec<_>>().join(" → ");
        self.check.error(span.unwrap_or_default(), format!("`{name}` extends itself: {way}"));
    }

    fn too_deep(&self, span: Span, first: &str) {
        let message = format!("more than {MOST_LEVELS} jobs extend each other in a row");
        self.check.error_with_help(span, message, format!("the row begins with `{first}`"));
    }

    fn names(&self, extends: &'a Node) -> Vec<(&'a str, Span)> {
        match &extends.value {
            Value::Text(name) => vec![(name, extends.span)],
            Value::List(items) => items
                .iter()
                .filter_map(|item| {
                    if let Value::Text(name) = &item.value {
                        return Some((&**name, item.span));
                    }
                    value::text(item, "an item of `extends`", self.check);
                    None
                })
                .collect(),
            _ => {
                value::text_or_texts(extends, "extends", self.check);
                Vec::new()
            }
        }
    }
}

/// Merges `other` into `map`, and counts more.
fn merge(map: &mut Map, other: &Map) {
    for entry in other.iter() {
        let both = match (map.get(&entry.key).map(|old| &old.value.value), &entry.value.value) {
            (Some(Value::Map(old)), Value::Map(new)) => Some((old.clone(), new)),
            _ => None,
        };
        match both {
            Some((mut old, new)) => {
                merge(&mut old, new);
                let value = Rc::new(mapping(old, entry.value.span));
                map.set(Entry { key: Rc::clone(&entry.key), key_span: entry.key_span, value });
            }
            None => map.set(entry.clone()),
        }
    }
}

fn mapping(map: Map, span: Span) -> Node {
    let depth = map.iter().map(|entry| entry.value.depth).max().unwrap_or_default() + 1;
    Node { span, size: map.size(), depth, value: Value::Map(map), style: Style::Other }
}
