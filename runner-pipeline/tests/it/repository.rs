//! The work tree that a pipeline is run from, and the variables that it gives.

use runner_core::ErrorKind;
use runner_pipeline::{PipelineEvent, Predefined, Repository, TreeDigest};

use crate::{
    snapshot::{snapshot, snapshot_of},
    work_tree::{Outcome, WorkTree, git},
};

async fn facts(tree: &WorkTree, event: PipelineEvent) -> Outcome<Predefined> {
    let repository = Repository::discover(tree.root()).await?;
    Ok(Predefined::of(&repository, event, ".gitlab-ci.yml").await?)
}

async fn check_variables(
    tree: &WorkTree,
    event: PipelineEvent,
    expected: &[(&str, Option<&str>)],
) -> Outcome {
    let facts = facts(tree, event).await?;
    for (key, value) in expected {
        let found = facts.variables.get(key).map(|variable| variable.value.as_str());
        assert_eq!(found, *value, "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn a_directory_without_a_repository_is_told_apart() -> Outcome {
    let directory = tempfile::tempdir()?;
    let error = Repository::discover(directory.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.chain().contains("git init"), "{}", error.chain());
    let missing = Repository::discover(&directory.path().join("missing")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    Ok(())
}

#[tokio::test]
async fn a_bare_repository_and_the_inside_of_git_are_refused() -> Outcome {
    let bare = WorkTree::with_options("bare.git", &["--bare"])?;
    let error = Repository::discover(bare.root()).await.unwrap_err();
    assert!(error.chain().contains("bare repository"), "{}", error.chain());
    let tree = WorkTree::with_commit()?;
    let error = Repository::discover(&tree.root().join(".git")).await.unwrap_err();
    assert!(error.chain().contains("work tree"), "{}", error.chain());
    Ok(())
}

#[tokio::test]
async fn a_subdirectory_leads_to_the_root() -> Outcome {
    let tree = WorkTree::with_commit()?;
    tree.write("a/b/c", "")?;
    let repository = Repository::discover(&tree.root().join("a/b")).await?;
    assert_eq!(repository.root(), tree.root().canonicalize()?);
    Ok(())
}

#[tokio::test]
async fn a_push_has_the_variables_of_a_branch() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let first = tree.git(&["rev-parse", "HEAD"])?;
    tree.git(&["switch", "--quiet", "-c", "feature/Login_1"])?;
    let second = tree.commit("Title\n\nBody $HOME\nMore")?;
    tree.git(&["remote", "add", "origin", "https://me:secret@git.example.com:8443/Group/sub/app.git"])?;
    let short = second.chars().take(8).collect::<String>();
    let expected = [
        ("CI", Some("true")),
        ("CI_COMMIT_SHA", Some(&*second)),
        ("CI_COMMIT_SHORT_SHA", Some(&*short)),
        ("CI_COMMIT_BEFORE_SHA", Some(&*first)),
        ("CI_COMMIT_BRANCH", Some("feature/Login_1")),
        ("CI_COMMIT_TAG", None),
        ("CI_COMMIT_REF_NAME", Some("feature/Login_1")),
        ("CI_COMMIT_REF_SLUG", Some("feature-login-1")),
        ("CI_COMMIT_TITLE", Some("Title")),
        ("CI_COMMIT_MESSAGE", Some("Title\n\nBody $HOME\nMore\n")),
        ("CI_COMMIT_DESCRIPTION", Some("\nBody $HOME\nMore")),
        ("CI_COMMIT_AUTHOR", Some("Ada <ada@example.com>")),
        ("CI_DEFAULT_BRANCH", Some("main")),
        ("CI_PIPELINE_SOURCE", Some("push")),
        ("CI_PROJECT_NAME", Some("app")),
        ("CI_PROJECT_PATH", Some("Group/sub/app")),
        ("CI_PROJECT_PATH_SLUG", Some("group-sub-app")),
        ("CI_PROJECT_NAMESPACE", Some("Group/sub")),
        ("CI_PROJECT_ROOT_NAMESPACE", Some("Group")),
        ("CI_PROJECT_URL", Some("https://git.example.com:8443/Group/sub/app")),
        ("CI_SERVER_PORT", Some("8443")),
        ("CI_SERVER_HOST", Some("git.example.com")),
        ("CI_API_V4_URL", Some("https://git.example.com:8443/api/v4")),
        ("CI_MERGE_REQUEST_IID", None),
        ("CI_JOB_ID", None),
        ("CI_PIPELINE_ID", None),
    ];
    check_variables(&tree, PipelineEvent::Push, &expected).await
}

#[tokio::test]
async fn the_first_commit_of_a_project_without_remote_has_a_name_of_its_own() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let expected = [
        ("CI_COMMIT_BEFORE_SHA", Some("0000000000000000000000000000000000000000")),
        ("CI_PROJECT_PATH", Some("local/project")),
        ("CI_SERVER_URL", Some("https://localhost")),
        ("CI_COMMIT_REF_PROTECTED", Some("true")),
    ];
    check_variables(&tree, PipelineEvent::Push, &expected).await
}

#[tokio::test]
async fn the_commit_before_a_push_is_that_of_the_remote() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let pushed = tree.git(&["rev-parse", "HEAD"])?;
    tree.git(&["update-ref", "refs/remotes/origin/main", &pushed])?;
    tree.commit("second")?;
    tree.commit("third")?;
    check_variables(&tree, PipelineEvent::Push, &[("CI_COMMIT_BEFORE_SHA", Some(&*pushed))]).await?;
    let zeros = "0".repeat(40);
    check_variables(&tree, PipelineEvent::Web, &[("CI_COMMIT_BEFORE_SHA", Some(&*zeros))]).await
}

