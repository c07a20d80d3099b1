//! The git work tree that a pipeline is run from: where it is, what is checked out, and what it calls its home.
//!
//! Everything here only reads, through the `git` program. What a job gets of the work tree is made by
//! [`Snapshot`](crate::Snapshot).

use std::path::{Path, PathBuf};

mod digest;
mod error;
mod folder;
mod git;
mod remote;

pub use error::RepositoryError;
pub use remote::Remote;

pub(crate) use git::{Git, GitOutput, path_from_bytes};

type Result<T> = std::result::Result<T, RepositoryError>;

/// A git repository with a work tree.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
    /// Where the project is within the work tree, where it is not the whole of it.
    folder: Option<PathBuf>,
    git_dir: PathBuf,
    common_dir: PathBuf,
    object_format: String,
    shallow: bool,
    branch: Option<String>,
    commit: Option<Commit>,
    config: Config,
    default_branch: String,
}

/// The commit that is checked out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its hash.
    pub sha: String,
    /// The hash of its tree.
    pub tree: String,
    /// The hash of its first parent, where it has one.
    pub parent: Option<String>,
    /// The name of its author.
    pub author_name: String,
    /// The address of its author.
    pub author_email: String,
    /// When it was committed, in ISO 8601.
    pub timestamp: String,
    /// The whole message.
    pub message: String,
}

/// What the configuration of git says that matters here.
#[derive(Debug, Clone, Default)]
struct Config {
    remotes: Vec<(String, String)>,
    user_name: String,
    user_email: String,
    initial_branch: Option<String>,
    filters: Vec<String>,
    partial: bool,
}

impl Repository {
    /// The repository whose work tree `directory` is in.
    ///
    /// # Errors
    /// Where git is missing, there is no repository, it has no work tree, or git refuses to read it.
    pub async fn discover(directory: &Path) -> runner_core::Result<Self> {
        Self::find(directory).await.map_err(|error| error.during("read the repository", directory))
    }

    async fn find(directory: &Path) -> Result<Self> {
        if !directory.is_dir() {
            return Err(RepositoryError::NoDirectory);
        }
        let layout = Layout::read(directory).await?;
        let git = Git::new(&layout.root);
        let (branch, commit, config) = tokio::join!(branch(&git), commit(&git), Config::read(&git));
        let (branch, config) = (branch?, config?);
        let default_branch = default_branch(&git, &config, branch.as_deref()).await?;
        Ok(Self {
            root: layout.root,
            folder: None,
            git_dir: layout.git_dir,
            common_dir: layout.common_dir,
            object_format: layout.object_format,
            shallow: layout.shallow,
            branch,
            commit: commit?,
            config,
            default_branch,
        })
    }

    /// The top directory of the project: of the work tree, unless a [folder](Self::folder) of it was taken.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The branch that is checked out, also one without a commit yet; `None` where HEAD is detached.
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }

    /// The commit that is checked out; `None` before the first one. That of a [folder](Self::folder) has no hash yet.
    pub fn commit(&self) -> Option<&Commit> {
        self.commit.as_ref()
    }

    /// The hash of the commit that is checked out, where jobs can check it out too.
    pub(crate) fn head(&self) -> Option<&Commit> {
        self.commit().filter(|commit| !commit.sha.is_empty())
    }

    /// Where the project is within the work tree, where it is not the whole of it.
    pub(crate) fn within(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The branch that the project counts as its main one: what `origin/HEAD` names, else `main` or `master`.
    pub fn default_branch(&self) -> &str {
        &self.default_branch
    }

    /// Where the project has its home, as told by the remote `origin`, or by the first one where there is no `origin`.
    pub fn remote(&self) -> Option<Remote> {
        self.config.remote().map(|(_, url)| Remote::parse(url))
    }

    /// Where relative addresses of submodules belong, as git has it: to that remote, and without one to the work tree
    /// itself. A [folder](Self::folder) has no submodules.
    pub(crate) fn home_url(&self) -> Option<String> {
        let url = self.config.remote().map_or("", |(_, url)| url);
        let is_whole = self.within().is_none();
        is_whole.then(|| {
            if remote::is_relative(url) { self.root.join(url).to_string_lossy().into() } else { url.into() }
        })
    }

    /// The name of that remote.
    pub(crate) fn remote_name(&self) -> &str {
        self.config.remote().map_or("origin", |(name, _)| name)
    }

    /// The name of the person, as git's configuration has it; may be empty.
    pub(crate) fn user_name(&self) -> &str {
        &self.config.user_name
    }

    /// The address of the person, as git's configuration has it; may be empty.
    pub(crate) fn user_email(&self) -> &str {
        &self.config.user_email
    }

    /// The names of the filter drivers that are configured, such as `lfs`.
    pub(crate) fn filters(&self) -> &[String] {
        &self.config.filters
    }

    /// Whether old objects may be missing: the repository is a partial clone.
    pub(crate) fn is_partial(&self) -> bool {
        self.config.partial
    }

    /// Whether the history is cut off.
    pub(crate) fn is_shallow(&self) -> bool {
        self.shallow
    }

    /// `sha1` or `sha256`.
    pub(crate) fn object_format(&self) -> &str {
        &self.object_format
    }

    /// The directory of this work tree's own state, such as its index.
    pub(crate) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The directory that all work trees share, such as the objects.
    pub(crate) fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Runs git in the work tree.
    pub(crate) fn git(&self) -> Git {
        Git::new(&self.root)
    }
}

/// Where a repository's parts are.
struct Layout {
    root: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    object_format: String,
    shallow: bool,
}

