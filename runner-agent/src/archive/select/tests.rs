use std::{
    ffi::OsStr,
    os::unix::{fs::symlink, net::UnixListener},
};

use runner_cache::reader::OwnFiles;
use tempfile::TempDir;

use super::*;

/// A tree in which to search.
fn tree(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in files {
        put(folder.path(), Path::new(name));
    }
    folder
}

fn put(folder: &Path, name: &Path) {
    let place = folder.join(name);
    fs_err::create_dir_all(place.parent().unwrap()).unwrap();
    fs_err::write(place, "x").unwrap();
}

fn wanted(paths: &[&str], exclude: &[&str]) -> Wanted {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Wanted { paths: owned(paths), exclude: owned(exclude), untracked: None }
}

fn own() -> Arc<dyn TreeReader> {
    Arc::new(OwnFiles)
}

async fn check(folder: &Path, wanted: Wanted, expected: &[&str]) -> Vec<Notice> {
    let selection = select(folder, wanted.clone(), own()).await.unwrap();
    let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
    assert_eq!(selection.files, expected, "{wanted:?}");
    selection.notices
}

fn warnings(notices: &[Notice]) -> Vec<&str> {
    notices.iter().filter(|notice| notice.is_warning).map(|notice| notice.text.as_str()).collect()
}

#[tokio::test]
async fn a_folder_is_taken_with_everything_below() {
    let tree = tree(&["dist/a", "dist/deep/.b", "other"]);
    for path in ["dist", "dist/", "./dist", "dist/**", "dis?", "{dist,none}"] {
        let notices =
            check(tree.path(), wanted(&[path], &[]), &["dist", "dist/a", "dist/deep", "dist/deep/.b"]).await;
        assert_eq!(notices, [Notice::note(format!("{path}: found 4 matching files and directories"))]);
    }
    let absolute = tree.path().join("dist/a");
    check(tree.path(), wanted(&[absolute.to_str().unwrap()], &[]), &["dist/a"]).await;
}

#[tokio::test]
async fn everything_is_taken_and_the_folder_itself_is_nothing() {
    let tree = tree(&["a", ".git/HEAD"]);
    for path in [".", "./", "*", "**", tree.path().to_str().unwrap()] {
        check(tree.path(), wanted(&[path], &[]), &[".git", ".git/HEAD", "a"]).await;
    }
    check(tree.path(), wanted(&["**/*"], &[".git", ".git/**/*"]), &["a"]).await;
}

#[tokio::test]
async fn patterns_overlap_without_doubles() {
    let tree = tree(&["a.txt", "sub/b.txt", "sub/c.log"]);
    check(
        tree.path(),
        wanted(&["**/*.txt", "sub", "a.txt", "./a.txt"], &[]),
        &["a.txt", "sub", "sub/b.txt", "sub/c.log"],
    )
    .await;
}

#[tokio::test]
async fn an_excluded_folder_is_not_its_content() {
    let tree = tree(&["bin/a", "bin/deep/b.o", "c.o"]);
    check(tree.path(), wanted(&["."], &["bin/"]), &["bin/a", "bin/deep", "bin/deep/b.o", "c.o"]).await;
    check(tree.path(), wanted(&["."], &["bin/**"]), &["c.o"]).await;
    check(tree.path(), wanted(&["."], &["bin/**/*"]), &["bin", "c.o"]).await;
    let notices = check(tree.path(), wanted(&["."], &["**/*.o"]), &["bin", "bin/a", "bin/deep"]).await;
    assert!(notices.contains(&Notice::note("**/*.o: excluded 2 files".into())), "{notices:?}");
}

#[tokio::test]
async fn what_matches_nothing_is_said() {
    let tree = tree(&["a"]);
    let notices = check(tree.path(), wanted(&["none/**/*.xml", "", "b"], &[]), &[]).await;
    let warnings = warnings(&notices);
    assert_eq!(warnings.len(), 3);
    assert!(warnings[0].starts_with("none/**/*.xml: no matching files. Ensure that"), "{warnings:?}");
    assert!(warnings[0].contains(tree.path().to_str().unwrap()));
}

