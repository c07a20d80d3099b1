//! The self-check: what the cluster lacks for the jobs of a config, said before the first one.
//!
//! It needs no right beyond the role of the runner. What is granted is asked one verb at a time: a
//! review of one access is answered exactly by whatever decides in the cluster, where the list of all rules may be
//! incomplete. Whether a pod of the config can be is asked with a pod that the server judges and does not keep.

use std::{cmp::Reverse, time::Duration};

use futures_util::stream::{self, StreamExt};
use kube::Client;
use runner_core::{Finding, Severity};
use tokio::time::timeout;

use crate::{api::Cluster, client::address, config::KubernetesConfig, executor::KubernetesSettings};

mod access;
mod identity;
mod needs;
mod object;
mod probe;
mod remark;
mod token;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How many questions are asked at a time.
const CONNECTIONS: usize = 4;

/// What is not looked at where the namespaces of jobs are not known yet.
const UNKNOWN_NAMESPACE: &str = "each job has a namespace of its own (`namespace_per_job`): whether it will hold the \
                                 service account, the secrets and the volumes that the config names is not looked at";

/// What is looked at with.
#[derive(Clone, Copy)]
struct Look<'check> {
    client: &'check Client,
    config: &'check KubernetesConfig,
    namespace: &'check str,
    /// Who the runner is to the cluster, as messages name it.
    runner: &'check str,
    uses: needs::Uses,
}

/// What one question to the API server came to.
enum Answer<T> {
    Is(T),
    Missing,
    Forbidden,
    /// Nothing is known, for this reason.
    Unknown(String),
}

impl<T> Answer<T> {
    fn map<U>(self, with: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Is(is) => Answer::Is(with(is)),
            Self::Missing => Answer::Missing,
            Self::Forbidden => Answer::Forbidden,
            Self::Unknown(reason) => Answer::Unknown(reason),
        }
    }
}

/// Asks a few questions at a time, each of which may need a connection of its own. The answers are in their order.
async fn few_at_a_time<F: Future>(questions: Vec<F>) -> Vec<F::Output> {
    stream::iter(questions).buffered(CONNECTIONS).collect().await
}

/// All that is worth a word, the worst first.
pub(crate) async fn check(cluster: &Cluster, settings: &KubernetesSettings) -> Vec<Finding> {
    let mut findings = remark::findings(settings);
    let is_valid = findings.iter().all(|finding| finding.severity != Severity::Fatal);
    let client = cluster.client();
    match identity::of(&client).await {
        Ok(name) => {
            let config = &settings.config;
            let default = KubernetesConfig::default().namespace;
            let namespace = if config.namespace.is_empty() { &default } else { &config.namespace };
            let runner = name.as_deref().unwrap_or("the runner");
            let uses =
                needs::Uses { channel: settings.channel.is_some(), replicas: settings.replica.is_some() };
            let look = Look { client: &client, config, namespace, runner, uses };
            findings.extend(look_around(&look, settings, is_valid).await);
        }
        Err(trouble) => findings.push(trouble.finding(address(&settings.config).await.as_deref())),
    }
    findings.sort_by_key(|finding| Reverse(finding.severity));
    findings
}

async fn look_around(look: &Look<'_>, settings: &KubernetesSettings, is_valid: bool) -> Vec<Finding> {
    let granted = access::ask(look).await;
    let mut findings = granted.findings(look);
    findings.extend(token::finding(look, &granted).await);
    if let Some(note) = remark::other_namespaces(look.config) {
        findings.push(note);
    }
    if look.config.namespace_per_job {
        if names_objects(look.config) {
            findings.push(note(UNKNOWN_NAMESPACE, ""));
        }
        return findings;
    }
    let mut unseen = Vec::new();
    let mut is_there = true;
    match object::namespace(look).await {
        Answer::Missing => {
            findings.push(probe::no_namespace(look.namespace));
            return findings;
        }
        // Where nothing is granted the reason may be that it does not exist. Else a pod that is tried tells it.
        Answer::Forbidden | Answer::Unknown(_) if granted.is_nothing() => {
            unseen.push(format!("the namespace {}", look.namespace));
        }
        Answer::Is(()) | Answer::Forbidden | Answer::Unknown(_) => {}
    }
    if is_valid && granted.has("pods", "create") {
        let probed = probe::pod(look, settings).await;
        is_there = !probed.has_no_namespace;
        findings.extend(probed.findings);
    }
    if is_there {
        findings.extend(object::findings(look, &mut unseen).await);
    }
    findings.extend(object::unseen(&unseen));
    findings
}

/// Whether the config names anything that must be in the namespace.
fn names_objects(config: &KubernetesConfig) -> bool {
    !config.service_account.is_empty() || !object::named(config).is_empty()
}

/// Waits for an answer, but not for ever.
async fn answer<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Answer<T> {
    match timeout(PATIENCE, call).await {
        Ok(Ok(is)) => Answer::Is(is),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Answer::Missing,
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Answer::Forbidden,
        Ok(Err(error)) => Answer::Unknown(chain(&error)),
        Err(_) => Answer::Unknown(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// An error with its causes in one line, each once.
fn chain(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            let joint = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{joint}{said}");
        }
        cause = error.source();
    }
    text
}

fn note(message: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { severity: Severity::Note, message: message.into(), mend: mend.into() }
}

fn warning(message: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { severity: Severity::Warning, message: message.into(), mend: mend.into() }
}

fn fatal(message: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { severity: Severity::Fatal, message: message.into(), mend: mend.into() }
}

/// Words as a list: `a, b and c`.
fn listed(words: &[impl AsRef<str>]) -> String {
    match words {
        [] => String::new(),
        [word] => word.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}