impl Layout {
    async fn read(directory: &Path) -> Result<Self> {
        let arguments = [
            "rev-parse",
            "--is-bare-repository",
            "--is-inside-work-tree",
            "--is-shallow-repository",
            "--show-object-format",
            "--path-format=absolute",
            "--absolute-git-dir",
            "--git-common-dir",
            "--show-toplevel",
        ];
        let output = Git::new(directory).run(&arguments).await?;
        // An old git prints what it does not know.
        if output.stdout.windows(3).any(|part| part == b"\n--") {
            return Err(RepositoryError::GitTooOld);
        }
        let mut lines = output.stdout.split(|byte| *byte == b'\n');
        let mut line = || lines.next().unwrap_or_default();
        let (bare, inside, shallow) = (line() == b"true", line() == b"true", line() == b"true");
        let object_format = String::from_utf8_lossy(line()).into_owned();
        let (git_dir, common_dir, root) = (line(), line(), line());
        if output.succeeded && line().is_empty() && lines.next().is_none() {
            return Ok(Self {
                root: path_from_bytes(root),
                git_dir: path_from_bytes(git_dir),
                common_dir: path_from_bytes(common_dir),
                object_format,
                shallow,
            });
        }
        Err(match (bare, inside) {
            _ if output.succeeded => RepositoryError::LineBreak,
            (true, _) => RepositoryError::Bare,
            (false, false) if !git_dir.is_empty() => RepositoryError::InsideGitDirectory,
            _ => RepositoryError::of(&output, "rev-parse"),
        })
    }
}

async fn branch(git: &Git) -> Result<Option<String>> {
    let output = git.run(&["symbolic-ref", "--quiet", "HEAD"]).await?;
    let name = output.text();
    Ok(name.strip_prefix("refs/heads/").map(str::to_owned).filter(|_| output.succeeded))
}

async fn commit(git: &Git) -> Result<Option<Commit>> {
    let format = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%cI%x00%B";
    let output = git
        .run(&[
            "log",
            "-1",
            "--no-show-signature",
            "--encoding=UTF-8",
            "--no-color",
            format,
            "--end-of-options",
            "HEAD",
        ])
        .await?;
    if !output.succeeded {
        let unborn = git.run(&["rev-parse", "--verify", "--quiet", "HEAD"]).await?;
        return if unborn.succeeded { Err(RepositoryError::of(&output, "log")) } else { Ok(None) };
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut fields = text.splitn(7, '\0').map(str::to_owned);
    let mut field = || fields.next().unwrap_or_default();
    let (sha, tree, parents) = (field(), field(), field());
    Ok(Some(Commit {
        sha,
        tree,
        parent: parents.split(' ').next().filter(|parent| !parent.is_empty()).map(str::to_owned),
        author_name: field(),
        author_email: field(),
        timestamp: field(),
        message: field().strip_suffix('\n').unwrap_or_default().to_owned(),
    }))
}

impl Config {
    async fn read(git: &Git) -> Result<Self> {
        let pattern = r"^(remote\..*\.(url|promisor)|user\.(name|email)|init\.defaultbranch|extensions\.partialclone|filter\..*)$";
        let output = git.run(&["config", "-z", "--get-regexp", pattern]).await?;
        let mut config = Self::default();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for entry in text.split('\0').filter(|entry| !entry.is_empty()) {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            config.take(key, value);
        }
        Ok(config)
    }

    fn take(&mut self, key: &str, value: &str) {
        let Some((section, rest)) = key.split_once('.') else { return };
        let (name, setting) = rest.rsplit_once('.').unwrap_or(("", rest));
        match (section, setting) {
            ("remote", "url") if !self.remotes.iter().any(|(remote, _)| remote == name) => {
                self.remotes.push((name.to_owned(), value.to_owned()));
            }
            ("remote", "promisor") => self.partial |= value != "false",
            ("extensions", "partialclone") => self.partial = true,
            ("user", "name") => value.clone_into(&mut self.user_name),
            ("user", "email") => value.clone_into(&mut self.user_email),
            ("init", "defaultbranch") => self.initial_branch = Some(value.to_owned()),
            ("filter", _) if !self.filters.iter().any(|filter| filter == name) => {
                self.filters.push(name.to_owned());
            }
            _ => {}
        }
    }

    fn remote(&self) -> Option<(&str, &str)> {
        let origin = self.remotes.iter().find(|(name, _)| name == "origin");
        origin.or(self.remotes.first()).map(|(name, url)| (name.as_str(), url.as_str()))
    }
}

async fn default_branch(git: &Git, config: &Config, current: Option<&str>) -> Result<String> {
    let remote = config.remote().map_or("origin", |(name, _)| name);
    let prefix = format!("refs/remotes/{remote}/");
    let mut arguments = vec!["for-each-ref".to_owned(), "--format=%(refname)%00%(symref)".to_owned()];
    arguments.push(format!("{prefix}HEAD"));
    for name in ["main", "master"] {
        arguments.push(format!("refs/heads/{name}"));
        arguments.push(format!("{prefix}{name}"));
    }
    let output = git.run(&arguments).await?;
    let text = output.text();
    let refs: Vec<_> = text.lines().filter_map(|line| line.split_once('\0')).collect();
    if let Some(name) = refs.iter().find_map(|(_, target)| target.strip_prefix(&prefix)) {
        return Ok(name.to_owned());
    }
    let exists = |name: &str| refs.iter().any(|(reference, _)| reference.ends_with(&format!("/{name}")));
    let known = ["main", "master"].into_iter().find(|name| exists(name)).map(str::to_owned);
    let guess = known.or_else(|| current.map(str::to_owned)).or_else(|| config.initial_branch.clone());
    Ok(guess.unwrap_or_else(|| "main".to_owned()))
}
