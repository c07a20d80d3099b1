//! The work tree: fetched, checked out, cleaned, and with what is not committed laid over it.

use runner_core::{FailureReason, Result as CoreResult, job::HookName};
use tokio::time::sleep;

use super::{
    Engine, attempts, colour,
    course::{Course, Obstacle, Phased},
    environment::Environment,
    files,
    git::{Git, GitFailure},
    large_files,
    limit::Limit,
    process::Output,
    remote::Remote,
    repository::{self, Settings},
    steps, submodules,
    wishes::{Strategy, Wishes},
};
use crate::host::Exit;

/// Makes the work tree as the job asks.
pub(crate) async fn get(
    engine: &Engine,
    environment: &Environment,
    course: &mut Course,
    limit: &mut Limit,
) -> Phased {
    let mut warnings = Vec::new();
    let wishes = Wishes::read(environment, &engine.job.git, &mut warnings)?;
    let most = attempts::count(environment, "GET_SOURCES_ATTEMPTS", &mut warnings);
    for warning in &warnings {
        engine.log.line(&colour::warning(warning)).await;
    }
    match wishes.strategy {
        Strategy::None => {
            engine.log.line("GIT_STRATEGY is none: the work tree stays as it is.").await;
            let project = engine.places.project.clone();
            let made = move || fs_err::create_dir_all(project);
            Ok(files::blocking("make the work tree", made).await?)
        }
        Strategy::Empty => {
            engine.log.line("GIT_STRATEGY is empty: the work tree is an empty directory.").await;
            Ok(clear(engine).await?)
        }
        Strategy::Clone | Strategy::Fetch if engine.job.git.repo_url.is_empty() => {
            engine.log.line("The job has no repository: the work tree is an empty directory.").await;
            Ok(clear(engine).await?)
        }
        Strategy::Clone | Strategy::Fetch => {
            refuse_options(engine)?;
            let before = (HookName::PreGetSourcesScript, engine.places.root.as_path());
            steps::run_hook(engine, environment, course, limit, before).await?;
            stay_here(course).await?;
            let remote = Remote::parse(&engine.job.git.repo_url);
            let git = Git::prepare(engine, environment, &remote, wishes.submodule_https).await?;
            let settings = settings(engine, environment, remote);
            Sources { engine, wishes, git, settings }.try_often(course, limit, most).await?;
            let after = (HookName::PostGetSourcesScript, engine.places.project.as_path());
            steps::run_hook(engine, environment, course, limit, after).await
        }
    }
}

/// Refuses to go on where a hook has put a link in the place of the job's directory.
async fn stay_here(course: &Course) -> Phased {
    let Some(ground) = course.ground.clone() else { return Ok(()) };
    if files::blocking("look at the job's directory", move || ground.is_there()).await? {
        return Ok(());
    }
    let message = "a hook moved the job's directory or put a link in its place";
    Err(Obstacle::failed(FailureReason::ConfigurationError, message))
}

async fn clear(engine: &Engine) -> CoreResult<()> {
    let project = engine.places.project.clone();
    files::blocking("empty the work tree", move || files::clear(&project)).await
}

/// Refuses names that git would take for options.
fn refuse_options(engine: &Engine) -> Phased {
    let git = &engine.job.git;
    let names = git.refspecs.iter().chain([&git.sha]).chain(&git.overlay);
    match names.into_iter().find(|name| name.starts_with('-')) {
        Some(name) => {
            let message = format!("{name:?} can be no name of a commit or ref");
            Err(Obstacle::failed(FailureReason::ConfigurationError, message))
        }
        None => Ok(()),
    }
}

fn settings(engine: &Engine, environment: &Environment, remote: Remote) -> Settings {
    let token = environment.value("CI_JOB_TOKEN");
    let login = remote.login.as_ref();
    let same = login.filter(|login| !token.is_empty() && login.password.expose() == token);
    let token_user = same.map(|login| login.username.clone());
    Settings { token_user, remote, sha256: engine.job.git.object_format.as_deref() == Some("sha256") }
}

/// The making of one work tree.
struct Sources<'a> {
    engine: &'a Engine,
    wishes: Wishes,
    git: Git<'a>,
    settings: Settings,
}

/// What failed while a work tree was made.
enum Fault {
    /// Fetching: most likely the other side's doing.
    Fetch(GitFailure),
    /// Something that works on what was fetched.
    Local(GitFailure),
}

impl Fault {
    fn failure(self) -> GitFailure {
        match self {
            Self::Fetch(failure) | Self::Local(failure) => failure,
        }
    }
}

