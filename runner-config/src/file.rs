//! A config in a file, with what it takes from outside.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use runner_core::{Finding, finding::Severity};

use crate::{Config, Mistakes, Surroundings, parse};

/// A config is not longer than this, in bytes.
const MOST: u64 = 4 << 20;

/// Where a config is, and where what it takes from outside is.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
    variables: Surroundings,
    secrets: PathBuf,
}

/// Why there is no config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("failed to read the config: {0}")]
    Unreadable(String),
    /// It has mistakes.
    #[error("{0}")]
    Wrong(Mistakes),
    /// It asks for what is not done here.
    #[error("{}", told(.0))]
    Refused(Vec<Finding>),
}

fn told(findings: &[Finding]) -> String {
    let line = |finding: &Finding| format!("{}\n  help: {}", finding.message, finding.mend);
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Everything that a config is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    text: Result<String, String>,
    surroundings: Surroundings,
}

impl ConfigFile {
    /// The config at `path`, with variables of the environment and the folder of [secrets](crate::SECRETS).
    pub fn new(path: impl Into<PathBuf>, variables: Surroundings, secrets: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), variables, secrets: secrets.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it. Blocks for as long as the files take.
    ///
    /// # Errors
    /// It cannot be read, has mistakes, or asks for what is not done here.
    pub fn load(&self) -> Result<Config, LoadError> {
        self.meaning(&self.content())
    }

    pub(crate) fn content(&self) -> Content {
        Content { text: self.text(), surroundings: self.variables.clone().with_files(&self.secrets) }
    }

    pub(crate) fn meaning(&self, content: &Content) -> Result<Config, LoadError> {
        let text = content.text.as_ref().map_err(|error| LoadError::Unreadable(error.clone()))?;
        let parsed = parse(&self.path.display().to_string(), text);
        let config = parsed.resolve(&content.surroundings).map_err(LoadError::Wrong)?;
        let is_fatal = |finding: &&Finding| finding.severity == Severity::Fatal;
        let refused: Vec<_> = config.findings.iter().filter(is_fatal).cloned().collect();
        if refused.is_empty() { Ok(config) } else { Err(LoadError::Refused(refused)) }
    }

    fn text(&self) -> Result<String, String> {
        let file = fs_err::File::open(&self.path).map_err(|error| error.to_string())?;
        let mut text = String::new();
        file.take(MOST + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
        if text.len() as u64 > MOST {
            return Err(format!("{} is longer than {MOST} bytes", self.path.display()));
        }
        Ok(text)
    }
}
