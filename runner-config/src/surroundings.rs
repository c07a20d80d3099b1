//! What a config takes from outside of its file: variables of the environment, and a folder of secrets.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use runner_core::Secret;

/// Where the Helm chart mounts the Secret with the token.
pub const SECRETS: &str = "/secrets";

/// A secret is not longer than this, in bytes: what is, is no secret but a wrong path.
const MOST: u64 = 64 << 10;

/// Names of files in the folder of secrets that mean something.
const NAMES: [&str; 9] = [
    "runner-token",
    "runner-registration-token",
    "accesskey",
    "secretkey",
    "gcs-access-id",
    "gcs-private-key",
    "gcs-application-credentials-file",
    "azure-account-name",
    "azure-account-key",
];

/// Variables of the environment, and what the folder of secrets holds. `Debug` prints no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    variables: BTreeMap<String, Secret>,
    secrets: BTreeMap<String, Secret>,
    token_file: Option<Result<Secret, String>>,
    folder: PathBuf,
}

impl Surroundings {
    /// Variables, and no secrets.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        Self { variables, ..Self::default() }
    }

    /// Reads the folder of secrets (`/secrets` where the Helm chart is used), and the file that the variable
    /// `CI_SERVER_TOKEN_FILE` names. A folder that is not there holds nothing. Blocks for as long as the files take.
    #[must_use]
    pub fn with_files(mut self, folder: &Path) -> Self {
        self.secrets.clear();
        for name in NAMES {
            if let Ok(value) = read(&folder.join(name)) {
                self.secrets.insert(name.to_owned(), value);
            }
        }
        folder.clone_into(&mut self.folder);
        self.token_file = self.token_file_path().map(|path| read(&path));
        self
    }

    /// The files that it depends on, whether they are there or not.
    pub fn files(&self, folder: &Path) -> Vec<PathBuf> {
        NAMES.iter().map(|name| folder.join(name)).chain(self.token_file_path()).collect()
    }

    /// The value of a variable. An empty one counts as not set.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(Secret::expose).filter(|value| !value.is_empty())
    }

    /// The value of a variable that may be empty.
    pub(crate) fn set_variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(Secret::expose)
    }

    /// What a file in the folder of secrets holds, if that is anything.
    pub(crate) fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name).filter(|value| !value.is_empty())
    }

    /// Where a file in the folder of secrets is, if it is there.
    pub(crate) fn secret_path(&self, name: &str) -> Option<String> {
        self.secret(name).map(|_| self.folder.join(name).display().to_string())
    }

    /// What the file that `CI_SERVER_TOKEN_FILE` names holds.
    pub(crate) fn token_file(&self) -> Option<&Result<Secret, String>> {
        self.token_file.as_ref()
    }

    fn token_file_path(&self) -> Option<PathBuf> {
        self.variable("CI_SERVER_TOKEN_FILE").map(PathBuf::from)
    }
}

/// The text of a file, without the line end that editors put there.
fn read(path: &Path) -> Result<Secret, String> {
    let mut text = String::new();
    let file = fs_err::File::open(path).map_err(|error| error.to_string())?;
    file.take(MOST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(Secret::new(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_without_their_line_end_and_are_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("runner-token"), "glrt-x\n").unwrap();
        fs_err::write(folder.path().join("runner-registration-token"), "").unwrap();
        let token_file = folder.path().join("token").display().to_string();
        fs_err::write(&token_file, " glrt-y ").unwrap();
        let surroundings =
            Surroundings::new([("CI_SERVER_TOKEN_FILE".into(), token_file)]).with_files(folder.path());
        assert_eq!(surroundings.secret("runner-token").unwrap().expose(), "glrt-x");
        assert_eq!(surroundings.secret("runner-registration-token"), None);
        assert_eq!(surroundings.token_file(), Some(&Ok(Secret::new("glrt-y"))));
        assert!(!format!("{surroundings:?}").contains("glrt"));
    }
}
