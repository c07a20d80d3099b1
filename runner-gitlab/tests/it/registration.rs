//! What is done once for a runner.

use runner_core::{ErrorKind, Secret};
use runner_gitlab::{
    Client, Connection, RunnerInfo,
    register::{RunnerOptions, register, unregister, verify},
};
use runner_testkit::gitlab::{Endpoint, Fault, GitLab, JobPayload, JobState};

use crate::bench::running;

fn client(gitlab: &GitLab) -> Client {
    Client::new(&Connection::new(gitlab.url())).unwrap()
}

#[tokio::test]
async fn a_runner_that_was_checked_cancels_gracefully() {
    let gitlab = GitLab::start().await.unwrap();
    let (token, info) = (Secret::new(gitlab.runner_token()), RunnerInfo::new("kubernetes"));
    let runner = verify(&client(&gitlab), &token, "s_test", &info).await.unwrap();
    assert_eq!((runner.token, runner.token_expires_at), (token, None));
    let (id, _lease) = running(&gitlab, JobPayload::new("build")).await;
    gitlab.cancel(id);
    assert_eq!(gitlab.job(id).state, JobState::Canceling);
}

#[tokio::test]
async fn a_token_that_is_not_known_is_refused_with_advice() {
    let gitlab = GitLab::start().await.unwrap();
    let (token, info) = (Secret::new("glrt-wrong"), RunnerInfo::new("kubernetes"));
    let error = verify(&client(&gitlab), &token, "s_test", &info).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let text = error.chain();
    assert!(text.contains("make a new runner in GitLab") && !text.contains("glrt-wrong"), "{text}");
}

#[tokio::test]
async fn a_runner_is_registered_with_either_kind_of_token() {
    let gitlab = GitLab::start().await.unwrap();
    let (client, info, options) = (client(&gitlab), RunnerInfo::new("kubernetes"), RunnerOptions::default());
    let new = Secret::new(gitlab.runner_token());
    assert_eq!(register(&client, &new, "s_test", &info, &options).await.unwrap().token, new);
    assert_eq!((gitlab.count(Endpoint::Verify), gitlab.count(Endpoint::Register)), (1, 0));
    let old = Secret::new(gitlab.registration_token());
    let made = register(&client, &old, "s_test", &info, &options).await.unwrap();
    assert!(made.id > 0 && made.token != old);
    unregister(&client, &made.token, "s_test").await.unwrap();
    assert_eq!(unregister(&client, &made.token, "s_test").await.unwrap_err().kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn an_answer_that_is_not_gitlabs_is_an_error_that_says_so() {
    let gitlab = GitLab::start().await.unwrap();
    let (client, info) = (client(&gitlab), RunnerInfo::new("kubernetes"));
    for fault in
        [Fault::WrongJson, Fault::HugeJson(1 << 20), Fault::Status(404), Fault::Redirect, Fault::Status(502)]
    {
        gitlab.fail(Endpoint::Verify, [fault.clone()]);
        let token = Secret::new(gitlab.runner_token());
        let error = verify(&client, &token, "s_test", &info).await.expect_err(&format!("{fault:?}"));
        assert!(error.chain().len() < 400, "{}", error.chain());
    }
}
