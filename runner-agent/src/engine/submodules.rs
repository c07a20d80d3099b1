//! Submodules of the work tree.

use super::{
    Engine, colour,
    course::{Course, Phased},
    git::{Git, GitFailure},
    large_files,
    limit::Limit,
    remote::Remote,
    wishes::{Submodules, Wishes},
};

/// Checks out the submodules that the job wants. A repository without any costs nothing.
pub(crate) async fn update(
    engine: &Engine,
    git: &Git<'_>,
    wishes: &Wishes,
    course: &mut Course,
    limit: &mut Limit,
) -> Phased<Result<(), GitFailure>> {
    if wishes.submodules == Submodules::None || !engine.places.project.join(".gitmodules").exists() {
        return Ok(Ok(()));
    }
    let recursive = wishes.submodules == Submodules::Recursive;
    let line =
        if recursive { "Updating submodules, also those of submodules" } else { "Updating submodules" };
    engine.log.line(&colour::good(line)).await;
    let home = engine.job.git.home_url.as_deref().map(|address| Remote::parse(address).url);
    let reused = engine.places.project.join(".git/modules").exists();
    for arguments in commands(wishes, reused, home.as_deref()) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if let Err(failure) = git.run(course, limit, &arguments).await? {
            return Ok(Err(failure));
        }
    }
    if wishes.skip_lfs {
        Ok(Ok(()))
    } else {
        large_files::pull_submodules(git, recursive, course, limit).await
    }
}

/// What git does, in order. `reused`: an earlier job left submodules, whose addresses and files may be old.
///
/// Relative addresses belong to `home`, if there is one. Git hands what is set for one command down to submodules, to
/// which that home is a wrong one, so only commands that stay at the top are told of it.
fn commands(wishes: &Wishes, reused: bool, home: Option<&str>) -> Vec<Vec<String>> {
    let recursive = (wishes.submodules == Submodules::Recursive).then(|| String::from("--recursive"));
    let submodule = |verb: &str| vec![String::from("submodule"), verb.to_owned()];
    let paths = || {
        let dashes = (!wishes.submodule_paths.is_empty()).then(|| String::from("--"));
        dashes.into_iter().chain(wishes.submodule_paths.iter().cloned())
    };
    let each = |words: &[&str]| {
        let mut arguments = submodule("foreach");
        arguments.extend([String::from("--quiet")]);
        arguments.extend(recursive.clone());
        arguments.extend(words.iter().map(|&word| word.to_owned()));
        arguments
    };
    let at_home = |arguments: Vec<String>| {
        let told = home.map(|home| [String::from("-c"), format!("remote.origin.url={home}")]);
        told.into_iter().flatten().chain(arguments).collect::<Vec<_>>()
    };
    let mut init = submodule("init");
    init.extend(paths());
    let mut commands = Vec::new();
    if reused || home.is_some() {
        commands.push(at_home(init));
    }
    if reused {
        let mut sync = submodule("sync");
        sync.push("--quiet".into());
        sync.extend(recursive.clone().filter(|_| home.is_none()));
        sync.extend(paths());
        commands.push(at_home(sync));
        if home.is_some() && recursive.is_some() {
            commands.push(each(&["git", "submodule", "sync", "--quiet"]));
        }
    }
    let mut update = submodule("update");
    update.push("--init".into());
    update.push("--force".into());
    update.extend(recursive.clone());
    if wishes.submodule_depth > 0 {
        update.push(format!("--depth={}", wishes.submodule_depth));
    }
    update.extend(wishes.submodule_update.iter().cloned());
    update.extend(paths());
    commands.push(update);
    if reused {
        commands.push(each(&["git", "reset", "--quiet", "--hard"]));
        let clean = ["git", "clean"].into_iter().chain(wishes.clean.iter().map(String::as_str));
        commands.extend((!wishes.clean.is_empty()).then(|| each(&clean.collect::<Vec<_>>())));
    }
    commands
}
