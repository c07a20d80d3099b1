//! Submodules of the work tree.

use super::{
    Engine, colour,
    course::{Course, Phased},
    git::{Git, GitFailure},
    large_files,
    limit::Limit,
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
    for arguments in commands(wishes, engine.places.project.join(".git/modules").exists()) {
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
fn commands(wishes: &Wishes, reused: bool) -> Vec<Vec<String>> {
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
    let mut update = submodule("update");
    update.push("--init".into());
    update.push("--force".into());
    update.extend(recursive.clone());
    if wishes.submodule_depth > 0 {
        update.push(format!("--depth={}", wishes.submodule_depth));
    }
    update.extend(wishes.submodule_update.iter().cloned());
    update.extend(paths());
    if !reused {
        return vec![update];
    }
    let mut init = submodule("init");
    init.extend(paths());
    let mut sync = submodule("sync");
    sync.push("--quiet".into());
    sync.extend(recursive.clone());
    sync.extend(paths());
    let clean: Vec<&str> =
        ["git", "clean"].into_iter().chain(wishes.clean.iter().map(String::as_str)).collect();
    let mut commands = vec![init, sync, update, each(&["git", "reset", "--quiet", "--hard"])];
    if !wishes.clean.is_empty() {
        commands.push(each(&clean));
    }
    commands
}
