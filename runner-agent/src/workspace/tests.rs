use std::{ffi::OsStr, os::unix::ffi::OsStrExt, os::unix::fs::PermissionsExt, os::unix::fs::symlink};

use nix::{fcntl::OFlag, sys::stat::Mode};
use tempfile::TempDir;

use super::*;

fn builds() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_job_gets_the_same_path_each_time_and_finds_it_empty() {
    let builds = builds();
    let builds = builds.path().join("not").join("yet");
    let first = Workspace::create(&builds, "job").await.unwrap();
    let places = first.places("group/project").await.unwrap();
    std::fs::write(places.project.join("file"), "").unwrap();
    std::fs::write(places.temporary.join("secret"), "").unwrap();
    assert_eq!(std::fs::metadata(first.root()).unwrap().permissions().mode() & 0o777, 0o700);
    let root = first.root().to_owned();
    // As when the runner is killed: nothing is removed.
    drop(first);
    let second = Workspace::create(&builds, "job").await.unwrap();
    assert_eq!(second.root(), root);
    assert_eq!(names(&root), Vec::<String>::new());
    second.remove().await.unwrap();
    second.remove().await.unwrap();
    assert_eq!(names(&builds), Vec::<String>::new());
}

#[tokio::test]
async fn jobs_of_one_name_at_once_get_a_directory_each() {
    let builds = builds();
    let (first, second, third) = tokio::join!(
        Workspace::create(builds.path(), "job"),
        Workspace::create(builds.path(), "job"),
        Workspace::create(builds.path(), "job"),
    );
    let (first, second, third) = (first.unwrap(), second.unwrap(), third.unwrap());
    assert_eq!(names(builds.path()), ["job", "job-2", "job-3"]);
    for workspace in [first, second, third] {
        workspace.remove().await.unwrap();
    }
    assert_eq!(names(builds.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_removed_directory_that_another_job_has_now_is_left_alone() {
    let builds = builds();
    let first = Workspace::create(builds.path(), "job").await.unwrap();
    first.remove().await.unwrap();
    let second = Workspace::create(builds.path(), "job").await.unwrap();
    assert_eq!(first.root(), second.root());
    first.remove().await.unwrap();
    assert_eq!(names(builds.path()), ["job"]);
}

#[tokio::test]
async fn everything_is_removed_and_nothing_outside() {
    let builds = builds();
    let outside = tempfile::tempdir().unwrap();
    let kept = outside.path().join("kept");
    std::fs::write(&kept, "").unwrap();
    let workspace = Workspace::create(builds.path(), "job").await.unwrap();
    let root = workspace.root();
    symlink(outside.path(), root.join("link")).unwrap();
    symlink("/nowhere", root.join("dangling")).unwrap();
    let odd = [&b"\xff\xfe"[..], b"new\nline", b" ", b"-rf", b"*", "ä".as_bytes()];
    for name in odd {
        let directory = root.join(OsStr::from_bytes(name));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join(OsStr::from_bytes(name)), "").unwrap();
        symlink(&kept, directory.join("link")).unwrap();
    }
    for mode in [0o000, 0o400, 0o500] {
        let directory = root.join(format!("mode-{mode:o}")).join("inner");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("file"), "").unwrap();
        for directory in [directory.as_path(), directory.parent().unwrap()] {
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o500)).unwrap();
    workspace.remove().await.unwrap();
    assert_eq!(names(builds.path()), Vec::<String>::new());
    assert!(kept.exists());
}

#[tokio::test]
async fn a_root_that_became_a_link_is_removed_as_a_link() {
    let builds = builds();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("kept"), "").unwrap();
    let workspace = Workspace::create(builds.path(), "job").await.unwrap();
    std::fs::remove_dir(workspace.root()).unwrap();
    symlink(outside.path(), workspace.root()).unwrap();
    // Found by the next job, it is left alone as well.
    let next = Workspace::create(builds.path(), "job").await.unwrap();
    assert!(next.root().ends_with("job-2"));
    workspace.remove().await.unwrap();
    next.remove().await.unwrap();
    assert_eq!(names(builds.path()), Vec::<String>::new());
    assert_eq!(names(outside.path()), ["kept"]);
}

#[tokio::test]
async fn a_tree_of_any_depth_is_removed() {
    let builds = builds();
    let workspace = Workspace::create(builds.path(), "job").await.unwrap();
    // Going from one directory to the next, one can go deeper than a path can be long.
    let mut directory = File::open(workspace.root()).unwrap();
    for number in 0..3000 {
        let name = format!("deep-directory-{}", number % 7);
        nix::sys::stat::mkdirat(&directory, name.as_str(), Mode::S_IRWXU).unwrap();
        let inner = nix::fcntl::openat(&directory, name.as_str(), OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        directory = inner.into();
    }
    workspace.remove().await.unwrap();
    assert_eq!(names(builds.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_an_error() {
    let builds = builds();
    let file = builds.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Workspace::create(&file, "job").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert!(error.chain().contains(file.to_str().unwrap()), "{error:?}");
    let error = Workspace::create(&file.join("below"), "job").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
}
