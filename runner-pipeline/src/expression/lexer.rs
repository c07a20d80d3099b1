//! From letters to tokens.

use super::{Fault, Operator};

/// The most tokens; GitLab's limit.
const MOST_TOKENS: usize = 100;

/// A token and its place in letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) kind: Kind,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Text(String),
    Variable(String),
    Pattern(String),
    Operator(Operator),
    Not,
    Open,
    Close,
}

/// The tokens of an expression.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let letters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut offset = 0;
    loop {
        offset += count(&letters, offset, char::is_whitespace);
        let Some(letter) = letters.get(offset) else { return Ok(tokens) };
        let next = letters.get(offset + 1).copied();
        let (length, kind) = match letter {
            '(' => (1, Kind::Open),
            ')' => (1, Kind::Close),
            '$' => variable(&letters, offset)?,
            '"' | '\'' => string(&letters, offset)?,
            '/' => pattern(&letters, offset)?,
            '=' | '!' | '&' | '|' => operator(*letter, next, offset)?,
            _ => word(&letters, offset)?,
        };
        tokens.push(Token { offset, length, kind });
        if tokens.len() > MOST_TOKENS {
            return Err(fault(offset, length, format!("more than {MOST_TOKENS} parts"), None));
        }
        offset += length;
    }
}

pub(super) fn fault(offset: usize, length: usize, message: impl Into<String>, help: Option<&str>) -> Fault {
    Fault { offset, length, message: message.into(), help: help.map(str::to_owned) }
}

fn count(letters: &[char], from: usize, fits: impl Fn(char) -> bool) -> usize {
    letters.iter().skip(from).take_while(|letter| fits(**letter)).count()
}

fn collect(letters: &[char], from: usize, length: usize) -> String {
    letters.iter().skip(from).take(length).collect()
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn variable(letters: &[char], offset: usize) -> Result<(usize, Kind), Fault> {
    let length = count(letters, offset + 1, is_word);
    if length > 0 {
        return Ok((length + 1, Kind::Variable(collect(letters, offset + 1, length))));
    }
    match letters.get(offset + 1) {
        Some('{') => Err(fault(offset, 2, "`${…}` is not understood here", Some("write `$NAME`"))),
        Some('[') => Err(fault(offset, 2, "not supported yet: `$[[ … ]]`", None)),
        _ => Err(fault(offset, 1, "a `$` without a name", Some("write `$NAME`"))),
    }
}

fn string(letters: &[char], offset: usize) -> Result<(usize, Kind), Fault> {
    let quote = letters.get(offset).copied().unwrap_or_default();
    let length = count(letters, offset + 1, |letter| letter != quote);
    if letters.get(offset + 1 + length).is_none() {
        let message = format!("a string without its closing {quote}");
        return Err(fault(offset, length + 1, message, None));
    }
    Ok((length + 2, Kind::Text(collect(letters, offset + 1, length))))
}

/// `/…/flags`; a slash inside has a backslash before it.
fn pattern(letters: &[char], offset: usize) -> Result<(usize, Kind), Fault> {
    let mut end = offset + 1;
    while letters.get(end).is_some_and(|letter| *letter != '/' || letters.get(end - 1) == Some(&'\\')) {
        end += 1;
    }
    if letters.get(end).is_none() {
        let help = Some("write `/…/`; a slash inside is `\\/`");
        return Err(fault(offset, end - offset, "a regular expression without its closing /", help));
    }
    end += 1;
    end += count(letters, end, |letter| matches!(letter, 'i' | 's' | 'm' | 'U'));
    let wrong = count(letters, end, is_word);
    if wrong > 0 {
        let flags = collect(letters, end, wrong);
        let help = Some("the flags are i, s, m and U; a slash inside is `\\/`");
        return Err(fault(end, wrong, format!("unknown flag `{flags}` of a regular expression"), help));
    }
    Ok((end - offset, Kind::Pattern(collect(letters, offset, end - offset))))
}

fn operator(letter: char, next: Option<char>, offset: usize) -> Result<(usize, Kind), Fault> {
    let operator = match (letter, next) {
        ('=', Some('=')) => Operator::Equal,
        ('=', Some('~')) => Operator::Match,
        ('!', Some('=')) => Operator::NotEqual,
        ('!', Some('~')) => Operator::NoMatch,
        ('&', Some('&')) => Operator::And,
        ('|', Some('|')) => Operator::Or,
        ('!', _) => return Ok((1, Kind::Not)),
        ('=', _) => return Err(fault(offset, 1, "unknown operator `=`", Some("write `==`"))),
        ('&', _) => return Err(fault(offset, 1, "unknown operator `&`", Some("write `&&`"))),
        _ => return Err(fault(offset, 1, "unknown operator `|`", Some("write `||`"))),
    };
    Ok((2, Kind::Operator(operator)))
}

fn word(letters: &[char], offset: usize) -> Result<(usize, Kind), Fault> {
    let length = count(letters, offset, is_word).max(1);
    let word = collect(letters, offset, length);
    match word.as_str() {
        "null" => Ok((length, Kind::Null)),
        "and" | "AND" => Err(fault(offset, length, format!("unknown operator `{word}`"), Some("write `&&`"))),
        "or" | "OR" => Err(fault(offset, length, format!("unknown operator `{word}`"), Some("write `||`"))),
        _ => {
            let help = format!("a string is in quotes (\"{word}\"), a variable has a dollar sign (${word})");
            let help = word.chars().all(is_word).then_some(help);
            Err(fault(offset, length, format!("`{word}` is not understood here"), help.as_deref()))
        }
    }
}
