//! Why the API server refused to create a pod: what it says, in plain words.

use kube::core::Status;
use runner_core::FailureReason;

use super::{
    line::{any, cite, quoted},
    waiting::{WaitCause, Waiting},
};

/// Why the API server refused to create a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A pod of this name exists.
    Exists,
    /// A quota of the namespace has no room.
    Quota,
    /// A quota of the namespace wants requests or limits that the pod does not have.
    QuotaUnset,
    /// The pod asks for more or less than a limit range allows.
    LimitRange,
    /// The Pod Security standard of the namespace forbids the pod.
    PodSecurity,
    /// A webhook or a policy denies the pod.
    Denied,
    /// A webhook does not answer.
    WebhookAway,
    /// The namespace does not exist.
    NoNamespace,
    /// The namespace is being deleted.
    NamespaceEnds,
    /// The service account does not exist.
    NoServiceAccount,
    /// The priority class does not exist.
    NoPriorityClass,
    /// The runtime class does not exist.
    NoRuntimeClass,
    /// The runner may not create pods.
    Role,
    /// The API server does not know who the runner is.
    Unauthorized,
    /// The pod is not valid.
    Invalid,
    /// The API server is overloaded, fails, or does not answer in time.
    Busy,
    /// Something else.
    Other,
}

impl Refusal {
    /// Whether another try can't help.
    pub fn is_permanent(self) -> bool {
        !matches!(self, Self::Quota | Self::WebhookAway | Self::Busy | Self::Unauthorized)
    }

    fn reason(self) -> FailureReason {
        match self {
            Self::Exists
            | Self::Busy
            | Self::Quota
            | Self::WebhookAway
            | Self::Unauthorized
            | Self::Other => FailureReason::RunnerSystemFailure,
            _ => FailureReason::ConfigurationError,
        }
    }
}

/// Judges an answer of the API server to the creation of a pod, from its code and its message.
///
/// [`Refusal::Exists`] is for the caller: the pod may be the one that it tried to create before.
pub fn refusal(status: &Status) -> Waiting {
    let refusal = classify(status);
    Waiting {
        cause: WaitCause::Refused(refusal),
        line: line(refusal, &status.message),
        permanent: refusal.is_permanent(),
        reason: refusal.reason(),
        container: None,
    }
}

fn classify(status: &Status) -> Refusal {
    let text = status.message.as_str();
    // A policy or a webhook may answer with any code and cite anything, so that its name comes before all else.
    if any(text, &["failed calling webhook", "failed to call webhook"]) {
        return Refusal::WebhookAway;
    }
    if any(text, &["denied the request", "denied request"]) {
        return Refusal::Denied;
    }
    match status.code {
        401 => Refusal::Unauthorized,
        403 => forbidden(text),
        404 if text.contains("namespaces") => Refusal::NoNamespace,
        409 if status.reason == "AlreadyExists" => Refusal::Exists,
        409 | 408 | 425 | 429 | 500..=599 => Refusal::Busy,
        400 | 413 | 415 | 422 => Refusal::Invalid,
        _ => Refusal::Other,
    }
}

fn forbidden(text: &str) -> Refusal {
    const TELLTALES: &[(Refusal, &[&str])] = &[
        (Refusal::Role, &["cannot create resource"]),
        (Refusal::Quota, &["exceeded quota"]),
        (Refusal::QuotaUnset, &["failed quota"]),
        // The quota controller has not counted yet.
        (Refusal::Busy, &["status unknown for quota", "not yet ready to handle request"]),
        (Refusal::PodSecurity, &["violates PodSecurity"]),
        (Refusal::NoServiceAccount, &["error looking up service account"]),
        (Refusal::NoPriorityClass, &["no PriorityClass with name"]),
        (Refusal::NoRuntimeClass, &["RuntimeClass"]),
        (Refusal::NamespaceEnds, &["because it is being terminated"]),
        (Refusal::NoNamespace, &["namespace does not exist"]),
        (Refusal::LimitRange, &["usage per Container", "usage per Pod", "limit to request ratio"]),
    ];
    TELLTALES.iter().find(|(_, needles)| any(text, needles)).map_or(Refusal::Other, |(refusal, _)| *refusal)
}

