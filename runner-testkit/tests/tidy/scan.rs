//! Tells code, comments and text literals of a Rust file apart. It knows just enough of the language for that.

/// A file in two layers, both with the lines of the original, so that a line number holds for each.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The code: comments are blanks, and the insides of literals are `~`.
    pub(crate) code: String,
    /// The comments: everything else is blanks.
    pub(crate) comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Code,
    Comment,
    Literal,
}

impl Scan {
    /// Reads a file.
    pub(crate) fn of(text: &str) -> Self {
        let mut scanner = Scanner { rest: text, scan: Self { code: String::new(), comments: String::new() } };
        while scanner.step() {}
        scanner.scan
    }

    /// The code without what is compiled for tests only.
    pub(crate) fn product(&self) -> String {
        let mut product = self.code.clone();
        while let Some(start) = ["#[cfg(test)]", "#[cfg(all(test"].iter().find_map(|mark| product.find(mark))
        {
            let (before, after) = product.split_at(start);
            let (item, rest) = after.split_at(length_of_item(after));
            product = format!("{before}{}{rest}", blank(item));
        }
        product
    }
}

/// How far an item with its attributes reaches: to its `;` or to the end of its braces.
fn length_of_item(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut attribute = 0_usize;
    for (index, letter) in text.char_indices() {
        match letter {
            '[' => attribute += 1,
            ']' => attribute = attribute.saturating_sub(1),
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            ';' if depth == 0 && attribute == 0 => return index + 1,
            _ => {}
        }
    }
    text.len()
}

fn blank(text: &str) -> String {
    replaced(text, ' ')
}

/// The text with every letter replaced, but for the ends of lines and blanks.
fn replaced(text: &str, by: char) -> String {
    text.chars().map(|letter| if letter.is_whitespace() { letter } else { by }).collect()
}

struct Scanner<'text> {
    rest: &'text str,
    scan: Scan,
}

impl Scanner<'_> {
    /// Takes the next piece; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()), Layer::Comment);
        } else if self.rest.starts_with("/*") {
            self.take(length_of_block_comment(self.rest), Layer::Comment);
        } else if let Some(length) = self.raw_string() {
            self.take(length, Layer::Literal);
        } else if first == '"' {
            self.take(length_of_quoted(self.rest, '"'), Layer::Literal);
        } else if first == '\'' && is_char(self.rest) {
            self.take(length_of_quoted(self.rest, '\''), Layer::Literal);
        } else {
            self.take(first.len_utf8(), Layer::Code);
        }
        true
    }

    /// The length of a raw string that begins here.
    fn raw_string(&self) -> Option<usize> {
        if self.scan.code.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
            return None;
        }
        let prefixed = self.rest.strip_prefix(['b', 'c']).unwrap_or(self.rest).strip_prefix('r')?;
        let opened = prefixed.trim_start_matches('#');
        let hashes = prefixed.len() - opened.len();
        let inside = opened.strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
        Some(self.rest.len() - inside.len() + length)
    }

    fn take(&mut self, length: usize, layer: Layer) {
        let (piece, rest) = self.rest.split_at(length);
        match layer {
            Layer::Code => self.scan.code.push_str(piece),
            Layer::Literal => self.scan.code.push_str(&replaced(piece, '~')),
            Layer::Comment => self.scan.code.push_str(&blank(piece)),
        }
        self.scan.comments.push_str(&if layer == Layer::Comment { piece.into() } else { blank(piece) });
        self.rest = rest;
    }
}

/// Whether a quote opens a character and not a lifetime.
fn is_char(text: &str) -> bool {
    let mut letters = text.chars().skip(1);
    let first = letters.next();
    first == Some('\\') || (first != Some('\'') && letters.next() == Some('\''))
}

/// The length of a literal up to the quote that is not escaped.
fn length_of_quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == quote {
            return index + quote.len_utf8();
        }
    }
    text.len()
}

/// The length of a comment with those inside it.
fn length_of_block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut length = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            2
        } else {
            first.len_utf8()
        };
        length += step;
        if depth == 0 {
            return length;
        }
        rest = rest.split_at(step).1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, comments: &str) {
        let scan = Scan::of(text);
        assert_eq!((scan.code.as_str(), scan.comments.as_str()), (code, comments), "{text}");
    }

    #[test]
    fn code_comments_and_literals_are_told_apart() {
        check("a // b", "a     ", "  // b");
        check("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */  ");
        check("a \"// b\" c", "a ~~~ ~~ c", "          ");
        check(r#"a "\"" b"#, "a ~~~~ b", "        ");
        check("r#\"{\"\"#;", "~~~~~~~;", "        ");
        check("r#type", "r#type", "      ");
        check("'{' '\\'' &'a b", "~~~ ~~~~ &'a b", "              ");
        check("\"open", "~~~~~", "     ");
    }

    #[test]
    fn what_is_for_tests_only_is_no_product() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { \"}\"; }\n}\nfn c() {}\n";
        let product = Scan::of(text).product();
        assert_eq!(product.split_whitespace().collect::<Vec<_>>(), ["fn", "a()", "{}", "fn", "c()", "{}"]);
        assert_eq!(product.lines().count(), text.lines().count());
        let outside = Scan::of("#[cfg(test)]\n#[expect(x)]\nmod tests;\nfn a() {}").product();
        assert_eq!(outside.trim(), "fn a() {}");
        let array = Scan::of("#[cfg(test)]\nconst A: [u8; 1] = [0];\nfn a() {}").product();
        assert_eq!(array.trim(), "fn a() {}");
    }
}
