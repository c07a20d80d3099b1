//! Repositories, asked for by git itself.

use std::{path::Path, process::Output};

use runner_testkit::gitlab::{GitLab, GitServer, JobPayload, Repository, Settings};
use tokio::process::Command;

use super::client::Runner;

async fn git(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(directory);
    // Nobody is there to ask, and no configuration of this machine may matter.
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", directory);
    command.output().await.unwrap()
}

async fn good(directory: &Path, arguments: &[&str]) -> String {
    let output = git(directory, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// More bytes than one piece of a body holds, which do not compress.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..300_000).map(|_| next()).collect()
}

#[tokio::test]
async fn a_job_clones_with_its_token_while_it_runs() {
    let repository = Repository::new(&[("deep/noise", &noise())]).await.unwrap();
    let sha = repository.sha();
    let settings = Settings { repositories: Some(repository.folder()), ..Settings::default() };
    let gitlab = GitLab::start_with(settings).await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build").commit(Repository::PROJECT, "main", sha)).await;
    let place = job.payload["git_info"]["repo_url"].as_str().unwrap();
    let refspec = job.payload["git_info"]["refspecs"][0].as_str().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path();
    good(clone, &["init", "--quiet"]).await;
    good(clone, &["fetch", "--quiet", "--depth=1", place, refspec]).await;
    good(clone, &["checkout", "--quiet", sha]).await;
    assert_eq!(std::fs::metadata(clone.join("deep/noise")).unwrap().len(), 300_000);
    assert!(!git(clone, &["push", place, "HEAD:refs/heads/mine"]).await.status.success());

    let wrong = place.replace(&job.token, "other");
    assert!(!git(clone, &["ls-remote", &wrong]).await.status.success());
    job.put("success").await;
    let refused = git(clone, &["ls-remote", place]).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("HTTP Basic: Access denied"), "{refused:?}");
}

#[tokio::test]
async fn a_server_of_repositories_alone_asks_for_nothing() {
    let mut repository = Repository::new(&[("a", b"one")]).await.unwrap();
    let first = repository.sha().to_owned();
    repository.commit(&[("a", b"two")]).await.unwrap();
    let server = GitServer::start(([127, 0, 0, 1], 0).into(), repository.folder()).await.unwrap();
    let place = format!("http://{}/{}", server.address(), Repository::PROJECT);
    let folder = tempfile::tempdir().unwrap();
    let listed = good(folder.path(), &["ls-remote", &place, "refs/pipelines/501"]).await;
    assert_eq!(listed, format!("{}\trefs/pipelines/501", repository.sha()));
    good(folder.path(), &["init", "--quiet"]).await;
    // A commit that no reference names, and a part of it; the newer protocol allows this anyway.
    let old = "protocol.version=0";
    good(folder.path(), &["-c", old, "fetch", "--quiet", "--depth=1", "--filter=blob:none", &place, &first])
        .await;
}
