//! Texts of others in one line of a job's log: without what differs from one attempt to the next.

/// The most characters of somebody else's text that a line cites.
const MOST: usize = 200;

/// `text` in one line, without numbers and identifiers that differ between attempts, cut to a sensible length.
pub(super) fn cite(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().map(steady).collect();
    let line = words.join(" ");
    let line = line.trim_end_matches([' ', '.', ':', ',']);
    match line.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", line.get(..cut).unwrap_or_default()),
        None => line.to_owned(),
    }
}

/// `word` with each long run of digits, and of hexadecimal digits with a decimal one among them, as an ellipsis.
///
/// Digests, identifiers of containers and names of temporary directories are such runs.
fn steady(word: &str) -> String {
    let mut steady = String::with_capacity(word.len());
    let mut run = String::new();
    for character in word.chars().chain(['\0']) {
        if character.is_ascii_hexdigit() {
            run.push(character);
            continue;
        }
        if run.len() >= 8 && run.contains(|digit: char| digit.is_ascii_digit()) {
            steady.push('…');
        } else {
            steady.push_str(&run);
        }
        run.clear();
        if character != '\0' {
            steady.push(character);
        }
    }
    steady
}

/// `text` in lower case without anything in quotation marks, and without the quoted texts where they stand bare.
///
/// What an image, a command or a host is named must not decide how an error about it is understood.
pub(super) fn bare(text: &str, names: &[&str]) -> String {
    let mut quoted: Vec<&str> = text.split('"').skip(1).step_by(2).filter(|name| name.len() > 2).collect();
    quoted.extend(names.iter().filter(|name| !name.is_empty()));
    quoted.sort_unstable_by_key(|name| std::cmp::Reverse(name.len()));
    let mut bare = text.to_owned();
    for name in quoted {
        bare = bare.replace(name, "");
    }
    bare.to_lowercase()
}

/// The first text in quotation marks: `"`, or the backticks of some runtimes.
pub(super) fn quoted(text: &str) -> Option<&str> {
    let mark = if text.contains('"') { '"' } else { '`' };
    text.split(mark).nth(1).filter(|name| !name.is_empty())
}

/// Whether `text` contains one of `needles`.
pub(super) fn any(text: &str, needles: &[&str]) -> bool {
    needles.iter().any(|needle| text.contains(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_attempts_is_not_cited() {
        assert_eq!(cite("name is reserved for \"45f1536eb9975\"."), "name is reserved for \"…\"");
        assert_eq!(cite("containerd-mount3299144749:\n open"), "containerd-mount…: open");
        assert_eq!(cite("a facade of 64 cafes"), "a facade of 64 cafes");
        assert_eq!(cite(&"ä ".repeat(300)).chars().count(), MOST + 1);
    }

    #[test]
    fn names_do_not_count_as_errors() {
        assert_eq!(bare("image \"r/503:eof\": r/503:eof: Not Found", &[]), "image \"\": : not found");
        assert_eq!(bare("reading manifest in r/503: denied", &["r/503"]), "reading manifest in : denied");
    }
}
