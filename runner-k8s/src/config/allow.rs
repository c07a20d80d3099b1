//! Lists of allowed images: patterns as GitLab Runner takes them.

use regex::Regex;

/// Patterns of which one must match.
#[derive(Debug)]
pub(crate) struct AllowList(Vec<Regex>);

impl AllowList {
    /// Reads patterns.
    ///
    /// # Errors
    /// One is none.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, regex::Error> {
        patterns.iter().map(|pattern| Regex::new(&expression(pattern))).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of the patterns matches.
    pub(crate) fn has(&self, image: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(image))
    }
}

/// A pattern as a regular expression: `*` and `?` stop at a slash, `**` between slashes does not, `[…]` is a set of
/// letters and `{a,b}` one of several.
fn expression(pattern: &str) -> String {
    let mut text = String::from("^(?s:");
    let mut braces = 0_usize;
    let mut letters = pattern.chars().peekable();
    let mut before = '/';
    while let Some(letter) = letters.next() {
        match letter {
            '*' if letters.peek() == Some(&'*') => {
                while letters.next_if_eq(&'*').is_some() {}
                match letters.peek() {
                    Some('/') if before == '/' => {
                        letters.next();
                        text.push_str("(?:.*/)?");
                        before = '/';
                        continue;
                    }
                    None if before == '/' => text.push_str(".*"),
                    _ => text.push_str("[^/]*"),
                }
            }
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '{' => {
                braces += 1;
                text.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                text.push(')');
            }
            ',' if braces > 0 => text.push('|'),
            '[' => {
                text.push('[');
                if letters.next_if(|letter| matches!(letter, '!' | '^')).is_some() {
                    text.push('^');
                }
            }
            // The end and the ranges of a set mean the same in both languages.
            ']' | '-' => text.push(letter),
            '\\' => text.push_str(&regex::escape(&letters.next().unwrap_or('\\').to_string())),
            _ => text.push_str(&regex::escape(&letter.to_string())),
        }
        before = letter;
    }
    text.push_str(")$");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, image: &str, expected: bool) {
        let list = AllowList::new(&[pattern.to_owned()]).unwrap();
        assert_eq!(list.has(image), expected, "{pattern} {image}");
    }

    #[test]
    fn patterns_match_as_in_gitlab_runner() {
        check("ruby:*", "ruby:3.3", true);
        check("ruby:*", "ruby", false);
        check("ruby:*", "jruby:9", false);
        check("ruby:*", "evil.example/ruby:3.3", false);
        check("my.registry.example:5000/*:*", "my.registry.example:5000/app:1", true);
        check("my.registry.example:5000/*:*", "my.registry.example:5000/team/app:1", false);
        check("my.registry.example:5000/**/*:*", "my.registry.example:5000/team/app:1", true);
        check("my.registry.example:5000/**/*:*", "my.registry.example:5000/app:1", true);
        check("my.registry.example/**", "my.registry.example/a/b/c:1", true);
        check("my.registry.example/**", "my-registry.example/a", false);
        check("{ruby,python}:[0-9].?", "python:3.9", true);
        check("{ruby,python}:[!0-9]*", "python:3.9", false);
        check("**", "a/b/c", true);
        check("*", "a/b", false);
        check("a.b", "acb", false);
        check("ruby:*", "ruby:3\n", true);
    }

    #[test]
    fn a_broken_pattern_is_told() {
        assert!(AllowList::new(&["[".into()]).is_err());
        assert!(AllowList::new(&["{a".into()]).is_err());
    }
}
