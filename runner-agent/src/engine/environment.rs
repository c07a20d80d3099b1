//! The variables of a job, as its processes and our own decisions see them.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use fs_err as fs;
use runner_core::{
    JobSpec, Result,
    job::{Variable, Variables},
};

use super::{Engine, EngineSettings, Places, files};

/// The folder of our own files within [`Places::temporary`]. No file variable gets this name.
pub(crate) const OWN_FOLDER: &str = ".runner";

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an environment that a person or a git hook started us with must not decide: which repository git works on,
/// who is asked for passwords, and what shells run before a script.
const NOT_INHERITED: &[&str] = &[
    "BASH_ENV",
    "BASHOPTS",
    "ENV",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ASKPASS",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
    "OLDPWD",
    "PWD",
    "SHELLOPTS",
    "SHLVL",
    "SSH_ASKPASS",
];

/// Variables that would change the shell itself rather than what it starts. The script exports them.
const FOR_CHILDREN: &[&str] = &["BASH_ENV", "BASHOPTS", "ENV", "SHELLOPTS"];

/// Keys and values of an environment.
pub(crate) type Pairs = Vec<(String, String)>;

/// The variables of a job, expanded, with the paths of file variables in place of their contents.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    base: Pairs,
    variables: Variables,
    /// What scripts added by writing to the file that `GITLAB_ENV` names.
    added: Pairs,
    added_file: PathBuf,
}

/// A file variable, before its file is written.
#[derive(Debug, PartialEq, Eq)]
struct FileVariable {
    path: PathBuf,
    content: String,
}

impl Environment {
    /// Assembles the variables and writes the file variables. Also returns a warning for each that was left out.
    pub(crate) async fn prepare(engine: &Engine) -> Result<(Self, Vec<String>)> {
        let (environment, files, warnings) = assemble(&engine.job, &engine.places, &engine.settings);
        let temporary = engine.places.temporary.clone();
        let added_file = environment.added_file.clone();
        files::blocking("write the job's file variables", move || {
            write_files(&temporary, &added_file, &files)
        })
        .await?;
        Ok((environment, warnings))
    }

    /// The same for a host whose processes find `base` in place of what the engine was told.
    pub(crate) fn on(&self, base: Pairs) -> Self {
        Self { base: inherited(base), ..self.clone() }
    }

    /// All variables, each expanded.
    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The value for `key`, or nothing.
    pub(crate) fn value(&self, key: &str) -> &str {
        self.variables.get(key).map_or("", |variable| variable.value.as_str())
    }

    /// Whether `key` is set to `true` or the like.
    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.variables.is_true(key)
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.variables.push(Variable::raw(key, value));
    }

    /// The value of `PATH` in [`pairs`](Self::pairs).
    pub(crate) fn path(&self) -> String {
        self.pairs().into_iter().find(|(key, _)| key == "PATH").map_or_else(String::new, |(_, value)| value)
    }

    /// The environment of a process: each key once.
    pub(crate) fn pairs(&self) -> Pairs {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut pairs = Pairs::new();
        let default_path = (String::from("PATH"), String::from(DEFAULT_PATH));
        let variables = self.variables.0.iter().map(|variable| (&variable.key, &variable.value));
        let base = std::iter::once(&default_path).chain(&self.base).map(|(key, value)| (key, value));
        let added = self.added.iter().map(|(key, value)| (key, value));
        for (key, value) in base.chain(variables).chain(added) {
            if let Some((_, old)) = places.get(key.as_str()).and_then(|&place| pairs.get_mut(place)) {
                old.clone_from(value);
            } else {
                places.insert(key, pairs.len());
                pairs.push((key.clone(), value.clone()));
            }
        }
        pairs
    }

    /// The environment of a script's shell, and what that shell is to export to what it starts.
    pub(crate) fn for_shell(&self) -> (Pairs, Pairs) {
        self.pairs().into_iter().partition(|(key, _)| !FOR_CHILDREN.contains(&key.as_str()))
    }

    /// Reads what a script wrote to the file that `GITLAB_ENV` names: lines of `KEY=VALUE`.
    pub(crate) async fn read_added(&mut self) {
        let path = self.added_file.clone();
        let read = files::blocking("read GITLAB_ENV", move || {
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.len() == 0 || !metadata.is_file() { Ok(Vec::new()) } else { fs::read(path) }
        });
        if let Ok(content) = read.await {
            self.added = String::from_utf8_lossy(&content)
                .lines()
                .filter_map(|line| line.split_once('='))
                .filter(|(key, value)| fault_of(key, value).is_none())
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
        }
    }
}

fn write_files(temporary: &Path, added_file: &Path, files: &[FileVariable]) -> io::Result<()> {
    fs::create_dir_all(temporary.join(OWN_FOLDER))?;
    for file in files {
        files::write_private(&file.path, file.content.as_bytes())?;
    }
    files::write_private(added_file, b"")
}

