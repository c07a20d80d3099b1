//! What stands between two slashes of a pattern.

use std::str::Chars;

use super::PatternError;

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// `**`: any number of folders.
    Folders,
    /// Exactly this name.
    Literal(Vec<u8>),
    /// A name with wildcards.
    Wild(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Letter(char),
    /// `?`
    One,
    /// `*`
    Many,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Part {
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        if text == "**" {
            return Ok(Self::Folders);
        }
        let mut tokens = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '*' if tokens.last() == Some(&Token::Many) => {}
                '*' => tokens.push(Token::Many),
                '?' => tokens.push(Token::One),
                '[' => tokens.push(class(&mut letters)?),
                '\\' => tokens.push(Token::Letter(escaped(&mut letters)?)),
                letter => tokens.push(Token::Letter(letter)),
            }
        }
        let plain = tokens.iter().map(|token| match token {
            Token::Letter(letter) => Some(*letter),
            _ => None,
        });
        Ok(plain
            .collect::<Option<String>>()
            .map_or(Self::Wild(tokens), |name| Self::Literal(name.into_bytes())))
    }

    pub(super) fn into_literal(self) -> Option<Vec<u8>> {
        match self {
            Self::Literal(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it matches one name.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Folders => true,
            Self::Literal(expected) => expected == name,
            Self::Wild(tokens) => matches(tokens, name),
        }
    }
}

/// Goes back to the last `*` only: an earlier one could do no better, so this takes at most tokens × letters steps.
fn matches(tokens: &[Token], name: &[u8]) -> bool {
    let (mut tokens, mut name) = (tokens, name);
    let mut last_many: Option<(&[Token], &[u8])> = None;
    loop {
        match (tokens.split_first(), first_letter(name)) {
            (None, None) => return true,
            (Some((Token::Many, rest)), _) => {
                last_many = Some((rest, name));
                tokens = rest;
                continue;
            }
            (Some((token, rest)), Some((letter, after))) if token.takes(letter) => {
                (tokens, name) = (rest, after);
                continue;
            }
            _ => {}
        }
        let Some((after_many, skipped)) = last_many else { return false };
        let Some((_, longer)) = first_letter(skipped) else { return false };
        last_many = Some((after_many, longer));
        (tokens, name) = (after_many, longer);
    }
}

impl Token {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Letter(expected) => *expected == letter,
            Self::One | Self::Many => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != *negated
            }
        }
    }
}

/// The first letter of a name and what follows. A byte that is no UTF-8 counts as one letter, as in Go.
fn first_letter(name: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = name.split_first()?;
    if first.is_ascii() {
        return Some((char::from(*first), rest));
    }
    let valid = (2..=4).filter_map(|length| name.split_at_checked(length)).find_map(|(letter, rest)| {
        let letter = std::str::from_utf8(letter).ok()?.chars().next()?;
        Some((letter, rest))
    });
    Some(valid.unwrap_or((char::REPLACEMENT_CHARACTER, rest)))
}

fn escaped(letters: &mut Chars<'_>) -> Result<char, PatternError> {
    letters.next().ok_or(PatternError::Malformed("it ends with a backslash"))
}

/// A class, after its opening bracket.
fn class(letters: &mut Chars<'_>) -> Result<Token, PatternError> {
    let open = || PatternError::Malformed("a \"[\" is not closed");
    let negated = letters.as_str().starts_with(['!', '^']);
    if negated {
        letters.next();
    }
    let mut ranges = Vec::new();
    loop {
        let low = match letters.next().ok_or_else(open)? {
            ']' if ranges.is_empty() => return Err(PatternError::Malformed("a \"[]\" is empty")),
            ']' => return Ok(Token::Class { negated, ranges }),
            '\\' => escaped(letters)?,
            letter => letter,
        };
        let mut ahead = letters.clone();
        let is_range = ahead.next() == Some('-') && !ahead.as_str().starts_with(']');
        let high = match is_range.then(|| ahead.next()).flatten() {
            None => {
                ranges.push((low, low));
                continue;
            }
            Some('\\') => escaped(&mut ahead)?,
            Some(letter) => letter,
        };
        *letters = ahead;
        ranges.push((low, high));
    }
}
