//! A YAML text as a JSON value, for patches.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use serde_json::{Map, Number, Value};

/// The most values if each alias counts in full.
const MOST_VALUES: usize = 100_000;

/// The most levels.
const MOST_LEVELS: usize = 64;

/// Reads a text that holds one document.
///
/// # Errors
/// It is no YAML; the text says where.
pub(crate) fn to_json(text: &str) -> Result<Value, String> {
    let mut parser = Parser::new(StrInput::new(text));
    let mut loader = Loader::default();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| error.to_string())?;
        loader.event(event).map_err(|problem| format!("{problem} (line {})", span.start.line()))?;
    }
    Ok(loader.root.unwrap_or(Value::Null))
}

#[derive(Default)]
struct Loader {
    open: Vec<(usize, Open)>,
    anchors: HashMap<usize, (Value, usize)>,
    root: Option<Value>,
    values: usize,
}

enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

impl Loader {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
                let value = if is_text { Value::from(&*text) } else { plain(&text) };
                self.finished(value, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, Open::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(anchor, Open::Map(Map::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((anchor, open)) = self.open.pop() else { return Ok(()) };
                let value = match open {
                    Open::List(list) => Value::Array(list),
                    Open::Map(map, _) => Value::Object(map),
                };
                self.finished(value, anchor)
            }
            Event::Alias(anchor) => {
                let (value, size) = self.anchors.get(&anchor).cloned().ok_or("an alias holds itself")?;
                self.values += size;
                self.finished(value, 0)
            }
            Event::DocumentStart(_) if self.root.is_some() => Err("there is a second document".into()),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, open: Open) -> Result<(), String> {
        self.open.push((anchor, open));
        if self.open.len() > MOST_LEVELS { Err("it has too many levels".into()) } else { Ok(()) }
    }

    fn finished(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err("it holds too many values".into());
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), size(&value)));
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((_, Open::List(list))) => list.push(value),
            Some((_, Open::Map(map, key @ None))) => {
                let name = match value {
                    Value::String(name) => name,
                    Value::Array(_) | Value::Object(_) => return Err("a key is a list or a mapping".into()),
                    other => other.to_string(),
                };
                if map.contains_key(&name) {
                    return Err(format!("the key {name} is there twice"));
                }
                *key = Some(name);
            }
            Some((_, Open::Map(map, key))) => {
                if let Some(name) = key.take() {
                    map.insert(name, value);
                }
            }
        }
        Ok(())
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// What a text without quotes means, to the tools around Kubernetes.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    let is_number = text.starts_with(|letter: char| letter.is_ascii_digit() || "+-.".contains(letter));
    let float = text.parse::<f64>().ok().filter(|_| is_number);
    float.and_then(Number::from_f64).map_or_else(|| Value::from(text), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_in_yaml_is_one_in_json() {
        let text = "containers:\n- &one\n  name: build\n  tty: yes\n  env: [{name: A, value: \"1\"}]\n- *one\n\
                    a: 10\nb: 1.5\nc: ~\nd: 1.2.3\ne: |\n  two\n  lines\nf: !!str 7\n";
        let container = json!({ "name": "build", "tty": true, "env": [{ "name": "A", "value": "1" }] });
        let expected = json!({
            "containers": [container, container],
            "a": 10, "b": 1.5, "c": null, "d": "1.2.3", "e": "two\nlines\n", "f": "7",
        });
        assert_eq!(to_json(text), Ok(expected));
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_line() {
        for wrong in ["a: [1", "a: 1\na: 2\n", "--- 1\n--- 2\n", "? [a]\n: b\n", "a: &x [*x]\n"] {
            assert!(to_json(wrong).is_err(), "{wrong}");
        }
        assert_eq!(to_json("a: 1\na: 2\n"), Err("the key a is there twice (line 2)".into()));
        assert!(to_json(&"[".repeat(1000)).is_err());
    }
}
