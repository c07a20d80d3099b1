//! Variables that a person keeps in a file beside the pipeline's, as GitLab keeps them in a project's settings.
//!
//! A file that ends in `.yml` or `.yaml` maps names to values, or to `{value, masked, file, raw}`; any other is `.env`:
//! lines of `NAME=VALUE`, with comments, quotes and `export` as shells know them.

use runner_core::job::{Variable, Variables};

use crate::{
    diagnostic::{Diagnostics, Mistakes},
    yaml::{self, Entry, Node, Span, Value},
};

mod lines;

/// The keys of a variable that is written as a mapping.
const KEYS: [&str; 4] = ["value", "masked", "file", "raw"];

/// The variables in `text`, which is the content of the file named `file_name`.
///
/// # Errors
/// All mistakes at once, each with its line.
pub fn parse_variables(file_name: &str, text: &str) -> Result<Variables, Diagnostics> {
    let ending = file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let mistakes = Mistakes::new(file_name, text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let variables = match ending.as_deref() {
        Some("yml" | "yaml") => from_yaml(text, &mistakes),
        _ => lines::read(text, &mistakes),
    };
    match mistakes.finish() {
        Ok(_) => Ok(Variables(variables)),
        Err(diagnostics) => Err(for_variables(diagnostics)),
    }
}

/// The tree is read as that of a pipeline is; what it says of a file that is no mapping must fit variables.
fn for_variables(mut diagnostics: Diagnostics) -> Diagnostics {
    for diagnostic in &mut diagnostics.0 {
        if diagnostic.message.starts_with("the file must be a mapping") {
            diagnostic.help = Some("a variable is `NAME: value`".to_owned());
        }
    }
    diagnostics
}

fn from_yaml(text: &str, mistakes: &Mistakes<'_>) -> Vec<Variable> {
    let is_blank = |line: &str| matches!(line.trim(), "" | "---") || line.trim_start().starts_with('#');
    if text.lines().all(is_blank) {
        return Vec::new();
    }
    let Some(root) = yaml::load(text, mistakes) else { return Vec::new() };
    let Some(map) = root.as_map() else { return Vec::new() };
    map.iter().filter_map(|entry| variable(entry, mistakes)).collect()
}

fn variable(entry: &Entry, mistakes: &Mistakes<'_>) -> Option<Variable> {
    check_name(&entry.key, entry.key_span, mistakes);
    let plain = |value: String| Variable { public: false, ..Variable::new(&*entry.key, value) };
    let Value::Map(map) = &entry.value.value else { return scalar(&entry.value, mistakes).map(plain) };
    for part in map.iter().filter(|part| !KEYS.contains(&&*part.key)) {
        let message = format!("a variable has no `{}`", part.key);
        let help = format!("it has {}", KEYS.map(|key| format!("`{key}`")).join(", "));
        mistakes.unknown(part.key_span, message, (&part.key, KEYS), Some(help));
    }
    let flag = |key: &str| match map.value(key).map(|node| (node, &node.value)) {
        Some((_, Value::Bool(flag))) => *flag,
        Some((node, _)) => {
            mistakes.error(node.span, format!("`{key}` is `true` or `false`, not {}", node.kind()));
            false
        }
        None => false,
    };
    let Some(value) = map.get("value") else {
        mistakes.error_with_help(
            entry.key_span,
            format!("the variable `{}` has no `value`", entry.key),
            "add `value:`",
        );
        return None;
    };
    let value = scalar(&value.value, mistakes)?;
    Some(Variable { masked: flag("masked"), file: flag("file"), raw: flag("raw"), ..plain(value) })
}

fn scalar(node: &Node, mistakes: &Mistakes<'_>) -> Option<String> {
    match &node.value {
        Value::List(_) | Value::Map(_) => {
            mistakes.error_with_help(
                node.span,
                format!("the value of a variable is a string, not {}", node.kind()),
                "put it in quotes",
            );
            None
        }
        Value::Broken => None,
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {
            Some(node.to_string())
        }
    }
}

fn check_name(name: &str, span: Span, mistakes: &Mistakes<'_>) {
    let starts_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    if !starts_well || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        mistakes.error_with_help(
            span,
            format!("{name:?} is no name of a variable"),
            "a name has letters, digits and underscores, and starts with no digit",
        );
    }
}

#[cfg(test)]
mod tests;
