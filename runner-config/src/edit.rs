//! Changes of a config that leave the rest of it, comments too, as it is.

use std::path::Path;

use runner_core::Secret;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Key, Table, value};

/// What becomes of a `[[runners]]` that is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRunner {
    /// The name; may be empty.
    pub name: String,
    /// The address of the server.
    pub url: String,
    /// The number at the server; 0: it is not written.
    pub id: u64,
    /// The authentication token.
    pub token: Secret,
    /// When the token ends, in the form of RFC 3339; `None`: never.
    pub token_expires_at: Option<String>,
    /// The executor; empty: the one of the template.
    pub executor: String,
    /// The file with the authorities for the server's certificate; empty: none.
    pub tls_ca_file: String,
    /// The image of jobs that name none, for Kubernetes; empty: none.
    pub image: String,
    /// The namespace of pods; empty: none.
    pub namespace: String,
}

/// Why a config was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The config is no TOML, or its runners have a form that nothing can be added to.
    #[error("failed to change the config: {0}")]
    Config(String),
    /// The template does not have exactly one `[[runners]]`.
    #[error("failed to read the template: {0}")]
    Template(String),
    /// There is no such runner.
    #[error("failed to find runner {0} in the config")]
    NoSuchRunner(usize),
    /// The file cannot be written.
    #[error("failed to write the config: {0}")]
    Unwritable(String),
}

/// `text` with one more `[[runners]]` at its end. What `runner` says counts more than what the template says, a text whose
/// only `[[runners]]` gives the rest.
///
/// # Errors
/// The config or the template cannot be read.
pub fn add(text: &str, runner: &NewRunner, template: Option<&str>) -> Result<String, EditError> {
    let mut entry = template.map_or_else(|| Ok(Table::new()), from_template)?;
    fill(&mut entry, runner);
    let mut runners = ArrayOfTables::new();
    runners.push(entry);
    let mut added = DocumentMut::new();
    added.insert("runners", Item::ArrayOfTables(runners));
    let before = if text.trim().is_empty() { "concurrent = 1\n" } else { text };
    let gap = if before.ends_with('\n') { "\n" } else { "\n\n" };
    let changed = format!("{before}{gap}{}", added.to_string().trim_start_matches('\n'));
    // A text that has its runners in another form, `runners = […]`, does not take one more.
    changed.parse::<DocumentMut>().map_err(|error| EditError::Config(without_text(&error)))?;
    Ok(changed)
}

/// `text` without the `[[runners]]` of some indexes.
///
/// # Errors
/// The config cannot be read, or has fewer runners.
pub fn remove(text: &str, indexes: &[usize]) -> Result<String, EditError> {
    let mut document =
        text.parse::<DocumentMut>().map_err(|error| EditError::Config(without_text(&error)))?;
    let key = name_of(&document, "runners");
    let mut indexes = indexes.to_vec();
    indexes.sort_unstable();
    indexes.dedup();
    let last = indexes.last().copied().unwrap_or_default();
    let runners = document.get_mut(&key).and_then(Item::as_array_of_tables_mut);
    let runners = runners.ok_or(EditError::NoSuchRunner(last))?;
    if last >= runners.len() {
        return Err(EditError::NoSuchRunner(last));
    }
    for index in indexes.into_iter().rev() {
        runners.remove(index);
    }
    Ok(document.to_string())
}

/// `text` with another token for a runner, such as one that the server has given in place of an old one.
///
/// # Errors
/// The config cannot be read, or has fewer runners.
pub fn set_token(
    text: &str,
    index: usize,
    token: &Secret,
    expires_at: Option<&str>,
) -> Result<String, EditError> {
    let mut document =
        text.parse::<DocumentMut>().map_err(|error| EditError::Config(without_text(&error)))?;
    let key = name_of(&document, "runners");
    let runners = document.get_mut(&key).and_then(Item::as_array_of_tables_mut);
    let entry = runners.and_then(|runners| runners.get_mut(index)).ok_or(EditError::NoSuchRunner(index))?;
    set(entry, "token", token.expose());
    set_expiry(entry, expires_at);
    Ok(document.to_string())
}

