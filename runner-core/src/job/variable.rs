//! Variables of a job: order, expansion, and which of them are files or secrets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One variable. Printed for whoever looks for a fault, it shows its value only where that is for anybody.
#[expect(clippy::struct_excessive_bools, reason = "the four flags are independent, and these are GitLab's")]
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Variable {
    /// The name.
    pub key: String,
    /// The value, before expansion.
    pub value: String,
    /// It may be shown to anybody.
    pub public: bool,
    /// Its value never shows in a log.
    pub masked: bool,
    /// The job gets the path of a file that holds the value.
    pub file: bool,
    /// The value is taken as it is, without expansion.
    pub raw: bool,
}

impl Variable {
    /// A public variable whose value is taken as it is.
    pub fn raw(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), public: true, raw: true, ..Self::default() }
    }

    /// A variable whose value may refer to others.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), public: true, ..Self::default() }
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, public, masked, file, raw } = self;
        let value = if *public && !*masked { value.as_str() } else { "[hidden]" };
        let mut shown = formatter.debug_struct("Variable");
        shown.field("key", key).field("value", &value).field("public", public).field("masked", masked);
        shown.field("file", file).field("raw", raw).finish()
    }
}

/// The variables of a job, in order. Keys may repeat: the last one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(pub Vec<Variable>);

impl Variables {
    /// The variable that counts for `key`.
    pub fn get(&self, key: &str) -> Option<&Variable> {
        self.0.iter().rev().find(|variable| variable.key == key)
    }

    /// The expanded value for `key`, or an empty string.
    pub fn value(&self, key: &str) -> String {
        match self.get(key) {
            Some(variable) if variable.raw => variable.value.clone(),
            Some(variable) => self.expand(&variable.value),
            None => String::new(),
        }
    }

    /// Whether `key` is set to something that GitLab takes for true: `true`, `1`, `yes` and the like.
    pub fn is_true(&self, key: &str) -> bool {
        matches!(self.value(key).to_ascii_lowercase().as_str(), "true" | "1" | "t" | "yes")
    }

    /// Adds a variable, which then counts for its key.
    pub fn push(&mut self, variable: Variable) {
        self.0.push(variable);
    }

    /// The same variables, each expanded: those of the processes of a job.
    #[must_use]
    pub fn expanded(&self) -> Self {
        let expanded = |variable: &Variable| Variable {
            value: if variable.raw { variable.value.clone() } else { self.expand(&variable.value) },
            raw: true,
            ..variable.clone()
        };
        Self(self.0.iter().map(expanded).collect())
    }

    /// Replaces each `$NAME` and `${NAME}` in `text` by the variable's value, once: what a value brings in is not
    /// expanded again. `$$` is a dollar sign, an unknown name is nothing, as in GitLab Runner.
    pub fn expand(&self, text: &str) -> String {
        expand(text, |name| self.get(name).map(|variable| variable.value.clone()).unwrap_or_default())
    }
}

/// Replaces each `$NAME` and `${NAME}` in `text` by what `value_of` gives, and `$$` by a dollar sign.
pub fn expand(text: &str, value_of: impl Fn(&str) -> String) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((name, after)) = braced_name(rest).or_else(|| plain_name(rest)) {
            result.push_str(&value_of(name));
            rest = after;
        } else {
            result.push('$');
        }
    }
    result.push_str(rest);
    result
}

fn plain_name(text: &str) -> Option<(&str, &str)> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let end = text.find(|letter| !is_part(letter)).unwrap_or(text.len());
    let starts_well = text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    starts_well.then(|| text.split_at(end))
}

fn braced_name(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let (all, more) = plain_name(name)?;
    (more.is_empty()).then_some((all, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let variables =
            Variables(vec![Variable::new("A", "first"), Variable::new("A", "1"), Variable::new("B", "$A")]);
        assert_eq!(variables.expand(text), expected, "{text}");
    }

    #[test]
    fn expansion_is_that_of_gitlab_runner() {
        check("$A ${A} x${A}y", "1 1 x1y");
        check("$B", "$A");
        check("$$A", "$A");
        check("$unknown|${unknown}|", "||");
        check("cost: 5$ and ${", "cost: 5$ and ${");
        check("ä$Aö", "ä1ö");
        check("${A:-x}", "${A:-x}");
    }

    #[test]
    fn the_last_value_counts() {
        let variables = Variables(vec![Variable::new("A", "1"), Variable::new("A", "2")]);
        assert_eq!(variables.value("A"), "2");
    }

    #[test]
    fn debug_shows_only_values_that_are_for_anybody() {
        let shown = |variable: Variable| format!("{variable:?}").contains("the-value");
        let variable = Variable { public: true, ..Variable::raw("KEY", "the-value") };
        assert!(shown(variable.clone()));
        assert!(!shown(Variable { masked: true, ..variable.clone() }));
        assert!(!shown(Variable { public: false, ..variable }));
    }
}
