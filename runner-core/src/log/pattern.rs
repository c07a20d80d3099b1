//! What is searched for in a log: the forms in which a secret may show, and the prefixes of tokens.

/// Bytes to search for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    pub(super) bytes: Vec<u8>,
    pub(super) kind: Kind,
}

/// What is masked where a pattern is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The pattern itself.
    Value,
    /// What follows the pattern.
    Prefix(Follow),
}

/// How far what follows a prefix reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Follow {
    /// As a token: letters, digits, and `-._=`.
    Token,
    /// As a parameter of a URL: up to white space, `?` or `&`, and up to quotes and angle brackets.
    Parameter,
}

impl Follow {
    /// Whether `byte` is part of what is masked.
    pub(super) fn covers(self, byte: u8) -> bool {
        match self {
            Self::Token => byte.is_ascii_alphanumeric() || b"-._=".contains(&byte),
            Self::Parameter => !byte.is_ascii_whitespace() && !b"?&\"'<>\0\x0b\x1b".contains(&byte),
        }
    }
}

/// Parameters of URLs that are secrets, as GitLab Runner masks them.
const SECRET_PARAMETERS: [&str; 9] = [
    "private_token",
    "authenticity_token",
    "rss_token",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

/// Lines of a value are masked on their own from this length on. Shorter ones, such as a brace, would mask half the
/// log.
const SHORTEST_LINE: usize = 8;

/// The patterns for masked values, without duplicates.
pub(super) fn of_values(values: impl IntoIterator<Item = String>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    let mut add = |text: &str| {
        if !text.is_empty() {
            patterns.push(Pattern { bytes: text.as_bytes().to_vec(), kind: Kind::Value });
        }
    };
    for value in values {
        // The line end of a file's content is printed in many ways, and is no secret.
        let value = value.trim_end_matches(['\r', '\n']);
        for form in [value.to_owned(), json_escaped(value), percent_encoded(value), traced(value)] {
            add(&form);
        }
        for line in value.lines().filter(|line| line.len() >= SHORTEST_LINE) {
            add(line);
        }
    }
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

/// The patterns for prefixes of tokens, and for parameters of URLs.
pub(super) fn of_prefixes(prefixes: impl IntoIterator<Item = String>) -> Vec<Pattern> {
    let tokens =
        prefixes.into_iter().filter(|prefix| !prefix.is_empty()).map(|prefix| (prefix, Follow::Token));
    let parameters = SECRET_PARAMETERS
        .iter()
        .flat_map(|name| [format!("?{name}="), format!("&{name}=")])
        .map(|prefix| (prefix, Follow::Parameter));
    let mut patterns: Vec<_> = tokens
        .chain(parameters)
        .map(|(prefix, follow)| Pattern { bytes: prefix.into_bytes(), kind: Kind::Prefix(follow) })
        .collect();
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

/// `value` as the inside of a JSON string.
fn json_escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// `value` as bash shows it where it traces a comparison: `[[ $a == "$b" ]]`.
fn traced(value: &str) -> String {
    value.chars().flat_map(|letter| ['\\', letter]).collect()
}

/// `value` as part of a URL, as `git` and `curl` write it.
fn percent_encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            let digits = [byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16));
            encoded.extend(digits.into_iter().flatten().map(|digit| digit.to_ascii_uppercase()));
        }
    }
    encoded
}
