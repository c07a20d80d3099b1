//! Whether jobs get the token of an account that can read the secrets of the namespace, those of other jobs among
//! them.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, api::PostParams};
use runner_core::Finding;

use super::{Answer, Look, access::Granted, answer, few_at_a_time, warning};
use crate::config::KubernetesConfig;

/// The account whose token is mounted in the pods of jobs, where one is.
fn mounted(config: &KubernetesConfig) -> Option<&str> {
    let account = config.service_account.as_str();
    let is_mounted = config.automount_service_account_token.unwrap_or(!account.is_empty());
    is_mounted.then_some(if account.is_empty() { "default" } else { account })
}

/// A warning where it can. Where that cannot be asked nothing is said: most runners may not ask what others may do.
pub(super) async fn finding(look: &Look<'_>, granted: &Granted<'_>) -> Option<Finding> {
    let account = mounted(look.config)?;
    let user = format!("system:serviceaccount:{}:{account}", look.namespace);
    // The runner's own account is the one that people name most, and what that may do is known.
    let reads = if look.runner == user {
        granted.has("secrets", "get") || granted.has("secrets", "list")
    } else {
        let asked = ["get", "list"].map(|verb| may(look, &user, verb)).into();
        few_at_a_time(asked).await.contains(&true)
    };
    reads.then(|| can_read(account, look.namespace))
}

fn can_read(account: &str, namespace: &str) -> Finding {
    warning(
        format!(
            "jobs get the token of service account {account}, which can read the secrets of namespace {namespace}: \
             each job can read those of all others"
        ),
        "set `automount_service_account_token = false` in [runners.kubernetes], or name another `service_account`",
    )
}

async fn may(look: &Look<'_>, user: &str, verb: &str) -> bool {
    let attributes = ResourceAttributes {
        namespace: Some(look.namespace.to_owned()),
        resource: Some("secrets".into()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let accounts = format!("system:serviceaccounts:{}", look.namespace);
    let groups = vec!["system:serviceaccounts".into(), accounts, "system:authenticated".into()];
    let spec = SubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        user: Some(user.to_owned()),
        groups: Some(groups),
        ..SubjectAccessReviewSpec::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(look.client.clone());
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = answer(reviews.create(&PostParams::default(), &review)).await;
    matches!(answer, Answer::Is(SubjectAccessReview { status: Some(status), .. }) if status.allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(account: &str, automount: Option<bool>) -> KubernetesConfig {
        KubernetesConfig {
            service_account: account.into(),
            automount_service_account_token: automount,
            ..KubernetesConfig::default()
        }
    }

    #[test]
    fn a_token_is_mounted_where_it_is_asked_for_or_an_account_is_named() {
        assert_eq!(mounted(&of("", None)), None);
        assert_eq!(mounted(&of("", Some(true))), Some("default"));
        assert_eq!(mounted(&of("deployer", None)), Some("deployer"));
        assert_eq!(mounted(&of("deployer", Some(false))), None);
    }

    #[test]
    fn an_account_that_reads_secrets_is_told_with_what_to_set() {
        let finding = can_read("deployer", "ci");
        assert_eq!(
            finding.message,
            "jobs get the token of service account deployer, which can read the secrets of namespace ci: each job can \
             read those of all others"
        );
        assert!(finding.mend.contains("automount_service_account_token = false"));
    }
}
