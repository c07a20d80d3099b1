//! The snapshot of a work tree: what jobs get of it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use runner_core::job::GitInfo;
use runner_pipeline::{PipelineEvent, Predefined, Repository, Snapshot};

use crate::work_tree::{Outcome, WorkTree, files, git};

pub(crate) async fn snapshot(tree: &WorkTree) -> Outcome<Snapshot> {
    snapshot_of(tree.root(), &tree.beside("scratch"), PipelineEvent::Push).await
}

pub(crate) async fn snapshot_of(root: &Path, scratch: &Path, event: PipelineEvent) -> Outcome<Snapshot> {
    let repository = Repository::discover(root).await?;
    let predefined = Predefined::of(&repository, event, ".gitlab-ci.yml").await?;
    Ok(Snapshot::take(&repository, &predefined, scratch).await?)
}

#[tokio::test]
async fn a_clean_work_tree_needs_no_overlay() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let snapshot = snapshot(&tree).await?;
    assert!(!snapshot.is_dirty());
    let info = snapshot.git_info(None);
    assert_eq!((info.overlay.as_ref(), info.depth), (None, 20));
    assert_eq!(files(&tree.check_out(&info, "job")?)?, ["file"]);
    Ok(())
}

#[tokio::test]
async fn a_job_gets_the_work_tree_as_git_sees_it() -> Outcome {
    let tree = WorkTree::new()?;
    for file in ["changed", "deleted", "moved", "kept", "mode"] {
        tree.write(file, file)?;
    }
    tree.write(".gitignore", "ignored\n*.log\n")?;
    let head = tree.commit("first")?;
    tree.write("changed", "new")?;
    fs::remove_file(tree.root().join("deleted"))?;
    fs::rename(tree.root().join("moved"), tree.root().join("to here"))?;
    tree.make_executable("mode")?;
    symlink("kept", tree.root().join("link"))?;
    tree.write("staged", "staged")?;
    tree.git(&["add", "staged"])?;
    for odd in ["new/ä \"quoted\"\ttab", "-dash", "back\\slash", "line\nbreak", ":colon"] {
        tree.write(odd, odd)?;
    }
    tree.write("ignored", "")?;
    tree.write("a.log", "")?;
    tree.write(".runner/artifacts/x", "")?;
    let before = tree.git(&["status", "--porcelain"])?;
    let index = fs::read(tree.root().join(".git/index"))?;

    let snapshot = snapshot(&tree).await?;
    assert!(snapshot.is_dirty() && snapshot.notes().is_empty());
    let place = tree.check_out(&snapshot.git_info(None), "job")?;
    let expected = [
        "-dash",
        ".gitignore",
        ":colon",
        "back\\slash",
        "changed",
        "kept",
        "line\nbreak",
        "link",
        "mode",
        "new/ä \"quoted\"\ttab",
        "staged",
        "to here",
    ];
    assert_eq!(files(&place)?, expected);
    assert_eq!(fs::read_to_string(place.join("changed"))?, "new");
    assert_eq!(fs::metadata(place.join("mode"))?.permissions().mode() & 0o111, 0o111);
    assert_eq!(fs::read_link(place.join("link"))?, Path::new("kept"));
    assert_eq!(git(&place, &["rev-parse", "HEAD"])?, head);
    assert_eq!(tree.git(&["status", "--porcelain"])?, before);
    assert_eq!(fs::read(tree.root().join(".git/index"))?, index);
    Ok(())
}

