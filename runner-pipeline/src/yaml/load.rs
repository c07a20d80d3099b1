//! From the events of the YAML parser to a tree.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::{
    Entry, Map, Node, Span, Style, Value,
    key::{Key, KeyKind, key_of, merge},
    scalar,
};
use crate::diagnostic::Mistakes;

/// The most bytes of a file; GitLab's limit.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// The most levels; GitLab's limit.
const MOST_LEVELS: usize = 100;

/// The most nodes if each alias counts in full.
const MOST_NODES: usize = 1_000_000;

/// Reads a file that holds one mapping. `None`: it does not, and the mistake is noted.
pub(crate) fn load(text: &str, mistakes: &Mistakes<'_>) -> Option<Rc<Node>> {
    let start = Span { line: 1, column: 1, length: 1 };
    if text.len() > MOST_BYTES {
        let message = format!("the file has {} bytes; the limit is {MOST_BYTES}", text.len());
        mistakes.error(start, message);
        return None;
    }
    let root = Loader::new(mistakes).run(text)?;
    match &root.value {
        Value::Map(_) => Some(root),
        Value::Broken => None,
        Value::Null => {
            mistakes.error_with_help(
                start,
                "the file is empty",
                "a pipeline is at least one job with a `script`",
            );
            None
        }
        _ => {
            let message = format!("the file must be a mapping, but is {}", root.kind());
            mistakes.error_with_help(
                root.span,
                message,
                "a job is `name:`, and below it, indented, `script:`",
            );
            None
        }
    }
}

struct Loader<'check, 'text> {
    mistakes: &'check Mistakes<'text>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    /// Anchors of nodes that are still open: an alias to one of them would hold itself.
    unfinished: HashSet<usize>,
    root: Option<Rc<Node>>,
    /// Entries that merge keys brought in.
    merged: usize,
}

/// A list or a mapping that is not complete yet.
struct Open {
    span: Span,
    anchor: usize,
    broken: bool,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map { map: Map, own: HashMap<Rc<str>, Span>, key: Option<Key> },
}

/// The file cannot be read any further; the mistake is noted.
struct Stop;

impl<'check, 'text> Loader<'check, 'text> {
    fn new(mistakes: &'check Mistakes<'text>) -> Self {
        Self {
            mistakes,
            open: Vec::new(),
            anchors: HashMap::new(),
            unfinished: HashSet::new(),
            root: None,
            merged: 0,
        }
    }

