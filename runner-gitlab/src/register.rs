//! What is done once for a runner: checking its token, making one with a registration token, and removing it.

use reqwest::{Method, StatusCode};
use runner_core::{Error, ErrorKind, Result, Secret};
use serde::{Deserialize, Serialize};

use crate::{answer::Answer, client::Client, fault::fault, request::RunnerInfo};

/// An answer of these endpoints is short.
const LONGEST_ANSWER: usize = 64 << 10;
/// How a token begins that was made for a runner beforehand, on a page of GitLab.
const RUNNER_TOKEN: &str = "glrt-";

/// A runner as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Registered {
    /// Its number.
    #[serde(default)]
    pub id: u64,
    /// The token that it asks for jobs with.
    #[serde(default)]
    pub token: Secret,
    /// When the token expires, as an ISO 8601 time; `None`: never.
    #[serde(default)]
    pub token_expires_at: Option<String>,
}

/// What an old registration token may say of the runner that is made with it. A token that begins with `glrt-` belongs
/// to a runner that has all of it already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RunnerOptions {
    /// What the runner is called.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Tags, with commas between them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag_list: String,
    /// Whether it takes jobs without tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_untagged: Option<bool>,
    /// Whether it is only for this project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Whether it is paused at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// `not_protected` or `ref_protected`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_level: String,
    /// The longest timeout of its jobs, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_timeout: Option<u64>,
    /// A note for those who look after it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub maintenance_note: String,
}

#[derive(Serialize)]
struct Body<'a> {
    token: &'a Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'a RunnerInfo>,
    #[serde(flatten)]
    options: Option<&'a RunnerOptions>,
}

impl<'a> Body<'a> {
    fn new(token: &'a Secret) -> Self {
        Self { token, system_id: None, info: None, options: None }
    }
}

/// Checks the token of a runner, and tells the server what it can do.
///
/// This is needed once before the first job: a server that does not know that a runner cancels gracefully cancels hard,
/// and `after_script` never runs.
///
/// # Errors
/// [`ErrorKind::Unauthorized`] where the server does not know the token.
pub async fn verify(
    client: &Client,
    token: &Secret,
    system_id: &str,
    info: &RunnerInfo,
) -> Result<Registered> {
    let doing = "check the runner's token";
    let body = Body { system_id: Some(system_id), info: Some(info), ..Body::new(token) };
    let answer = client.send(doing, client.json(Method::POST, &["runners", "verify"], &body)?).await?;
    let registered =
        read(doing, answer, "make a new runner in GitLab, and use the token that it shows").await?;
    Ok(kept(registered, token))
}

/// Makes a runner known to the server, with a token that begins with `glrt-` or with an old registration token.
///
/// # Errors
/// [`ErrorKind::Unauthorized`] where the server does not know the token, or takes no registration tokens any more.
pub async fn register(
    client: &Client,
    token: &Secret,
    system_id: &str,
    info: &RunnerInfo,
    options: &RunnerOptions,
) -> Result<Registered> {
    if token.expose().starts_with(RUNNER_TOKEN) {
        return verify(client, token, system_id, info).await;
    }
    let doing = "register a runner";
    let body =
        Body { system_id: Some(system_id), info: Some(info), options: Some(options), ..Body::new(token) };
    let answer = client.send(doing, client.json(Method::POST, &["runners"], &body)?).await?;
    let advice =
        "registration tokens are going away: make the runner in GitLab, and use the token that it shows";
    read(doing, answer, advice).await
}

/// Removes a runner from the server; of one whose token begins with `glrt-`, only this machine. One that is gone
/// already is fine.
///
/// # Errors
/// [`ErrorKind::Unauthorized`] where the server does not know the token.
pub async fn unregister(client: &Client, token: &Secret, system_id: &str) -> Result<()> {
    let doing = "unregister a runner";
    let is_of_page = token.expose().starts_with(RUNNER_TOKEN);
    let path: &[&str] = if is_of_page { &["runners", "managers"] } else { &["runners"] };
    let body = Body { system_id: is_of_page.then_some(system_id), ..Body::new(token) };
    let answer = client.send(doing, client.json(Method::DELETE, path, &body)?).await?;
    match answer.head.status {
        status if status.is_success() => Ok(()),
        StatusCode::NOT_FOUND if answer.head.is_of_gitlab() => Ok(()),
        _ => Err(refused(doing, answer, "it may be gone already: look at the runners in GitLab").await),
    }
}

/// Gives the runner a new token, which must be stored: the old one is void.
///
/// # Errors
/// [`ErrorKind::Unauthorized`] where the server does not know the token.
pub async fn reset_token(client: &Client, token: &Secret) -> Result<Registered> {
    let doing = "get a new token for a runner";
    let path = ["runners", "reset_authentication_token"];
    let answer = client.send(doing, client.json(Method::POST, &path, &Body::new(token))?).await?;
    read(doing, answer, "make a new runner in GitLab, and use the token that it shows").await
}

async fn read(doing: &str, answer: Answer, advice: &'static str) -> Result<Registered> {
    if !answer.head.status.is_success() {
        return Err(refused(doing, answer, advice).await);
    }
    let body = answer.body(LONGEST_ANSWER).await?;
    serde_json::from_slice(&body)
        // The cause could quote the token.
        .map_err(|_| {
            Error::new(ErrorKind::Corrupt, doing)
                .with("hint", "this is not how GitLab answers: is the url right?")
        })
}

async fn refused(doing: &str, answer: Answer, advice: &'static str) -> Error {
    let error = fault(doing, answer).await;
    match error.kind() {
        ErrorKind::Unauthorized => error.with("hint", advice),
        ErrorKind::NotFound => error.with("hint", "no GitLab answers there: is the url right?"),
        _ => error,
    }
}

/// An old server repeats neither id nor token.
fn kept(registered: Registered, token: &Secret) -> Registered {
    if registered.token.is_empty() { Registered { token: token.clone(), ..registered } } else { registered }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_check_tells_what_the_runner_can_do() {
        let (token, info) = (Secret::new("glrt-1"), RunnerInfo::new("kubernetes"));
        let body = Body { system_id: Some("s_1"), info: Some(&info), ..Body::new(&token) };
        let body = serde_json::to_value(&body).unwrap();
        assert_eq!(body["token"], "glrt-1");
        assert_eq!(body["system_id"], "s_1");
        assert_eq!(body["info"]["features"]["cancel_gracefully"], true);
    }

    #[test]
    fn options_stand_beside_the_token_and_only_where_they_are_given() {
        let options =
            RunnerOptions { tag_list: "a,b".into(), locked: Some(false), ..RunnerOptions::default() };
        let token = Secret::new("r");
        let body = serde_json::to_value(Body { options: Some(&options), ..Body::new(&token) }).unwrap();
        assert_eq!(body, json!({"token": "r", "tag_list": "a,b", "locked": false}));
    }
}
