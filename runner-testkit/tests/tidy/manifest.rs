//! A `Cargo.toml`, read line by line: as much of TOML as this workspace uses.

/// The settings of a manifest, in its order.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) path: String,
    settings: Vec<Setting>,
}

#[derive(Debug)]
struct Setting {
    line: usize,
    table: String,
    key: String,
    value: String,
}

/// When a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// By the product, or to build it.
    Product,
    /// By tests.
    Tests,
}

/// A dependency that a manifest names.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) line: usize,
    pub(crate) need: Need,
    pub(crate) name: String,
    /// What the manifest says about it, such as `workspace = true`.
    pub(crate) terms: String,
}

impl Manifest {
    /// Reads a manifest.
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut settings: Vec<Setting> = Vec::new();
        let mut table = String::new();
        let mut is_open = false;
        for (index, line) in text.lines().enumerate() {
            let line = without_comment(line).trim();
            if is_open {
                if let Some(last) = settings.last_mut() {
                    last.value.push_str(line);
                    is_open = !is_closed(&last.value);
                }
            } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.trim_matches(['[', ']']).clone_into(&mut table);
            } else if let Some((key, value)) = line.split_once('=') {
                let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                is_open = !is_closed(&value);
                settings.push(Setting { line: index + 1, table: table.clone(), key, value });
            }
        }
        Self { path: path.into(), settings }
    }

    /// The value of a key, as it is written.
    pub(crate) fn value(&self, table: &str, key: &str) -> Option<&str> {
        let is_it = |setting: &&Setting| setting.table == table && setting.key == key;
        self.settings.iter().find(is_it).map(|setting| setting.value.as_str())
    }

    /// The dependencies.
    pub(crate) fn dependencies(&self) -> Vec<Dependency> {
        self.settings.iter().filter_map(dependency).collect()
    }
}

fn dependency(setting: &Setting) -> Option<Dependency> {
    // A whole table may stand for one dependency: `[dependencies.tokio]`. Then each of its keys is a term.
    let (kind, own_table) = match setting.table.rsplit_once('.') {
        Some((kind, name)) if kind.ends_with("dependencies") => (kind, Some(name)),
        _ => (setting.table.as_str(), None),
    };
    if !kind.ends_with("dependencies") || kind.starts_with("workspace.") {
        return None;
    }
    let need = if kind.ends_with("dev-dependencies") { Need::Tests } else { Need::Product };
    let (name, terms) = match (own_table, setting.key.split_once('.')) {
        (Some(name), _) => (name, format!("{} = {}", setting.key, setting.value)),
        (None, Some((name, key))) => (name, format!("{key} = {}", setting.value)),
        (None, None) => (setting.key.as_str(), setting.value.clone()),
    };
    Some(Dependency { line: setting.line, need, name: name.trim_matches('"').into(), terms })
}

/// The texts in quotes within a value.
pub(crate) fn quoted(value: &str) -> Vec<String> {
    value.split('"').skip(1).step_by(2).map(String::from).collect()
}

fn without_comment(line: &str) -> &str {
    let mut in_text = false;
    for (index, letter) in line.char_indices() {
        match letter {
            '"' => in_text = !in_text,
            '#' if !in_text => return line.split_at(index).0,
            _ => {}
        }
    }
    line
}

fn is_closed(value: &str) -> bool {
    let outside: String = value.split('"').step_by(2).collect();
    let count = |letters: [char; 2]| outside.chars().filter(|letter| letters.contains(letter)).count();
    count(['[', '{']) <= count([']', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_dependency_is_read() {
        let text = "[dependencies]\na = \"1\"\nb.workspace = true # why\nc = { workspace = true, features = [\n\"x\",\n] }\n\
            [dev-dependencies]\nd.workspace = true\n[target.'cfg(unix)'.dependencies]\ne = \"1\"\n\
            [dependencies.f]\nversion = \"1\"\n[workspace.dependencies]\ng = \"1\"\n";
        let manifest = Manifest::parse("Cargo.toml", text);
        let read: Vec<_> = manifest
            .dependencies()
            .into_iter()
            .map(|found| (found.line, found.need, found.name, found.terms))
            .collect();
        let expected = [
            (2, Need::Product, "a", "\"1\""),
            (3, Need::Product, "b", "workspace = true"),
            (4, Need::Product, "c", "{ workspace = true, features = [\"x\",] }"),
            (8, Need::Tests, "d", "workspace = true"),
            (10, Need::Product, "e", "\"1\""),
            (12, Need::Product, "f", "version = \"1\""),
        ];
        let expected =
            expected.map(|(line, need, name, terms)| (line, need, name.to_owned(), terms.to_owned()));
        assert_eq!(read, expected);
    }
}