#[tokio::test]
async fn paths_outside_are_said_and_left_out() {
    let all = tree(&["project/a", "secret", "outside/b"]);
    let project = all.path().join("project");
    symlink("../outside", project.join("out")).unwrap();
    for path in ["../secret", "/etc/hosts", "../*", "out/*", "out/b"] {
        let notices = check(&project, wanted(&[path], &[]), &[]).await;
        assert_eq!(
            warnings(&notices),
            [format!("{path}: it is outside of the project directory and is left out")],
        );
    }
    check(&project, wanted(&["*"], &[]), &["a", "out"]).await;
    check(&project, wanted(&["**/b", "out"], &[]), &["out"]).await;
}

#[tokio::test]
async fn a_link_is_itself_but_can_be_named_on_the_way() {
    let tree = tree(&["real/a"]);
    symlink("real", tree.path().join("link")).unwrap();
    symlink("nowhere", tree.path().join("dangling")).unwrap();
    symlink(".", tree.path().join("loop")).unwrap();
    check(tree.path(), wanted(&["link", "dangling", "loop"], &[]), &["dangling", "link", "loop"]).await;
    check(tree.path(), wanted(&["link/*"], &[]), &["link/a"]).await;
    check(tree.path(), wanted(&["link/a", "link"], &[]), &["link/a"]).await;
    check(tree.path(), wanted(&["**/a"], &[]), &["real/a"]).await;
}

#[tokio::test]
async fn any_name_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let names: [&[u8]; 8] = [b" ", b"a\nb", b"[x]", b"\xff\xfe", b"*", b"-rf", b"{a,b}", "ä".as_bytes()];
    for name in names {
        put(folder.path(), Path::new(OsStr::from_bytes(name)));
    }
    let all = select(folder.path(), wanted(&["*"], &[]), own()).await.unwrap();
    assert_eq!(all.files.len(), names.len());
    check(
        folder.path(),
        wanted(&[r"\[x\]", r"\*", r"\{a,b\}", "-rf", " ", "a\nb", "ä"], &[]),
        &[" ", "*", "-rf", "[x]", "a\nb", "{a,b}", "ä"],
    )
    .await;
    let rest = select(folder.path(), wanted(&["?"], &["[ ä*]"]), own()).await.unwrap();
    assert!(rest.files.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn untracked_files_are_what_git_lists() {
    let tree = tree(&["a", "b c", "sub/d\ne", "nested/.git/HEAD"]);
    let listed = b"a\0b c\0sub/d\ne\0gone\0nested/\0".to_vec();
    let wanted = Wanted { untracked: Some(listed), ..wanted(&["b c"], &["a"]) };
    let notices = check(tree.path(), wanted, &["b c", "nested", "sub/d\ne"]).await;
    assert!(notices.contains(&Notice::note("untracked: found 3 files".into())), "{notices:?}");
    let none = Wanted { untracked: Some(Vec::new()), ..Wanted::default() };
    assert_eq!(warnings(&check(tree.path(), none, &[]).await), ["untracked: no files"]);
}

#[tokio::test]
async fn malformed_patterns_are_said_with_the_reason() {
    let tree = tree(&["a"]);
    let notices = check(tree.path(), wanted(&["[a", "a"], &["{"]), &["a"]).await;
    let warnings = warnings(&notices);
    assert_eq!(warnings.len(), 2);
    assert!(warnings.iter().all(|text| text.contains("is not closed")), "{warnings:?}");
}

#[tokio::test]
async fn sockets_are_listed_and_a_file_is_no_folder() {
    let tree = tree(&["a"]);
    let listener = UnixListener::bind(tree.path().join("socket")).unwrap();
    check(tree.path(), wanted(&["*"], &[]), &["a", "socket"]).await;
    check(tree.path(), wanted(&["a/b", "a/*"], &[]), &[]).await;
    drop(listener);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let tree = tree(&[]);
    assert!(select(&tree.path().join("none"), wanted(&["*"], &[]), own()).await.is_err());
}
