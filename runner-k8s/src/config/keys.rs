//! The macro that makes the table of keys: from one line per key come the field, its default and its class.

/// Declares the keys of a section. Each line is `class name: Type = default;`, where the class is `works`,
/// `no_effect("why")` or `refused("what to use instead")`; the last two need an `Option`, so that it is known whether
/// somebody has set the key.
macro_rules! keys {
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@why) => { None };
    (@why $text:expr) => { Some($text) };
    (@class works) => { KeyClass::Works };
    (@class no_effect) => { KeyClass::NoEffect };
    (@class refused) => { KeyClass::Refused };
    (@remark works, $($rest:tt)*) => {};
    (@remark no_effect, $remarks:ident, $value:expr, $key:expr, $text:expr) => {
        if $value.is_some() {
            $remarks.push(Remark::new($key, RemarkClass::NoEffect, $text));
        }
    };
    (@remark refused, $remarks:ident, $value:expr, $key:expr, $text:expr) => {
        if $value.is_some() {
            $remarks.push(Remark::new($key, RemarkClass::Refused, $text));
        }
    };
    (
        $(#[$about:meta])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])* $class:ident $(($text:expr))? $key:ident : $kind:ty $(= $default:expr)?; )*
        }
    ) => {
        $(#[$about])*
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $key: $kind, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: keys!(@default $($default)?), )* }
            }
        }

        impl $name {
            /// Every key with its class.
            pub const KEYS: &[(&str, KeyClass)] = &[$( (stringify!($key), keys!(@class $class)), )*];

            /// Every key with the lines of its description, for a reference of all keys.
            pub const ABOUT: &[(&str, &[&str])] = &[$( (stringify!($key), &[$($doc),*]), )*];

            /// Why a key has no effect or is refused; `None`: it works.
            pub fn why(key: &str) -> Option<&'static str> {
                let reasons = [$( (stringify!($key), keys!(@why $($text)?)), )*];
                reasons.into_iter().find(|(name, _)| *name == key).and_then(|(_, why)| why)
            }

            fn remarks_on_keys(&self) -> Vec<Remark> {
                let mut remarks = Vec::new();
                $( keys!(@remark $class, remarks, self.$key, stringify!($key) $(, $text)?); )*
                remarks
            }
        }
    };
}

pub(crate) use keys;
