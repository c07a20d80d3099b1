//! The text of a configuration file of git's.

/// Builds such a text, section by section.
#[derive(Debug, Default)]
pub(crate) struct GitConfig(String);

impl GitConfig {
    /// Opens a section.
    pub(crate) fn section(&mut self, name: &str) -> &mut Self {
        self.0.extend(["[", name, "]\n"]);
        self
    }

    /// Opens a section that is named for `of`, such as a remote's or an address's.
    pub(crate) fn section_of(&mut self, name: &str, of: &str) -> &mut Self {
        self.0.extend(["[", name, " ", &quoted(of), "]\n"]);
        self
    }

    /// Sets a value in the open section, or adds one where a key may have several.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.0.extend(["\t", key, " = ", &quoted(value), "\n"]);
        self
    }

    /// The text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\0' => {}
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted() {
        let mut config = GitConfig::default();
        config.section_of("remote", "origin").set("url", "a\"b\\c\nd#;");
        assert_eq!(config.into_text(), "[remote \"origin\"]\n\turl = \"a\\\"b\\\\c\\nd#;\"\n");
    }
}
