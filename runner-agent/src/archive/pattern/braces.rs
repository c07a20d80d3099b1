//! Alternatives in braces, written out.

use super::PatternError;

/// More than these are a mistake, or an attack.
const MOST: usize = 4096;

/// All texts that `text` stands for: `a{b,c{d,}}` is `ab`, `acd` and `ac`.
///
/// # Errors
/// Where a brace is not closed, or there are too many.
pub(super) fn expand(text: &str) -> Result<Vec<String>, PatternError> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        match first_group(&text)? {
            None => done.push(text),
            // From the last to the first, since the last one pushed is the next one looked at.
            Some(Group { before, choices, after }) => {
                open.extend(choices.iter().rev().map(|choice| format!("{before}{choice}{after}")));
            }
        }
        if done.len() + open.len() > MOST {
            return Err(PatternError::Malformed("its braces stand for too many paths"));
        }
    }
    Ok(done)
}

struct Group<'a> {
    before: &'a str,
    choices: Vec<&'a str>,
    after: &'a str,
}

/// The first group in braces. A brace in a class, or after a backslash, is none.
fn first_group(text: &str) -> Result<Option<Group<'_>>, PatternError> {
    let mut letters = text.char_indices();
    let mut in_class = false;
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            '{' if !in_class => {
                let (before, _) = text.split_at(at);
                let (choices, after) = choices(letters.as_str())?;
                return Ok(Some(Group { before, choices, after }));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Splits what follows an opening brace at the commas of its own level, up to its closing brace.
fn choices(text: &str) -> Result<(Vec<&str>, &str), PatternError> {
    let mut cuts = Vec::new();
    let mut depth = 0_usize;
    let mut letters = text.char_indices();
    let end = loop {
        match letters.next() {
            Some((_, '\\')) => drop(letters.next()),
            Some((_, '{')) => depth += 1,
            Some((at, '}')) if depth == 0 => break at,
            Some((_, '}')) => depth -= 1,
            Some((at, ',')) if depth == 0 => cuts.push(at),
            Some(_) => {}
            None => return Err(PatternError::Malformed("a \"{\" is not closed")),
        }
    };
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    let mut start = 0;
    for cut in cuts.into_iter().chain([end]) {
        parts.extend(text.get(start..cut));
        start = cut + 1;
    }
    Ok((parts, letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(expand(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn groups_are_written_out() {
        check("plain", &["plain"]);
        check("{a,b}/{c,d}", &["a/c", "a/d", "b/c", "b/d"]);
        check("some{thing{new,},}", &["somethingnew", "something", "some"]);
        check("x{a/b,c}y", &["xa/by", "xcy"]);
        check("{ä,ö}", &["ä", "ö"]);
        check(r"\{a,b\}", &[r"\{a,b\}"]);
        check("[{]a", &["[{]a"]);
        check("a}b", &["a}b"]);
        check("{}", &[""]);
    }

    #[test]
    fn a_brace_must_be_closed_and_there_is_an_end() {
        assert!(expand("{a,b").is_err());
        assert!(expand("{a,{b}").is_err());
        assert!(expand(&"{a,b}".repeat(20)).is_err());
    }
}