/// Finds out whether a file can be [saved](save), and makes its folder. What cannot be written down must not be asked for.
///
/// # Errors
/// The folder cannot be written.
pub fn can_save(path: &Path) -> Result<(), EditError> {
    let path = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&path);
    let tried = fs_err::create_dir_all(folder).and_then(|()| tempfile::NamedTempFile::new_in(folder));
    tried.map(drop).map_err(|error| EditError::Unwritable(format!("{}: {error}", path.display())))
}

/// Puts `text` in place of the file as a whole, readable for its owner alone. Folders are made. A symlink stays one.
/// Blocks for as long as the disk takes.
///
/// # Errors
/// The folder cannot be written.
pub fn save(path: &Path, text: &str) -> Result<(), EditError> {
    use std::io::Write;
    let path = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&path);
    let write = || -> std::io::Result<()> {
        fs_err::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| EditError::Unwritable(format!("{}: {error}", path.display())))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn from_template(text: &str) -> Result<Table, EditError> {
    let document = text.parse::<DocumentMut>().map_err(|error| EditError::Template(without_text(&error)))?;
    let runners = document.get(&name_of(&document, "runners")).and_then(Item::as_array_of_tables);
    let one = runners.filter(|runners| runners.len() == 1).and_then(|runners| runners.get(0));
    one.cloned().ok_or_else(|| EditError::Template("it must have exactly one [[runners]]".to_owned()))
}

fn fill(entry: &mut Table, runner: &NewRunner) {
    // A token in a template is somebody else's.
    let token_key = name_of(entry, "token");
    entry.remove(&token_key);
    let texts = [
        ("name", runner.name.as_str()),
        ("url", &runner.url),
        ("token", runner.token.expose()),
        ("executor", &runner.executor),
        ("tls-ca-file", &runner.tls_ca_file),
    ];
    for (key, text) in texts {
        set(entry, key, text);
    }
    if let Some(id) = i64::try_from(runner.id).ok().filter(|id| *id > 0) {
        put(entry, "id", value(id));
    }
    set_expiry(entry, runner.token_expires_at.as_deref());
    if !runner.image.is_empty() || !runner.namespace.is_empty() {
        let key = name_of(entry, "kubernetes");
        let section = entry.entry(&key).or_insert_with(|| Item::Table(Table::new()));
        if let Some(section) = section.as_table_mut() {
            set(section, "image", &runner.image);
            set(section, "namespace", &runner.namespace);
        }
    }
}

fn set_expiry(entry: &mut Table, at: Option<&str>) {
    if let Some(at) = at.and_then(|at| at.parse::<toml_edit::Datetime>().ok()) {
        put(entry, "token_expires_at", value(at));
    } else {
        let key = name_of(entry, "token_expires_at");
        entry.remove(&key);
    }
}

fn set(table: &mut Table, key: &str, text: &str) {
    if !text.is_empty() {
        put(table, key, value(text));
    }
}

/// Puts a key in, under the others and as far to the right as they are.
fn put(table: &mut Table, key: &str, item: Item) {
    let key = name_of(table, key);
    if let Some(known) = table.get_mut(&key) {
        *known = item;
        return;
    }
    let mut new_key = Key::new(&key);
    new_key.leaf_decor_mut().set_prefix(indentation(table));
    table.insert_formatted(&new_key, item);
}

/// What the first key of a table has before it in its line.
fn indentation(table: &Table) -> String {
    let first = table.iter().next().and_then(|(name, _)| table.key(name));
    let prefix = first.and_then(|key| key.leaf_decor().prefix()?.as_str());
    let before = prefix.and_then(|prefix| prefix.rsplit('\n').next()).unwrap_or_default();
    before.chars().filter(|letter| letter.is_whitespace()).collect()
}

/// How the table writes a key, whose case does not matter.
fn name_of(table: &Table, key: &str) -> String {
    let found = table.iter().map(|(name, _)| name).find(|name| name.eq_ignore_ascii_case(key));
    found.unwrap_or(key).to_owned()
}