#[tokio::test]
async fn a_repository_without_a_commit_has_a_snapshot_that_is_one() -> Outcome {
    let tree = WorkTree::new()?;
    tree.write("new", "new")?;
    let snapshot = snapshot(&tree).await?;
    let info = snapshot.git_info(None);
    assert_eq!(info.overlay, None);
    let place = tree.check_out(&info, "job")?;
    assert_eq!(files(&place)?, ["new"]);
    let empty = WorkTree::new()?;
    let snapshot = snapshot_of(empty.root(), &empty.beside("scratch"), PipelineEvent::Push).await?;
    assert_eq!(files(&empty.check_out(&snapshot.git_info(None), "job")?)?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_runs_leave_behind_is_left_out_whether_git_ignores_it_or_not() -> Outcome {
    for ignored in ["", ".runner/\n", "/.runner\n"] {
        let tree = WorkTree::with_commit()?;
        tree.write(".gitignore", ignored)?;
        tree.write(".runner/logs/job.log", "text")?;
        tree.write("folder/.runner/file", "not ours")?;
        let checkout = tree.check_out(&snapshot(&tree).await?.git_info(None), "checkout")?;
        assert!(!checkout.join(".runner").exists(), "{ignored:?}");
        assert!(checkout.join(".gitignore").exists(), "{ignored:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_scratch_directory_goes_with_the_snapshot() -> Outcome {
    let tree = WorkTree::with_commit()?;
    tree.write("new", "")?;
    let snapshot = snapshot(&tree).await?;
    let scratch = tree.beside("scratch");
    assert_eq!(fs::read_dir(&scratch)?.count(), 1);
    drop(snapshot);
    assert_eq!(fs::read_dir(&scratch)?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_into_the_users_repository_and_no_hook_runs() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let mark = tree.beside("hook-ran");
    for hook in
        ["post-index-change", "pre-commit", "post-commit", "reference-transaction", "fsmonitor-watchman"]
    {
        let path = format!(".git/hooks/{hook}");
        tree.write(&path, &format!("#!/bin/sh\ntouch '{}'\n", mark.display()))?;
        tree.make_executable(&path)?;
    }
    tree.git(&["config", "core.fsmonitor", ".git/hooks/fsmonitor-watchman"])?;
    tree.git(&["config", "core.splitIndex", "true"])?;
    fs::remove_file(&mark).ok();
    tree.write("new", "new")?;
    let listing = files(&tree.root().join(".git"))?;
    let snapshot = snapshot(&tree).await?;
    assert_eq!(files(&tree.check_out(&snapshot.git_info(None), "job")?)?, ["file", "new"]);
    assert_eq!(files(&tree.root().join(".git"))?, listing);
    assert!(!mark.exists());
    Ok(())
}

#[tokio::test]
async fn filters_are_not_run_and_files_keep_their_content() -> Outcome {
    let tree = WorkTree::new()?;
    tree.write(".gitattributes", "*.bin filter=large\n*.txt text eol=crlf\n")?;
    tree.write("a.bin", "pointer")?;
    tree.commit("first")?;
    let mark = tree.beside("filter-ran");
    tree.git(&["config", "filter.large.clean", &format!("touch '{}'; echo pointer", mark.display())])?;
    tree.git(&["config", "filter.large.smudge", "cat"])?;
    tree.git(&["config", "filter.large.process", "false"])?;
    tree.git(&["config", "filter.large.required", "true"])?;
    tree.git(&["config", "core.safecrlf", "true"])?;
    tree.write("a.bin", "content")?;
    tree.write("a.txt", "unix\n")?;
    let snapshot = snapshot(&tree).await?;
    let place = tree.check_out(&snapshot.git_info(None), "job")?;
    assert_eq!(fs::read_to_string(place.join("a.bin"))?, "content");
    assert!(!mark.exists());
    Ok(())
}

#[tokio::test]
async fn a_linked_work_tree_has_its_own_snapshot() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let linked = tree.beside("linked tree");
    tree.git(&["worktree", "add", "--quiet", "-b", "other", &linked.to_string_lossy()])?;
    fs::write(linked.join("only here"), "x")?;
    let snapshot = snapshot_of(&linked, &tree.beside("scratch"), PipelineEvent::Push).await?;
    let info = snapshot.git_info(None);
    assert_eq!(info.reference, "other");
    assert_eq!(files(&tree.check_out(&info, "job")?)?, ["file", "only here"]);
    Ok(())
}

#[tokio::test]
async fn a_shallow_clone_can_be_run() -> Outcome {
    let tree = WorkTree::with_commit()?;
    tree.commit("second")?;
    tree.commit("third")?;
    let clone = tree.beside("clone");
    let url = format!("file://{}", tree.root().display());
    git(tree.root(), &["clone", "--quiet", "--depth=2", &url, &clone.to_string_lossy()])?;
    fs::write(clone.join("new"), "x")?;
    let snapshot = snapshot_of(&clone, &tree.beside("scratch"), PipelineEvent::Push).await?;
    for (depth, name) in [(None, "default"), (Some(1), "one"), (Some(0), "whole")] {
        let place = tree.check_out(&snapshot.git_info(depth), name)?;
        assert_eq!(files(&place)?, ["file", "new"], "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_submodule_is_its_commit() -> Outcome {
    let library = WorkTree::with_commit()?;
    let tree = WorkTree::with_commit()?;
    tree.git(&["submodule", "--quiet", "add", &library.root().to_string_lossy(), "lib"])?;
    let committed = tree.commit("with a library")?;
    let lib = tree.root().join("lib");
    git(&lib, &["commit", "--quiet", "--allow-empty", "-m", "newer"])?;
    let newer = git(&lib, &["rev-parse", "HEAD"])?;
    let snapshot = snapshot(&tree).await?;
    let info = snapshot.git_info(None);
    assert_eq!(info.sha, committed);
    let place = tree.check_out(&info, "job")?;
    let overlay = info.overlay.ok_or("no overlay")?;
    assert!(git(&place, &["ls-tree", &overlay, "lib"])?.contains(&newer));
    Ok(())
}

#[tokio::test]
async fn a_submodule_that_is_not_as_committed_is_noted() -> Outcome {
    let library = WorkTree::with_commit()?;
    let tree = WorkTree::with_commit()?;
    for name in ["a", "b b", "c", "clean"] {
        tree.git(&["submodule", "--quiet", "add", &library.root().to_string_lossy(), name])?;
    }
    tree.commit("with libraries")?;
    assert_eq!(snapshot(&tree).await?.notes(), [""; 0]);
    tree.write("a/file", "changed")?;
    git(&tree.root().join("b b"), &["commit", "--quiet", "--allow-empty", "-m", "newer"])?;
    tree.write("c/untracked", "x")?;
    let taken = snapshot(&tree).await?;
    let [note] = taken.notes() else { return Err(format!("{:?}", taken.notes()).into()) };
    assert_eq!(
        note,
        "submodules are not as they are committed, and jobs get them as committed: `a`, `b b`, `c`"
    );
    Ok(())
}

#[tokio::test]
async fn relative_addresses_of_submodules_belong_to_the_remote_or_to_the_work_tree() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let root = tree.root().to_string_lossy().into_owned();
    let home = async || Outcome::Ok(snapshot(&tree).await?.git_info(None).home_url);
    assert_eq!(home().await?, Some(format!("{root}/")));
    tree.git(&["remote", "add", "upstream", "../other.git"])?;
    assert_eq!(home().await?, Some(format!("{root}/../other.git")));
    tree.git(&["remote", "add", "origin", "git@git.example:group/project.git"])?;
    assert_eq!(home().await?.as_deref(), Some("git@git.example:group/project.git"));
    tree.write("part/file", "x")?;
    let part = Repository::discover(tree.root()).await?.folder(&tree.root().join("part"))?;
    let predefined = Predefined::of(&part, PipelineEvent::Push, ".gitlab-ci.yml").await?;
    let taken = Snapshot::take(&part, &predefined, &tree.beside("scratch")).await?;
    assert_eq!(taken.git_info(None).home_url, None);
    Ok(())
}

#[tokio::test]
async fn a_repository_within_without_a_commit_is_noted_and_left_out() -> Outcome {
    let tree = WorkTree::with_commit()?;
    fs::create_dir(tree.root().join("inner"))?;
    git(&tree.root().join("inner"), &["init", "--quiet"])?;
    tree.write("new", "x")?;
    let snapshot = snapshot(&tree).await?;
    assert_eq!(snapshot.notes().len(), 1, "{:?}", snapshot.notes());
    assert_eq!(files(&tree.check_out(&snapshot.git_info(None), "job")?)?, ["file", "new"]);
    Ok(())
}

#[tokio::test]
async fn a_sparse_checkout_keeps_what_is_not_on_disk() -> Outcome {
    let tree = WorkTree::with_commit()?;
    tree.write("a/x", "x")?;
    tree.write("b/y", "y")?;
    tree.commit("second")?;
    tree.git(&["sparse-checkout", "set", "a"])?;
    tree.write("a/new", "new")?;
    let snapshot = snapshot(&tree).await?;
    assert_eq!(files(&tree.check_out(&snapshot.git_info(None), "job")?)?, ["a/new", "a/x", "b/y", "file"]);
    Ok(())
}

#[tokio::test]
async fn a_repository_at_an_odd_place_can_be_fetched_from() -> Outcome {
    let tree = WorkTree::with_options("a b%20ä#'\"", &["--initial-branch=main"])?;
    tree.write("file", "x")?;
    tree.commit("first")?;
    tree.write("new", "x")?;
    let scratch = tree.beside("odd %41 ä?x=1");
    let snapshot = snapshot_of(tree.root(), &scratch, PipelineEvent::Push).await?;
    assert_eq!(files(&tree.check_out(&snapshot.git_info(None), "job")?)?, ["file", "new"]);
    Ok(())
}

#[tokio::test]
async fn conflicts_are_as_they_stand_in_the_files() -> Outcome {
    let tree = WorkTree::with_commit()?;
    tree.git(&["switch", "--quiet", "-c", "other"])?;
    tree.write("file", "theirs\n")?;
    tree.commit("theirs")?;
    tree.git(&["switch", "--quiet", "main"])?;
    tree.write("file", "ours\n")?;
    tree.commit("ours")?;
    assert!(tree.git(&["merge", "other"]).is_err());
    let snapshot = snapshot(&tree).await?;
    let place = tree.check_out(&snapshot.git_info(None), "job")?;
    assert!(fs::read_to_string(place.join("file"))?.contains("<<<<<<<"));
    Ok(())
}

#[tokio::test]
async fn the_whole_history_comes_with_depth_zero() -> Outcome {
    let tree = WorkTree::with_commit()?;
    for number in 0..30 {
        tree.commit(&number.to_string())?;
    }
    let snapshot = snapshot(&tree).await?;
    for (depth, count) in [(None, "20"), (Some(5), "5"), (Some(0), "31")] {
        let place = tree.check_out(&snapshot.git_info(depth), &format!("job {count}"))?;
        assert_eq!(git(&place, &["rev-list", "--count", "HEAD"])?, count);
    }
    Ok(())
}

#[tokio::test]
async fn a_sha256_repository_works() -> Outcome {
    let tree = WorkTree::with_options("project", &["--initial-branch=main", "--object-format=sha256"])?;
    tree.write("file", "x")?;
    tree.commit("first")?;
    tree.write("new", "x")?;
    let snapshot = snapshot(&tree).await?;
    let GitInfo { object_format, refspecs, repo_url, .. } = snapshot.git_info(None);
    assert_eq!(object_format.as_deref(), Some("sha256"));
    let place = tree.beside("job");
    fs::create_dir(&place)?;
    git(&place, &["init", "--quiet", "--object-format=sha256"])?;
    let mut arguments = vec!["fetch", "--quiet", &repo_url];
    arguments.extend(refspecs.iter().map(String::as_str));
    git(&place, &arguments)?;
    Ok(())
}

#[tokio::test]
async fn a_folder_is_a_project_of_its_own() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let folder = tree.root().join("parts/one");
    fs::create_dir_all(folder.join(".runner"))?;
    fs::write(tree.root().join(".gitignore"), "*.log\n")?;
    for (name, text) in [("a", "1"), ("b.log", "2"), (".runner/c", "3")] {
        fs::write(folder.join(name), text)?;
    }
    let project = || async {
        let repository = Repository::discover(&folder).await?.folder(&folder)?;
        let predefined = Predefined::of(&repository, PipelineEvent::Push, ".gitlab-ci.yml").await?;
        let snapshot = Snapshot::take(&repository, &predefined, &tree.beside("scratch")).await?;
        Outcome::Ok((predefined, snapshot))
    };
    let (predefined, snapshot) = project().await?;
    assert_eq!(predefined.variables.value("CI_PROJECT_NAME"), "one");
    assert_eq!(predefined.variables.value("CI_COMMIT_SHA"), "");
    assert!(!snapshot.is_dirty());
    let clone = tree.beside("clone");
    git(tree.root(), &["clone", "--quiet", &snapshot.url(), &clone.to_string_lossy()])?;
    assert_eq!(files(&clone)?, ["a"]);
    assert_eq!(git(&clone, &["rev-list", "--count", "HEAD"])?.trim(), "1");
    assert_eq!(project().await?.1.sha(), snapshot.sha(), "the same files are the same commit");
    Ok(())
}
