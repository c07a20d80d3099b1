//! What must not show in a log, and the text without it.

use std::{fmt, sync::Arc};

use super::{
    automaton::Automaton,
    candidate::Candidates,
    masker::Masker,
    pattern::{self, Pattern},
};

/// The prefixes of tokens that GitLab Runner masks by default (`FF_MASK_ALL_DEFAULT_TOKENS`). Without that feature
/// flag it is the first one.
pub const DEFAULT_TOKEN_PREFIXES: [&str; 14] = [
    "glpat-",
    "gloas-",
    "gldt-",
    "glrt-",
    "glcbt-",
    "glrtr-",
    "glptt-",
    "glft-",
    "glimt-",
    "glagent-",
    "glsoat-",
    "glffct-",
    "_gitlab_session=",
    "gltok-",
];

/// What must not show in a log. Cheap to clone; its `Debug` shows no value. [`Masks::default`] masks nothing.
///
/// # What is masked
/// - Each value, as it is, escaped as within JSON, encoded as within a URL, and as bash shows it where it traces a
///   comparison. Line ends at its end do not count.
/// - Each line of eight bytes or more of a value that has several.
/// - What follows a token's prefix: letters, digits, and `-._=`. The prefix itself shows: `glpat-[MASKED]`.
/// - The values of URL parameters that are secrets, such as `private_token` and `X-Amz-Signature`.
///
/// Text that belongs to several of these is masked as one. Nothing else is done to a secret: one that is printed
/// encoded otherwise, with control codes inside, or bit by bit with other text between, shows.
#[derive(Clone, Default)]
pub struct Masks(pub(super) Option<Arc<Search>>);

/// Both searches for the same patterns.
pub(super) struct Search {
    pub(super) automaton: Automaton,
    pub(super) candidates: Candidates,
}

impl Masks {
    /// Masks `values`, and what follows `token_prefixes`; empty ones are ignored.
    pub fn new(
        values: impl IntoIterator<Item = String>,
        token_prefixes: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut patterns: Vec<Pattern> = pattern::of_values(values);
        patterns.extend(pattern::of_prefixes(token_prefixes));
        let (automaton, candidates) = (Automaton::new(&patterns), Candidates::new(&patterns));
        Self(Some(Arc::new(Search { automaton, candidates })))
    }

    /// `text` with everything masked.
    pub fn mask(&self, text: &str) -> String {
        let mut shown = Vec::with_capacity(text.len());
        let mut masker = Masker::new(self.clone());
        masker.push(text.as_bytes(), &mut |bytes| shown.extend_from_slice(bytes));
        masker.finish(&mut |bytes| shown.extend_from_slice(bytes));
        String::from_utf8_lossy(&shown).into_owned()
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Masks")
    }
}