/// The message alone: the rest of it shows the line, which may hold a secret.
fn without_text(error: &toml_edit::TomlError) -> String {
    error.message().trim().replace('\n', ", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# Ours.\nconcurrent = 4 # all of them\n\n# The first one.\n[[runners]]\n  name = \"a\" # a\n  token = \"1\"\n\
                       \x20 [runners.kubernetes] # pods\n    image = \"x\"\n\n# The second one.\n[[runners]]\n  name = \"b\"\n";

    fn new_runner() -> NewRunner {
        NewRunner {
            name: "new".into(),
            url: "https://g".into(),
            id: 7,
            token: Secret::new("glrt-t"),
            executor: "kubernetes".into(),
            ..NewRunner::default()
        }
    }

    #[test]
    fn a_runner_is_added_and_not_a_letter_before_it_changes() {
        let changed = add(TWO, &new_runner(), None).unwrap();
        assert!(changed.starts_with(TWO));
        insta::assert_snapshot!(changed.strip_prefix(TWO).unwrap(), @r#"

        [[runners]]
        name = "new"
        url = "https://g"
        token = "glrt-t"
        executor = "kubernetes"
        id = 7
        "#);
    }

    #[test]
    fn a_template_gives_what_the_command_line_does_not_and_never_a_token() {
        let template = "[[runners]]\n  # Ours.\n  Limit = 2\n  token = \"theirs\"\n  executor = \"shell\"\n  [runners.kubernetes]\n    \
                        namespace = \"ci\" # here\n    [runners.kubernetes.node_selector]\n      a = \"b\"\n  [runners.cache]\n    Type = \"s3\"\n";
        let runner = NewRunner { image: "alpine".into(), ..new_runner() };
        insta::assert_snapshot!(add("", &runner, Some(template)).unwrap(), @r#"
        concurrent = 1

        [[runners]]
          # Ours.
          Limit = 2
          executor = "kubernetes"
          name = "new"
          url = "https://g"
          token = "glrt-t"
          id = 7
          [runners.kubernetes]
            namespace = "ci" # here
            image = "alpine"
            [runners.kubernetes.node_selector]
              a = "b"
          [runners.cache]
            Type = "s3"
        "#);
    }

    #[test]
    fn a_template_with_no_or_two_runners_is_refused() {
        for template in ["", TWO, "runners = 1"] {
            assert!(
                matches!(add("", &new_runner(), Some(template)), Err(EditError::Template(_))),
                "{template}"
            );
        }
        assert!(matches!(add("runners = []\n", &new_runner(), None), Err(EditError::Config(_))));
    }

    #[test]
    fn a_runner_is_removed_with_its_comments_and_the_rest_stays() {
        let first =
            "# Ours.\nconcurrent = 4 # all of them\n\n# The second one.\n[[runners]]\n  name = \"b\"\n";
        assert_eq!(remove(TWO, &[0]).unwrap(), first);
        assert_eq!(remove(TWO, &[1, 0, 1]).unwrap(), "# Ours.\nconcurrent = 4 # all of them\n");
        assert_eq!(remove(TWO, &[2]), Err(EditError::NoSuchRunner(2)));
        assert_eq!(remove("", &[0]), Err(EditError::NoSuchRunner(0)));
    }

    #[test]
    fn a_token_is_replaced_at_its_place() {
        let changed = set_token(TWO, 0, &Secret::new("2"), Some("2030-01-02T03:04:05Z")).unwrap();
        let expected = "token = \"2\"\n  token_expires_at = 2030-01-02T03:04:05Z\n";
        assert_eq!(changed, TWO.replace("token = \"1\"\n", expected));
        let again = set_token(&changed, 0, &Secret::new("1"), None).unwrap();
        assert_eq!(again, TWO);
        assert_eq!(set_token(TWO, 2, &Secret::new("2"), None), Err(EditError::NoSuchRunner(2)));
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_is_its_owners() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.toml");
        save(&path, "a").unwrap();
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        save(&link, "b").unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "b");
        assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let nowhere = Path::new("/proc/none/config.toml");
        assert!(matches!(save(nowhere, ""), Err(EditError::Unwritable(_))));
        assert!(matches!(can_save(nowhere), Err(EditError::Unwritable(_))));
        let other = folder.path().join("other/config.toml");
        assert_eq!((can_save(&other), other.exists()), (Ok(()), false));
    }
}