#[tokio::test]
async fn a_tag_has_no_branch() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let error = facts(&tree, PipelineEvent::Tag).await.unwrap_err();
    assert!(
        error.to_string().contains("event") && format!("{error:?}").contains("git tag NAME"),
        "{error:?}"
    );
    tree.git(&["tag", "-a", "v1.0", "-m", "The first"])?;
    let expected = [
        ("CI_COMMIT_TAG", Some("v1.0")),
        ("CI_COMMIT_TAG_MESSAGE", Some("The first")),
        ("CI_COMMIT_BRANCH", None),
        ("CI_COMMIT_REF_SLUG", Some("v1-0")),
        ("CI_PIPELINE_SOURCE", Some("push")),
    ];
    check_variables(&tree, PipelineEvent::Tag, &expected).await?;
    let snapshot = snapshot_of(tree.root(), &tree.beside("scratch"), PipelineEvent::Tag).await?;
    let place = tree.check_out(&snapshot.git_info(None), "job")?;
    assert_eq!(git(&place, &["describe", "--tags"])?, "v1.0");
    Ok(())
}

#[tokio::test]
async fn a_merge_request_goes_from_the_branch_to_the_default_branch() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let base = tree.git(&["rev-parse", "HEAD"])?;
    tree.git(&["switch", "--quiet", "-c", "feature"])?;
    tree.commit("Add it")?;
    let expected = [
        ("CI_PIPELINE_SOURCE", Some("merge_request_event")),
        ("CI_COMMIT_BRANCH", None),
        ("CI_COMMIT_REF_NAME", Some("feature")),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", Some("feature")),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", Some("main")),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", Some(&*base)),
        ("CI_MERGE_REQUEST_TITLE", Some("Add it")),
        ("CI_MERGE_REQUEST_EVENT_TYPE", Some("detached")),
    ];
    check_variables(&tree, PipelineEvent::MergeRequest, &expected).await?;
    let snapshot = snapshot_of(tree.root(), &tree.beside("scratch"), PipelineEvent::MergeRequest).await?;
    let place = tree.check_out(&snapshot.git_info(None), "job")?;
    // Scripts fetch the target to compare with it.
    git(&place, &["fetch", "--quiet", &snapshot.url(), "main"])?;
    assert_eq!(git(&place, &["rev-parse", "FETCH_HEAD"])?, base);
    Ok(())
}

#[tokio::test]
async fn a_detached_head_is_named_for_a_branch_at_it_or_for_its_hash() -> Outcome {
    let tree = WorkTree::with_commit()?;
    tree.git(&["switch", "--quiet", "--detach"])?;
    check_variables(&tree, PipelineEvent::Push, &[("CI_COMMIT_BRANCH", Some("main"))]).await?;
    let sha = tree.commit("on no branch")?;
    let short = sha.chars().take(8).collect::<String>();
    let expected = [("CI_COMMIT_BRANCH", None), ("CI_COMMIT_REF_NAME", Some(&*short))];
    check_variables(&tree, PipelineEvent::Push, &expected).await?;
    let snapshot = snapshot(&tree).await?;
    let place = tree.check_out(&snapshot.git_info(None), "job")?;
    assert_eq!(git(&place, &["rev-parse", "HEAD"])?, sha);
    assert!(facts(&tree, PipelineEvent::MergeRequest).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_digest_follows_the_content_of_files() -> Outcome {
    let tree = WorkTree::with_commit()?;
    let repository = Repository::discover(tree.root()).await?;
    let files = ["file".to_owned(), "missing".to_owned()];
    let before = repository.digest(&files).ok_or("no digest")?;
    assert_eq!(repository.digest(&files).as_ref(), Some(&before));
    tree.write("file", "two\n")?;
    assert_ne!(repository.digest(&files), Some(before));
    assert_eq!(repository.digest(&["missing".to_owned()]), None);
    assert_eq!(repository.digest(&["../outside".to_owned(), "/etc/passwd".to_owned()]), None);
    Ok(())
}
