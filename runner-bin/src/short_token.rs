//! As much of a token as may be shown: enough to find the runner in GitLab's pages.

/// How many letters are shown.
const SHOWN: usize = 9;
/// A token that has fewer letters than this is not shown at all.
const LEAST: usize = 16;

/// The beginning of a token, without what is the same in all of them, as logs of runners have it.
pub(crate) fn short_token(token: &str) -> String {
    let prefixes = ["glrtr-", "glrt-", "GR1348941"];
    let rest = prefixes.iter().find_map(|prefix| token.strip_prefix(prefix)).unwrap_or(token);
    if rest.chars().count() < LEAST { String::new() } else { rest.chars().take(SHOWN).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_long_token_is_shown() {
        assert_eq!(short_token("glrt-8cvaznryhABCDEFGHIJK"), "8cvaznryh");
        assert_eq!(short_token("glrt-t1_8cvazABCDEFGHIJK"), "t1_8cvazA");
        assert_eq!(short_token("8cvaznryhABCDEFGHIJK"), "8cvaznryh");
        assert_eq!(short_token("glrt-short"), "");
    }
}