fn line(refusal: Refusal, message: &str) -> String {
    let name = quoted(message).unwrap_or_default();
    match refusal {
        Refusal::Exists => "a pod of this name exists".to_owned(),
        Refusal::Quota => quota(message),
        Refusal::QuotaUnset => {
            let (quota, wants) =
                after(message, "failed quota: ").split_once(": must specify ").unwrap_or_default();
            let wants = wants.replace(" for: ", " to be set for ").replace(',', ", ");
            format!("the quota {quota} of the namespace wants {wants}")
        }
        Refusal::LimitRange => {
            format!("a limit range of the namespace forbids the pod: {}", cite(detail(message)))
        }
        Refusal::PodSecurity => {
            let (level, why) = after(message, "violates PodSecurity ").split_once(": ").unwrap_or_default();
            let level = level.trim_matches('"').split(':').next().unwrap_or_default();
            format!("the Pod Security standard {level} of the namespace forbids the pod: {}", cite(why))
        }
        Refusal::Denied => denied(message),
        Refusal::WebhookAway => {
            let name = quoted(after(message, "webhook ")).unwrap_or_default();
            format!("waiting for the admission webhook {name} of the cluster: it does not answer")
        }
        Refusal::NoNamespace => format!("the namespace {name} does not exist"),
        Refusal::NamespaceEnds => "the namespace is being deleted".to_owned(),
        Refusal::NoServiceAccount => {
            let account = after(message, "service account ").split(':').next().unwrap_or_default();
            format!("the service account {} does not exist", account.rsplit('/').next().unwrap_or_default())
        }
        Refusal::NoPriorityClass => {
            let class = after(message, "with name ").split_whitespace().next().unwrap_or_default();
            format!("the priority class {class} does not exist")
        }
        Refusal::NoRuntimeClass => {
            let class = quoted(after(message, "RuntimeClass ")).unwrap_or_default();
            format!("the runtime class {class} does not exist, or cannot be used for this pod")
        }
        Refusal::Role => {
            let namespace = quoted(after(message, "in the namespace ")).unwrap_or_default();
            format!(
                "the runner may not create pods in the namespace {namespace}: its role lacks the rule \
                 apiGroups [\"\"], resources [\"pods\"], verbs [\"create\"]"
            )
        }
        Refusal::Unauthorized => "the API server does not accept the credentials of the runner".to_owned(),
        Refusal::Invalid => format!("the pod is not valid: {}", cite(detail(message))),
        Refusal::Busy => "waiting for the API server: it is overloaded or fails".to_owned(),
        Refusal::Other => format!("the API server refused the pod: {}", cite(detail(message))),
    }
}

/// `exceeded quota: ci, requested: pods=1,requests.cpu=2, used: …, limited: …` without the numbers, which change.
fn quota(message: &str) -> String {
    let (quota, rest) = after(message, "exceeded quota: ").split_once(", requested: ").unwrap_or_default();
    let requested = rest.split(", used: ").next().unwrap_or_default();
    let names: Vec<_> = requested.split(',').filter_map(|part| part.split('=').next()).collect();
    format!("waiting for room in the quota {quota} of the namespace ({})", names.join(", "))
}

fn denied(message: &str) -> String {
    if let Some((policy, why)) = message.split_once(" denied request: ") {
        let name = policy.split('\'').nth(1).unwrap_or_default();
        return format!("the policy {name} of the cluster forbids the pod: {}", cite(why));
    }
    let name = quoted(after(message, "webhook ")).unwrap_or_default();
    let why = after(message, "denied the request").trim_start_matches([':', ' ']);
    format!("the admission webhook {name} of the cluster forbids the pod: {}", cite(why))
}

/// What follows `lead`, or all where it is not there.
fn after<'a>(message: &'a str, lead: &str) -> &'a str {
    message.split_once(lead).map_or(message, |(_, after)| after)
}

/// The message without the name of the pod, which is new for each job.
fn detail(message: &str) -> &str {
    ["is forbidden: ", "is invalid: "]
        .iter()
        .find_map(|lead| message.split_once(lead))
        .map_or(message, |(_, why)| why)
}
