//! What an expression comes to.

use std::{cell::RefCell, collections::HashMap};

use regex::Regex;

use super::{Expression, Operator, pattern};

/// Regular expressions that were compiled already: jobs share most of theirs.
#[derive(Debug, Default)]
pub(crate) struct Patterns(RefCell<HashMap<String, Result<Regex, String>>>);

/// A value on the way to the result.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'a> {
    Null,
    Bool(bool),
    Text(&'a str),
    Pattern(&'a str),
}

impl Value<'_> {
    /// True within `&&` and `||`.
    fn is_true(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    /// True as a result.
    fn is_present(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => false,
            Self::Bool(true) | Self::Pattern(_) => true,
            Self::Text(text) => !text.trim().is_empty(),
        }
    }
}

impl Expression {
    /// Whether it holds; `variable` gives the values of variables as they are, without expansion.
    pub(crate) fn holds<'a>(
        &'a self,
        variable: &impl Fn(&str) -> Option<&'a str>,
        patterns: &Patterns,
    ) -> bool {
        self.evaluate(variable, patterns).is_present()
    }

    fn evaluate<'a>(&'a self, variable: &impl Fn(&str) -> Option<&'a str>, patterns: &Patterns) -> Value<'a> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(text),
            Self::Variable(name) => variable(name).map_or(Value::Null, Value::Text),
            Self::Pattern(written) => Value::Pattern(written),
            Self::Not(inner) => Value::Bool(!inner.evaluate(variable, patterns).is_present()),
            Self::Two(operator, left, right) => {
                let left = left.evaluate(variable, patterns);
                match operator {
                    Operator::And if !left.is_true() => left,
                    Operator::Or if left.is_true() => left,
                    Operator::And | Operator::Or => right.evaluate(variable, patterns),
                    Operator::Equal => Value::Bool(left == right.evaluate(variable, patterns)),
                    Operator::NotEqual => Value::Bool(left != right.evaluate(variable, patterns)),
                    Operator::Match => {
                        Value::Bool(patterns.matches(&left, &right.evaluate(variable, patterns)))
                    }
                    Operator::NoMatch => {
                        Value::Bool(!patterns.matches(&left, &right.evaluate(variable, patterns)))
                    }
                }
            }
        }
    }
}

impl Patterns {
    /// Whether `written` is a regular expression; the error is what is wrong.
    pub(super) fn check(&self, written: &str) -> Result<(), String> {
        self.with(written, |compiled| compiled.as_ref().map(|_| ()).map_err(Clone::clone))
    }

    /// Whether a text matches what may be a regular expression, or a string that holds one. GitLab looks for the text
    /// in a string that holds none.
    fn matches(&self, left: &Value<'_>, right: &Value<'_>) -> bool {
        let text = match left {
            Value::Text(text) | Value::Pattern(text) => text,
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Null => "",
        };
        match right {
            Value::Null | Value::Bool(_) => false,
            Value::Text(written) | Value::Pattern(written) => self.with(written, |compiled| match compiled {
                Ok(regex) => regex.is_match(text),
                Err(_) => written.contains(text),
            }),
        }
    }

    fn with<T>(&self, written: &str, answer: impl FnOnce(&Result<Regex, String>) -> T) -> T {
        let mut known = self.0.borrow_mut();
        if let Some(compiled) = known.get(written) {
            return answer(compiled);
        }
        let compiled = pattern::compile_delimited(written);
        let result = answer(&compiled);
        known.insert(written.to_owned(), compiled);
        result
    }
}
