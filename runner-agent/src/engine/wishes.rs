//! What a job asks of its work tree: the `GIT_…` variables, read once.

use runner_core::{FailureReason, job::GitInfo};

use super::{course::Obstacle, environment::Environment};

/// How the work tree is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// A fresh repository.
    Clone,
    /// The repository that an earlier job left, brought up to date; a fresh one where there is none.
    Fetch,
    /// The directory stays as it is.
    None,
    /// An empty directory.
    Empty,
}

/// Which submodules are checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Submodules {
    /// None.
    None,
    /// Those of the repository itself.
    Normal,
    /// Also those of submodules.
    Recursive,
}

/// What a job asks of its work tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// How it is made.
    pub(crate) strategy: Strategy,
    /// Whether a commit is checked out.
    pub(crate) checkout: bool,
    /// How many commits are fetched; 0 is all.
    pub(crate) depth: u32,
    /// Arguments of `git clean`; none: nothing is removed.
    pub(crate) clean: Vec<String>,
    /// More arguments of `git fetch`.
    pub(crate) fetch: Vec<String>,
    /// Which submodules are checked out.
    pub(crate) submodules: Submodules,
    /// Which of them, as patterns of paths; empty: all.
    pub(crate) submodule_paths: Vec<String>,
    /// How many commits of a submodule are fetched; 0 is all.
    pub(crate) submodule_depth: u32,
    /// More arguments of `git submodule update`.
    pub(crate) submodule_update: Vec<String>,
    /// Submodules on the same host are fetched by HTTPS, whatever their address says.
    pub(crate) submodule_https: bool,
    /// Large files are left as the small ones that stand for them.
    pub(crate) skip_lfs: bool,
}

impl Wishes {
    /// Reads them. What cannot be understood is a failure where it would change what is checked out, and a warning
    /// elsewhere.
    pub(crate) fn read(
        environment: &Environment,
        git: &GitInfo,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Obstacle> {
        let depth = number(environment, "GIT_DEPTH", git.depth, warnings);
        let clean = match environment.value("GIT_CLEAN_FLAGS") {
            "" => vec![String::from("-ffdx")],
            "none" => Vec::new(),
            flags => words(flags),
        };
        let fetch = match environment.value("GIT_FETCH_EXTRA_FLAGS") {
            "" => vec![String::from("--prune"), String::from("--quiet")],
            flags => words(flags),
        };
        Ok(Self {
            strategy: strategy(environment.value("GIT_STRATEGY"))?,
            checkout: environment.value("GIT_CHECKOUT").is_empty() || environment.is_true("GIT_CHECKOUT"),
            depth,
            clean,
            fetch,
            submodules: submodules(environment.value("GIT_SUBMODULE_STRATEGY"))?,
            submodule_paths: words(environment.value("GIT_SUBMODULE_PATHS")),
            submodule_depth: number(environment, "GIT_SUBMODULE_DEPTH", depth, warnings),
            submodule_update: words(environment.value("GIT_SUBMODULE_UPDATE_FLAGS")),
            submodule_https: environment.is_true("GIT_SUBMODULE_FORCE_HTTPS"),
            skip_lfs: environment.is_true("GIT_LFS_SKIP_SMUDGE"),
        })
    }
}

fn strategy(text: &str) -> Result<Strategy, Obstacle> {
    match text {
        "" | "fetch" => Ok(Strategy::Fetch),
        "clone" => Ok(Strategy::Clone),
        "none" => Ok(Strategy::None),
        "empty" => Ok(Strategy::Empty),
        other => Err(unknown("GIT_STRATEGY", other, "clone, fetch, none or empty")),
    }
}

fn submodules(text: &str) -> Result<Submodules, Obstacle> {
    match text {
        "" | "none" => Ok(Submodules::None),
        "normal" => Ok(Submodules::Normal),
        "recursive" => Ok(Submodules::Recursive),
        other => Err(unknown("GIT_SUBMODULE_STRATEGY", other, "none, normal or recursive")),
    }
}

fn unknown(key: &str, value: &str, known: &str) -> Obstacle {
    let message = format!("{key} is {value:?}, but it can only be {known}");
    Obstacle::failed(FailureReason::ConfigurationError, message)
}

fn number(environment: &Environment, key: &str, default: u32, warnings: &mut Vec<String>) -> u32 {
    let text = environment.value(key).trim();
    if text.is_empty() {
        return default;
    }
    text.parse().unwrap_or_else(|_| {
        warnings.push(format!("{key} is {text:?}, which is no number from 0 on: it is taken as {default}"));
        default
    })
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
