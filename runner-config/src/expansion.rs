//! Values in which `$NAME` and `${NAME}` are variables of the environment.

use std::collections::BTreeSet;

use runner_core::{Secret, job::variable::expand};
use serde::Deserialize;

/// A text in which variables are replaced wherever they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct EnvText(pub(crate) String);

/// A secret that may be a variable as a whole: `$NAME` or `${NAME}`. A dollar sign within one is a letter like any
/// other, as passwords have them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct EnvSecret(pub(crate) Secret);

/// A value after its expansion, and the variables that are not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expanded<T> {
    pub(crate) value: T,
    pub(crate) unset: BTreeSet<String>,
}

impl EnvText {
    pub(crate) fn expand<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> Expanded<String> {
        let unset = std::cell::RefCell::new(BTreeSet::new());
        let value = expand(&self.0, |name| {
            if let Some(value) = value_of(name) {
                return value.to_owned();
            }
            unset.borrow_mut().insert(name.to_owned());
            String::new()
        });
        Expanded { value, unset: unset.into_inner() }
    }
}

impl EnvSecret {
    pub(crate) fn expand<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> Expanded<Secret> {
        let Some(name) = whole_name(self.0.expose()) else {
            return Expanded { value: self.0.clone(), unset: BTreeSet::new() };
        };
        match value_of(name) {
            Some(value) => Expanded { value: Secret::new(value), unset: BTreeSet::new() },
            None => Expanded { value: Secret::default(), unset: [name.to_owned()].into() },
        }
    }
}

/// The name of the variable that a text is as a whole.
fn whole_name(text: &str) -> Option<&str> {
    let rest = text.trim().strip_prefix('$')?;
    let name = match rest.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => rest,
    };
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let begins_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    (begins_well && name.chars().all(is_part)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(name: &str) -> Option<&'static str> {
        (name == "SET").then_some("it")
    }

    #[test]
    fn a_text_may_hold_variables_anywhere() {
        let expand = |text: &str| EnvText(text.into()).expand(value_of);
        assert_eq!(expand("https://$SET/${SET}").value, "https://it/it");
        assert_eq!(expand("no").unset.len(), 0);
        let unset = expand("$A-${B}-$A");
        assert_eq!((unset.value.as_str(), unset.unset), ("--", ["A".into(), "B".into()].into()));
    }

    #[test]
    fn a_secret_is_a_variable_as_a_whole_or_not_at_all() {
        let expand = |text: &str| EnvSecret(Secret::new(text)).expand(value_of);
        assert_eq!(expand("$SET").value.expose(), "it");
        assert_eq!(expand("${SET}").value.expose(), "it");
        for literal in ["pa$SET", "$SET!", "$", "${SET", "$1", "$$SET"] {
            assert_eq!(expand(literal).value.expose(), literal);
            assert!(expand(literal).unset.is_empty(), "{literal}");
        }
        assert_eq!(expand("$UNSET").unset, ["UNSET".into()].into());
    }
}
