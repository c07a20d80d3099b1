//! Regular expressions: those of GitLab are RE2's, ours are of the crate `regex`, which differs in details.

use regex::Regex;

/// Compiles `/…/flags`. The error is what is wrong, in one line.
pub(crate) fn compile_delimited(written: &str) -> Result<Regex, String> {
    let (body, flags) = written
        .strip_prefix('/')
        .and_then(|rest| rest.rsplit_once('/'))
        .filter(|(_, flags)| flags.chars().all(|flag| matches!(flag, 'i' | 's' | 'm' | 'U')))
        .ok_or_else(|| "it must be between slashes".to_owned())?;
    if body.is_empty() {
        return Err("it is empty".to_owned());
    }
    let body = translate(&body.replace("\\/", "/"));
    let pattern = if flags.is_empty() { body } else { format!("(?{flags}){body}") };
    Regex::new(&pattern).map_err(|error| reason(&error))
}

/// The last line of the error, which is the one that says what is wrong.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// Writes a pattern of RE2 so that the crate `regex` takes it for the same: classes such as `\d` are of ASCII alone,
/// brackets within brackets are letters, and so is a brace that counts nothing.
fn translate(pattern: &str) -> String {
    let letters: Vec<char> = pattern.chars().collect();
    let mut result = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut index = 0;
    while let Some(letter) = letters.get(index) {
        let next = letters.get(index + 1).copied();
        match (letter, next) {
            ('\\', Some(escaped)) => {
                escape(escaped, in_class, &mut result);
                index += 1;
            }
            ('[', _) if !in_class => {
                in_class = true;
                index += open_class(&letters, index, &mut result);
            }
            ('[', Some(':')) if in_class => index += posix_class(&letters, index, &mut result),
            ('[', _) => result.push_str("\\["),
            (']', _) if in_class => {
                in_class = false;
                result.push(']');
            }
            ('&' | '~', _) if in_class => {
                result.push('\\');
                result.push(*letter);
            }
            ('{', _) if !in_class && !counts(&letters, index) => result.push_str("\\{"),
            ('-', Some('-')) if in_class => result.push_str("\\-"),
            _ => result.push(*letter),
        }
        index += 1;
    }
    result
}

fn escape(escaped: char, in_class: bool, result: &mut String) {
    match escaped {
        'd' => result.push_str("[0-9]"),
        'D' => result.push_str("[^0-9]"),
        's' => result.push_str("[\\t\\n\\f\\r ]"),
        'S' => result.push_str("[^\\t\\n\\f\\r ]"),
        'w' => result.push_str("[0-9A-Za-z_]"),
        'W' => result.push_str("[^0-9A-Za-z_]"),
        'b' if !in_class => result.push_str("(?-u:\\b)"),
        // These are letters to RE2; the crate `regex` knows no such escapes.
        '_' | '"' | '\'' | '`' | '/' | '@' | '%' | '=' | ',' | ':' | ';' | '!' | '<' | '>' | ' ' => {
            result.push(escaped);
        }
        _ => {
            result.push('\\');
            result.push(escaped);
        }
    }
}

/// `[`, `[^`, and a `]` that comes first and is a letter. Returns how many letters that were after the `[`.
fn open_class(letters: &[char], index: usize, result: &mut String) -> usize {
    result.push('[');
    let mut taken = 0;
    if letters.get(index + 1) == Some(&'^') {
        result.push('^');
        taken += 1;
    }
    if letters.get(index + taken + 1) == Some(&']') {
        result.push_str("\\]");
        taken += 1;
    }
    taken
}

/// `[:alpha:]` within brackets. Returns how many letters that were after the `[`.
fn posix_class(letters: &[char], index: usize, result: &mut String) -> usize {
    let name =
        letters.iter().skip(index + 2).take_while(|letter| letter.is_ascii_lowercase() || **letter == '^');
    let length = name.clone().count();
    let closed =
        letters.get(index + 2 + length) == Some(&':') && letters.get(index + 3 + length) == Some(&']');
    if !closed {
        result.push_str("\\[");
        return 0;
    }
    result.push_str("[:");
    result.extend(name);
    result.push_str(":]");
    length + 3
}

/// Whether a `{` begins a repetition.
fn counts(letters: &[char], index: usize) -> bool {
    let inner: String = letters.iter().skip(index + 1).take_while(|letter| **letter != '}').collect();
    let closed = letters.get(index + 1 + inner.chars().count()) == Some(&'}');
    let (from, to) = inner.split_once(',').unwrap_or((&inner, ""));
    let is_number = |part: &str| part.chars().all(|digit| digit.is_ascii_digit());
    closed && !from.is_empty() && is_number(from) && is_number(to)
        // `\x{10FFFF}` and `\p{Greek}` are no repetitions, but must stay as they are.
        || index >= 2
            && letters.get(index - 2) == Some(&'\\')
            && matches!(letters.get(index - 1), Some('x' | 'p' | 'P'))
}