    fn run(mut self, text: &str) -> Option<Rc<Node>> {
        let mut parser = Parser::new(StrInput::new(text));
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    self.invalid(&error);
                    return None;
                }
            };
            let place = self.place(span);
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        self.mistakes.unsupported(place, "more than one document in a file");
                        return None;
                    }
                }
                Event::StreamEnd => break,
                event => self.event(event, span, place).ok()?,
            }
        }
        Some(self.root.unwrap_or_else(|| Rc::new(leaf(Span::default(), Value::Null, Style::Other))))
    }

    fn event(&mut self, event: Event<'_>, span: saphyr_parser::Span, place: Span) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let one_line = span.start.line() == span.end.line();
                let node = self.scalar(&text, (style, one_line), tag.as_deref(), place);
                self.finished(node, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(place, anchor, tag.as_deref(), Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map { map: Map::default(), own: HashMap::new(), key: None };
                self.begin(place, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(()),
        }
    }

    fn scalar(
        &self,
        text: &str,
        (style, one_line): (ScalarStyle, bool),
        tag: Option<&Tag>,
        place: Span,
    ) -> Node {
        let resolved = match tag {
            None if style == ScalarStyle::Plain => scalar::resolve(text),
            None => Value::Text(text.into()),
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Value::Text(text.into()),
            Some(tag) if tag.is_yaml_core_schema() && is_scalar_tag(&tag.suffix) => scalar::resolve(text),
            Some(tag) => {
                self.tag(tag, place);
                Value::Broken
            }
        };
        let style = match style {
            ScalarStyle::Plain if one_line => Style::Plain,
            ScalarStyle::SingleQuoted if one_line => Style::Single,
            ScalarStyle::DoubleQuoted if one_line => Style::Double,
            _ => Style::Other,
        };
        leaf(place, resolved, style)
    }

    fn begin(&mut self, span: Span, anchor: usize, tag: Option<&Tag>, content: Content) -> Result<(), Stop> {
        if self.open.len() >= MOST_LEVELS {
            self.mistakes.error(span, format!("more than {MOST_LEVELS} levels"));
            return Err(Stop);
        }
        let is_map = matches!(content, Content::Map { .. });
        let fits = tag
            .is_none_or(|tag| tag.is_yaml_core_schema() && tag.suffix == if is_map { "map" } else { "seq" });
        if let (false, Some(tag)) = (fits, tag) {
            self.tag(tag, span);
        }
        if anchor > 0 {
            self.unfinished.insert(anchor);
        }
        self.open.push(Open { span, anchor, broken: !fits, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.unfinished.remove(&open.anchor);
        let (size, depth, value) = match open.content {
            Content::List(items) => {
                let size = items.iter().fold(1, |sum: usize, item| sum.saturating_add(item.size));
                (size, items.iter().map(|item| item.depth).max(), Value::List(items))
            }
            Content::Map { map, .. } => {
                (map.size(), map.iter().map(|entry| entry.value.depth).max(), Value::Map(map))
            }
        };
        let depth = depth.unwrap_or_default() + 1;
        if size > MOST_NODES || depth > MOST_LEVELS {
            let message =
                format!("aliases make this larger than {MOST_NODES} values or {MOST_LEVELS} levels");
            self.mistakes.error(open.span, message);
            return Err(Stop);
        }
        let value = if open.broken { Value::Broken } else { value };
        self.finished(Node { span: open.span, value, style: Style::Other, size, depth }, open.anchor)
    }

    fn alias(&mut self, anchor: usize, place: Span) -> Result<(), Stop> {
        let node = if self.unfinished.contains(&anchor) {
            self.mistakes.error(place, "this alias is part of what it names");
            Rc::new(leaf(place, Value::Broken, Style::Other))
        } else if let Some(node) = self.anchors.get(&anchor) {
            Rc::clone(node)
        } else {
            self.mistakes.error(place, "nothing is named by this alias");
            Rc::new(leaf(place, Value::Broken, Style::Other))
        };
        self.attach(node, place)
    }

    fn finished(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        let place = node.span;
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node, place)
    }

    /// Puts a node where it belongs: it is a key, a value, an item, or all of the file.
    fn attach(&mut self, node: Rc<Node>, place: Span) -> Result<(), Stop> {
        let Some(Open { content, .. }) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match content {
            Content::List(items) => items.push(node),
            Content::Map { map, own, key } => match key.take() {
                None => *key = Some(key_of(&node, place, own, self.mistakes)),
                Some(key) if key.kind == KeyKind::Broken => {}
                Some(key) if key.kind == KeyKind::Merge => {
                    self.merged += merge(map, &node, key.span, self.mistakes);
                    if self.merged > MOST_NODES {
                        self.mistakes
                            .error(key.span, format!("`<<` brings in more than {MOST_NODES} values"));
                        return Err(Stop);
                    }
                }
                Some(key) => map.set(Entry { key: key.text, key_span: key.span, value: node }),
            },
        }
        Ok(())
    }

    fn tag(&self, tag: &Tag, place: Span) {
        self.mistakes.unsupported(place, &format!("`{tag}`"));
    }

    fn invalid(&self, error: &ScanError) {
        let source = self.mistakes.source();
        let mark = error.marker();
        let (line, column) = source.shown(mark.line(), mark.col() + 1);
        let tab = source
            .line(line)
            .chars()
            .take_while(|letter| letter.is_whitespace())
            .position(|letter| letter == '\t');
        if let Some(tab) = tab {
            let span = Span { line, column: tab + 1, length: 1 };
            return self.mistakes.error_with_help(span, "a tab in the indentation", "indent with spaces");
        }
        let length = source.rest(line, column);
        let span = Span { line, column, length: length.clamp(1, 80) };
        let info = error.info();
        if info.contains("unknown anchor") {
            let name: String =
                source.line(line).chars().skip(column).take_while(|letter| !letter.is_whitespace()).collect();
            let help = format!("define it further up, as in `&{name}`");
            return self.mistakes.error_with_help(span, format!("`*{name}` names nothing"), help);
        }
        let help = if info.contains("mapping values are not allowed") {
            "a text that holds a colon and a space must be in quotes"
        } else {
            "look at the indentation, at quotes and at brackets, in this line and before it"
        };
        self.mistakes.error_with_help(span, format!("this is no valid YAML: {info}"), help);
    }

    fn place(&self, span: saphyr_parser::Span) -> Span {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let rest = self.mistakes.source().rest(line, column);
        let length = if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col()).min(rest)
        } else {
            rest
        };
        Span { line, column, length }
    }
}

fn leaf(span: Span, value: Value, style: Style) -> Node {
    Node { span, value, style, size: 1, depth: 1 }
}

fn is_scalar_tag(suffix: &str) -> bool {
    matches!(suffix, "int" | "float" | "bool" | "null")
}