impl Sources<'_> {
    async fn try_often(&self, course: &mut Course, limit: &mut Limit, most: u32) -> Phased {
        let mut attempt = 1;
        loop {
            let Err(failure) = self.make(course, limit).await? else { return Ok(()) };
            if attempt >= most {
                return Err(failure.into());
            }
            let pause = attempts::pause(attempt);
            let text = format!("Getting the sources failed; trying again in {} s", pause.as_secs());
            self.engine.log.line(&colour::warning(&text)).await;
            limit.bound(sleep(pause)).await?;
            attempt += 1;
        }
    }

    async fn make(&self, course: &mut Course, limit: &mut Limit) -> Phased<Result<(), GitFailure>> {
        let reused = self.wishes.strategy == Strategy::Fetch && self.adopt().await?;
        if !reused {
            self.create().await?;
        }
        match self.fill(course, limit, reused).await? {
            Ok(()) => Ok(Ok(())),
            Err(fault) if reused && self.is_damaged(course, limit, &fault).await? => {
                let text = "The repository of an earlier job cannot be used: starting with a fresh one";
                self.engine.log.line(&colour::warning(text)).await;
                self.create().await?;
                Ok(self.fill(course, limit, false).await?.map_err(Fault::failure))
            }
            Err(fault) => Ok(Err(fault.failure())),
        }
    }

    async fn adopt(&self) -> CoreResult<bool> {
        let (project, settings) = (self.engine.places.project.clone(), self.settings.clone());
        files::blocking("take over the repository", move || repository::adopt(&project, &settings)).await
    }

    async fn create(&self) -> CoreResult<()> {
        let (project, settings) = (self.engine.places.project.clone(), self.settings.clone());
        files::blocking("make the repository", move || repository::create(&project, &settings)).await
    }

    /// Whether a fresh repository would help. Where the other side cannot be reached, it would not.
    async fn is_damaged(&self, course: &mut Course, limit: &mut Limit, fault: &Fault) -> Phased<bool> {
        if matches!(fault, Fault::Local(_)) {
            return Ok(true);
        }
        let mut unread = Vec::new();
        let probe = ["rev-list", "--all", "--quiet", "--max-count=1"];
        let exit = self.git.exit(course, limit, Output::Kept(&mut unread, 0), &probe).await?;
        Ok(exit != Exit::Code(0))
    }

    async fn fill(&self, course: &mut Course, limit: &mut Limit, reused: bool) -> Phased<Result<(), Fault>> {
        if let Err(failure) = self.fetch(course, limit).await? {
            return Ok(Err(Fault::Fetch(failure)));
        }
        if self.wishes.checkout {
            if let Err(failure) = self.check_out(course, limit, reused).await? {
                return Ok(Err(Fault::Local(failure)));
            }
            if !self.wishes.skip_lfs
                && let Err(failure) = large_files::pull(self.engine, &self.git, course, limit).await?
            {
                return Ok(Err(Fault::Fetch(failure)));
            }
        } else {
            self.engine.log.line("GIT_CHECKOUT is false: nothing is checked out.").await;
        }
        let updated = submodules::update(self.engine, &self.git, &self.wishes, course, limit).await?;
        Ok(updated.map_err(Fault::Local))
    }

    async fn fetch(&self, course: &mut Course, limit: &mut Limit) -> Phased<Result<(), GitFailure>> {
        let Wishes { depth, fetch, .. } = &self.wishes;
        let line = match depth {
            0 => String::from("Fetching changes"),
            depth => format!("Fetching changes, {depth} commits deep"),
        };
        self.engine.log.line(&colour::good(&line)).await;
        let depth_argument = format!("--depth={depth}");
        let mut arguments = vec!["fetch", "--no-recurse-submodules"];
        if *depth > 0 {
            arguments.push(&depth_argument);
        } else if self.engine.places.project.join(".git/shallow").exists() {
            arguments.push("--unshallow");
        }
        arguments.extend(fetch.iter().map(String::as_str));
        arguments.push("origin");
        if self.engine.job.git.refspecs.is_empty() {
            arguments.extend(["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]);
        }
        arguments.extend(self.engine.job.git.refspecs.iter().map(String::as_str));
        self.git.run(course, limit, &arguments).await
    }

    async fn check_out(
        &self,
        course: &mut Course,
        limit: &mut Limit,
        reused: bool,
    ) -> Phased<Result<(), GitFailure>> {
        let git = &self.engine.job.git;
        let commit = if git.sha.is_empty() { "FETCH_HEAD" } else { &git.sha };
        let short: String = commit.chars().take(8).collect();
        let line = format!("Checking out {short} as detached HEAD (ref is {})", git.reference);
        self.engine.log.line(&colour::good(&line)).await;
        let arguments = ["checkout", "--force", "--quiet", "--detach", commit];
        if let Err(failure) = self.git.run(course, limit, &arguments).await? {
            return Ok(Err(failure));
        }
        if reused && !self.wishes.clean.is_empty() {
            let mut arguments = vec!["clean"];
            arguments.extend(self.wishes.clean.iter().map(String::as_str));
            if let Err(failure) = self.git.run(course, limit, &arguments).await? {
                return Ok(Err(failure));
            }
        }
        match &git.overlay {
            Some(overlay) => self.lay_over(course, limit, overlay).await,
            None => Ok(Ok(())),
        }
    }

    /// Makes the files those of `overlay`, and leaves the index as it is: what differs is a change not committed yet.
    async fn lay_over(
        &self,
        course: &mut Course,
        limit: &mut Limit,
        overlay: &str,
    ) -> Phased<Result<(), GitFailure>> {
        // Unlike `git restore`, this also knows what to do where there are no files.
        let arguments = ["read-tree", "--reset", "-u", "--index-output=.git/overlay-index", overlay];
        let laid = self.git.run(course, limit, &arguments).await?;
        let index = self.engine.places.project.join(".git/overlay-index");
        files::blocking("remove the index of the overlay", move || files::remove(&index)).await?;
        Ok(laid)
    }
}
