//! What the config names and must be in the namespace.

use std::fmt::Debug;

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Secret},
};
use kube::{Api, Resource};
use runner_core::{Finding, Severity};
use serde::de::DeserializeOwned;

use super::{Answer, Look, answer, few_at_a_time, listed, note};
use crate::config::KubernetesConfig;

/// Why the config names an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    PullSecret,
    Secret,
    ConfigMap,
    Claim,
}

/// Something that the config names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'config> {
    kind: Kind,
    name: &'config str,
}

/// All that the config names. What a variable of the job decides is not known yet.
pub(super) fn named(config: &KubernetesConfig) -> Vec<Named<'_>> {
    let pull =
        if config.use_service_account_image_pull_secrets { &[][..] } else { &config.image_pull_secrets };
    let pull = pull.iter().map(|name| (Kind::PullSecret, name.as_str()));
    let mounts = config.volumes.mounts().into_iter().filter_map(|mount| {
        let kind = match mount.kind {
            "secret" => Kind::Secret,
            "config_map" => Kind::ConfigMap,
            "pvc" => Kind::Claim,
            _ => return None,
        };
        Some((kind, mount.name))
    });
    let mut named = Vec::new();
    for (kind, name) in pull.chain(mounts) {
        let named_here = Named { kind, name };
        if !name.is_empty() && !name.contains('$') && !named.contains(&named_here) {
            named.push(named_here);
        }
    }
    named
}

/// Which of them are missing. What cannot be looked at is added to `unseen`.
pub(super) async fn findings(look: &Look<'_>, unseen: &mut Vec<String>) -> Vec<Finding> {
    let named = named(look.config);
    let answers = few_at_a_time(named.iter().map(|named| named.look(look)).collect()).await;
    let mut findings = Vec::new();
    for (named, answer) in named.iter().zip(answers) {
        match answer {
            Answer::Is(()) => {}
            Answer::Missing => findings.push(named.missing(look.namespace)),
            Answer::Forbidden | Answer::Unknown(_) => {
                unseen.push(format!("the {} {}", named.what(), named.name));
            }
        }
    }
    findings
}

/// One note of all that cannot be looked at.
pub(super) fn unseen(unseen: &[String]) -> Option<Finding> {
    (!unseen.is_empty()).then(|| {
        let text = format!("the runner may not look whether there is {}", listed(unseen));
        note(
            text,
            "nothing need be done: jobs do not need the right to look, the verb get, and say what is missing",
        )
    })
}

/// Whether the namespace is there.
pub(super) async fn namespace(look: &Look<'_>) -> Answer<()> {
    let namespaces: Api<Namespace> = Api::all(look.client.clone());
    answer(namespaces.get_metadata(look.namespace)).await.map(drop)
}

impl Named<'_> {
    async fn look(&self, look: &Look<'_>) -> Answer<()> {
        match self.kind {
            Kind::PullSecret | Kind::Secret => self.exists::<Secret>(look).await,
            Kind::ConfigMap => self.exists::<ConfigMap>(look).await,
            Kind::Claim => self.exists::<PersistentVolumeClaim>(look).await,
        }
    }

    /// Asks for the metadata alone: what a Secret holds is nobody's business here.
    async fn exists<K>(&self, look: &Look<'_>) -> Answer<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let api: Api<K> = Api::namespaced(look.client.clone(), look.namespace);
        answer(api.get_metadata(self.name)).await.map(drop)
    }

    fn what(&self) -> &'static str {
        match self.kind {
            Kind::PullSecret => "pull secret",
            Kind::Secret => "secret",
            Kind::ConfigMap => "config map",
            Kind::Claim => "persistent volume claim",
        }
    }

    fn missing(&self, namespace: &str) -> Finding {
        let Self { kind, name } = self;
        let (severity, consequence) = match kind {
            // The kubelet goes on without it.
            Kind::PullSecret => (Severity::Warning, "images that need its login cannot be pulled"),
            Kind::Secret | Kind::ConfigMap | Kind::Claim => (Severity::Fatal, "no pod that mounts it starts"),
        };
        let mend = match kind {
            Kind::PullSecret => format!(
                "kubectl create secret docker-registry {name} --namespace {namespace} --docker-server=REGISTRY \
                 --docker-username=NAME --docker-password=PASSWORD"
            ),
            Kind::Secret => {
                format!("kubectl create secret generic {name} --namespace {namespace} --from-file=PATH")
            }
            Kind::ConfigMap => {
                format!("kubectl create configmap {name} --namespace {namespace} --from-file=PATH")
            }
            Kind::Claim => {
                format!(
                    "make the claim {name} in namespace {namespace}, or change `volumes.pvc` in [runners.kubernetes]"
                )
            }
        };
        let message = format!("the {} {name} is not in namespace {namespace}: {consequence}", self.what());
        Finding { severity, message, mend }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> KubernetesConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_the_config_names_is_known_once_each() {
        let config = config(
            r#"
            image_pull_secrets = ["login", "login"]
            volumes.secret = [{ name = "certs", mount_path = "/a" }, { name = "certs", mount_path = "/b" }]
            volumes.config_map = [{ name = "settings", mount_path = "/c" }]
            volumes.pvc = [{ name = "cache", mount_path = "/d" }, { name = "cache-$CI_PROJECT_ID", mount_path = "/e" }]
            volumes.empty_dir = [{ name = "scratch", mount_path = "/f" }]
            "#,
        );
        let texts: Vec<_> =
            named(&config).iter().map(|named| format!("{} {}", named.what(), named.name)).collect();
        let expected =
            ["pull secret login", "secret certs", "persistent volume claim cache", "config map settings"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn pull_secrets_that_are_not_used_are_not_looked_for() {
        let config =
            config("image_pull_secrets = [\"login\"]\nuse_service_account_image_pull_secrets = true");
        assert_eq!(named(&config), []);
    }

    #[test]
    fn a_missing_object_is_told_with_the_command_that_makes_it() {
        let finding = Named { kind: Kind::PullSecret, name: "login" }.missing("ci");
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(
            finding.message,
            "the pull secret login is not in namespace ci: images that need its login cannot be pulled"
        );
        assert_eq!(
            finding.mend,
            "kubectl create secret docker-registry login --namespace ci --docker-server=REGISTRY \
             --docker-username=NAME --docker-password=PASSWORD"
        );
        let finding = Named { kind: Kind::ConfigMap, name: "settings" }.missing("ci");
        assert_eq!(finding.severity, Severity::Fatal);
        assert_eq!(finding.mend, "kubectl create configmap settings --namespace ci --from-file=PATH");
    }

    #[test]
    fn all_that_cannot_be_looked_at_is_one_note() {
        let note = unseen(&["the config map a".into(), "the persistent volume claim b".into()]).unwrap();
        assert_eq!(note.severity, Severity::Note);
        assert_eq!(
            note.message,
            "the runner may not look whether there is the config map a and the persistent volume claim b"
        );
        assert_eq!(unseen(&[]), None);
    }
}