fn assemble(
    job: &JobSpec,
    places: &Places,
    settings: &EngineSettings,
) -> (Environment, Vec<FileVariable>, Vec<String>) {
    let added_file = places.temporary.join("gitlab_runner_env");
    let mut all = Variables(ours_by_default(job, places, settings));
    all.0.extend(job.variables.0.iter().cloned());
    all.0.extend(ours_always(job, places, settings, &added_file));

    let mut warnings = Vec::new();
    all.0.retain(|variable| match fault_of(&variable.key, &variable.value) {
        None => true,
        Some(fault) => {
            warnings.push(format!("the variable {:?} is left out: {fault}", variable.key));
            false
        }
    });
    let (paths, files) = place_files(&all, &places.temporary);
    let base = inherited(settings.environment.clone());
    (Environment { base, variables: paths.expanded(), added: Vec::new(), added_file }, files, warnings)
}

fn inherited(mut pairs: Pairs) -> Pairs {
    pairs.retain(|(key, value)| !NOT_INHERITED.contains(&key.as_str()) && fault_of(key, value).is_none());
    pairs
}

/// Puts the path of its file in the place of each file variable's content.
fn place_files(all: &Variables, temporary: &Path) -> (Variables, Vec<FileVariable>) {
    let mut files = Vec::new();
    let mut placed = Vec::with_capacity(all.0.len());
    for (number, variable) in all.0.iter().enumerate() {
        let counts = all.get(&variable.key).is_some_and(|last| std::ptr::eq(last, variable));
        if !variable.file || !counts {
            placed.push(Variable { file: false, ..variable.clone() });
            continue;
        }
        let path = temporary.join(file_name(&variable.key, number));
        let content = if variable.raw { variable.value.clone() } else { all.expand(&variable.value) };
        let value = path.to_string_lossy().into_owned();
        placed.push(Variable { value, raw: true, ..variable.clone() });
        files.push(FileVariable { path, content });
    }
    (Variables(placed), files)
}

/// The variable's own name where that is a safe name for a file.
fn file_name(key: &str, number: usize) -> String {
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    if key.chars().all(is_safe) && !key.starts_with('.') && key.len() <= 200 && key != "gitlab_runner_env" {
        key.to_owned()
    } else {
        format!("variable-{number}")
    }
}

fn fault_of(key: &str, value: &str) -> Option<&'static str> {
    if key.is_empty() {
        Some("it has no name")
    } else if key.contains(['=', '\0']) {
        Some("its name holds a character that no environment can hold")
    } else if value.contains('\0') {
        Some("its value holds a NUL character, which no environment can hold")
    } else {
        None
    }
}

fn ours_by_default(job: &JobSpec, places: &Places, settings: &EngineSettings) -> Vec<Variable> {
    let mut variables = vec![
        Variable::raw("CI", "true"),
        Variable::raw("GITLAB_CI", "true"),
        Variable::raw("CI_SERVER", "yes"),
        Variable::raw("CI_DISPOSABLE_ENVIRONMENT", "true"),
        // Where a job has no repository, git must not find one that the job's directory happens to be in.
        Variable::raw("GIT_CEILING_DIRECTORIES", places.root.to_string_lossy()),
        Variable::raw("CI_JOB_NAME", job.name.as_str()),
        Variable::raw("CI_JOB_STAGE", job.stage.as_str()),
        Variable::raw("CI_RUNNER_DESCRIPTION", settings.runner.as_str()),
        Variable::raw("CI_RUNNER_VERSION", env!("CARGO_PKG_VERSION")),
        Variable::raw(
            "CI_RUNNER_EXECUTABLE_ARCH",
            format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        ),
    ];
    if let Some(image) = &job.image {
        variables.push(Variable::new("CI_JOB_IMAGE", image.name.as_str()));
    }
    variables
}

fn ours_always(
    job: &JobSpec,
    places: &Places,
    settings: &EngineSettings,
    added_file: &Path,
) -> Vec<Variable> {
    let path = |key: &str, path: &Path| Variable::raw(key, path.to_string_lossy());
    vec![
        path("CI_BUILDS_DIR", &settings.builds_dir),
        path("CI_PROJECT_DIR", &places.project),
        path("RUNNER_TEMP_PROJECT_DIR", &places.temporary),
        path("GITLAB_ENV", added_file),
        Variable::raw("CI_CONCURRENT_ID", settings.slot.to_string()),
        Variable::raw("CI_CONCURRENT_PROJECT_ID", settings.slot.to_string()),
        Variable::raw("CI_JOB_TIMEOUT", job.timeout.as_secs().to_string()),
        Variable::raw("CI_JOB_STATUS", "running"),
    ]
}

#[cfg(test)]
mod tests;
