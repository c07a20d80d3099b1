//! What is known of a key, and the macro that makes the table of a section: from one line per key come the field, its
//! default, its class and its description.

use runner_k8s::config::{KeyClass, Remark, RemarkClass};

/// A key of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The name, as GitLab Runner writes it. In a file its case does not matter.
    pub name: &'static str,
    /// What becomes of it.
    pub class: KeyClass,
    /// Why it has no effect or is refused, and what to use instead.
    pub why: Option<&'static str>,
    /// The lines of its description.
    pub about: &'static [&'static str],
    /// Whether `$NAME` and `${NAME}` in its value are replaced by variables of the environment.
    pub is_expanded: bool,
}

impl Key {
    /// Its class and reason, if the key is one that something is said about when it is set.
    pub(crate) fn remark(&self, path: &str) -> Option<Remark> {
        let class = match self.class {
            KeyClass::Works => return None,
            KeyClass::NoEffect => RemarkClass::NoEffect,
            KeyClass::Refused => RemarkClass::Refused,
        };
        Some(Remark { key: join(path, self.name), class, text: self.why?.to_owned() })
    }
}

/// The keys of a section.
pub(crate) trait Keys {
    /// What the section is.
    const ABOUT: &[&str];

    /// Every key.
    const KEYS: &[Key];

    /// For each key, whether it is one that something is said about, and is set.
    fn set(&self) -> Vec<bool>;

    /// What is to be said about keys that are set.
    fn remarks(&self, path: &str) -> Vec<Remark> {
        let set = Self::KEYS.iter().zip(self.set()).filter(|(_, is_set)| *is_set);
        set.filter_map(|(key, _)| key.remark(path)).collect()
    }
}

/// The path of a key in a section.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Declares the keys of a section. Each line is `class "key" field: Type = default;`, where the class is `works`,
/// `no_effect("why")` or `refused("what to use instead")`; the last two need an `Option`, so that it is known whether
/// somebody has set the key.
macro_rules! keys {
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@class works) => { runner_k8s::config::KeyClass::Works };
    (@class no_effect) => { runner_k8s::config::KeyClass::NoEffect };
    (@class refused) => { runner_k8s::config::KeyClass::Refused };
    (@why) => { None };
    (@why $text:expr) => { Some($text) };
    (@is_set works, $value:expr) => { false };
    (@is_set no_effect, $value:expr) => { $value.is_some() };
    (@is_set refused, $value:expr) => { $value.is_some() };
    (@is_expanded EnvText) => { true };
    (@is_expanded EnvSecret) => { true };
    (@is_expanded $($kind:tt)*) => { false };
    (
        $(#[doc = $about:literal])*
        pub(crate) struct $name:ident {
            $( $(#[doc = $doc:literal])* $class:ident $(($text:expr))? $key:literal $field:ident :
               [$($kind:tt)+] $(= $default:expr)?; )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* #[serde(rename = $key)] pub(crate) $field: $($kind)+, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: keys!(@default $($default)?), )* }
            }
        }

        impl crate::key::Keys for $name {
            const ABOUT: &[&str] = &[$($about),*];

            const KEYS: &[crate::key::Key] = &[$( crate::key::Key {
                name: $key,
                class: keys!(@class $class),
                why: keys!(@why $($text)?),
                about: &[$($doc),*],
                is_expanded: keys!(@is_expanded $($kind)+),
            }, )*];

            fn set(&self) -> Vec<bool> {
                vec![$( keys!(@is_set $class, self.$field), )*]
            }
        }
    };
}

pub(crate) use keys;
