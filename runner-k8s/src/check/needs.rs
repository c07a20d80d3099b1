//! What a config needs to be granted, and what is said where it is not.

use runner_core::{Finding, Severity};

use super::listed;
use crate::config::KubernetesConfig;

/// What happens where a verb is missing that no job can run without.
const NO_JOB: &str = "no job can run";

/// What happens where only the others are missing.
const NOTHING_AFTER: &str = "jobs of an earlier process are not found, and what jobs leave stays";

/// Where something must be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope<'config> {
    Namespace(&'config str),
    /// In every namespace, or for what is in none.
    Cluster,
}

/// The verbs that are needed for a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need<'config> {
    pub(super) group: &'static str,
    /// With its part: `pods/log`.
    pub(super) resource: &'static str,
    pub(super) verbs: &'static [&'static str],
    /// Those that no job can run without.
    vital: &'static [&'static str],
    /// What becomes of the jobs without the others.
    without: &'static str,
    /// How bad that is.
    lesser: Severity,
    pub(super) scope: Scope<'config>,
}

/// What a config is used with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Uses {
    /// Sources and artifacts travel over a side channel.
    pub(super) channel: bool,
    /// Several managers share the jobs.
    pub(super) replicas: bool,
}

/// All that the config needs.
pub(super) fn needs<'config>(
    config: &KubernetesConfig,
    namespace: &'config str,
    uses: Uses,
) -> Vec<Need<'config>> {
    let scope = if config.namespace_per_job { Scope::Cluster } else { Scope::Namespace(namespace) };
    let core = Need {
        group: "",
        resource: "",
        verbs: &[],
        vital: &[],
        without: NOTHING_AFTER,
        lesser: Severity::Warning,
        scope,
    };
    let mut needs = vec![
        Need {
            resource: "pods",
            verbs: &["list", "get", "watch", "create", "delete"],
            vital: &["list", "watch", "create"],
            ..core
        },
        Need { resource: "pods/log", verbs: &["get"], vital: &["get"], ..core },
        Need {
            resource: "secrets",
            verbs: &["list", "get", "create", "delete", "update"],
            vital: &["create", "update"],
            ..core
        },
    ];
    if uses.replicas {
        needs.push(Need {
            group: "coordination.k8s.io",
            resource: "leases",
            verbs: &["get", "list", "create", "update", "delete"],
            without: "only one manager at a time may run this config (one replica, strategy Recreate)",
            lesser: Severity::Note,
            scope: Scope::Namespace(namespace),
            ..core
        });
    }
    if uses.channel {
        // The channel is opened with a GET, for which newer servers want the second verb as well.
        let (verbs, vital) = (&["get", "create"], &["get"]);
        let without = "a newer API server lets no sources to the jobs";
        needs.push(Need { resource: "pods/exec", verbs, vital, without, ..core });
    }
    if config.namespace_per_job {
        let verbs = &["create", "delete"];
        needs.push(Need { resource: "namespaces", verbs, vital: &["create"], ..core });
    }
    if config.pod_disruption_budget {
        let without = "a drain of a node does not wait for its jobs (`pod_disruption_budget`)";
        let verbs = &["create"];
        needs.push(Need { group: "policy", resource: "poddisruptionbudgets", verbs, without, ..core });
    }
    if config.print_pod_warning_events == Some(true) {
        let without = "logs of jobs show no events (`print_pod_warning_events`)";
        needs.push(Need { resource: "events", verbs: &["list"], without, ..core });
    }
    needs
}

impl Need<'_> {
    /// What is said where some of the verbs are not granted.
    pub(super) fn finding(&self, missing: &[&str], runner: &str) -> Option<Finding> {
        if missing.is_empty() {
            return None;
        }
        let is_vital = missing.iter().any(|verb| self.vital.contains(verb));
        let (place, role) = match self.scope {
            Scope::Namespace(namespace) => (
                format!(" in namespace {namespace}"),
                format!("a role of the runner in namespace {namespace}"),
            ),
            Scope::Cluster if self.resource == "namespaces" => (String::new(), cluster_role()),
            Scope::Cluster => (" in all namespaces".to_owned(), cluster_role()),
        };
        let consequence = if is_vital { NO_JOB } else { self.without };
        let severity = if is_vital { Severity::Fatal } else { self.lesser };
        let message = format!("{runner} may not {} {}{place}: {consequence}", listed(missing), self.resource);
        Some(Finding { severity, message, mend: format!("add to {role}:\n{}", self.rule(missing)) })
    }

    /// A rule as it stands in the manifest of a role.
    fn rule(&self, verbs: &[&str]) -> String {
        let verbs: Vec<_> = verbs.iter().map(|verb| format!("{verb:?}")).collect();
        format!(
            "- apiGroups: [{:?}]\n  resources: [{:?}]\n  verbs: [{}]",
            self.group,
            self.resource,
            verbs.join(", ")
        )
    }
}

fn cluster_role() -> String {
    "a cluster role that a ClusterRoleBinding gives to the runner".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(config: &KubernetesConfig) -> Vec<String> {
        let needs = needs(config, "ci", Uses::default());
        needs.iter().map(|need| format!("{}/{} {:?}", need.group, need.resource, need.verbs)).collect()
    }

    #[test]
    fn a_plain_config_needs_what_the_shipped_role_grants() {
        let role = include_str!("../../deploy/role.yaml");
        let rules: Vec<_> = role.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let rules = rules.join("\n");
        let needs = needs(&KubernetesConfig::default(), "ci", Uses { replicas: true, channel: false });
        let expected: Vec<_> = needs.iter().map(|need| need.rule(need.verbs).replace('\n', "\n  ")).collect();
        assert_eq!(rules.split_once("rules:\n").unwrap().1.trim(), expected.join("\n  "));
    }

    #[test]
    fn some_keys_need_more() {
        let mut config = KubernetesConfig { pod_disruption_budget: true, ..KubernetesConfig::default() };
        assert_eq!(texts(&config).last().unwrap(), r#"policy/poddisruptionbudgets ["create"]"#);
        config.namespace_per_job = true;
        assert!(texts(&config).contains(&r#"/namespaces ["create", "delete"]"#.to_owned()));
        assert!(needs(&config, "ci", Uses::default()).iter().all(|need| need.scope == Scope::Cluster));
    }

    #[test]
    fn a_side_channel_needs_to_execute_in_pods() {
        let needs = needs(&KubernetesConfig::default(), "ci", Uses { replicas: false, channel: true });
        let finding = needs.last().unwrap().finding(&["get", "create"], "you").unwrap();
        assert_eq!(finding.severity, Severity::Fatal);
        assert!(
            finding
                .message
                .starts_with("you may not get and create pods/exec in namespace ci: no job can run")
        );
    }

    #[test]
    fn without_leases_one_manager_still_runs() {
        let needs = needs(&KubernetesConfig::default(), "ci", Uses { replicas: true, channel: false });
        let leases = needs.last().unwrap();
        let finding = leases.finding(leases.verbs, "the runner").unwrap();
        assert_eq!(finding.severity, Severity::Note);
        assert_eq!(
            finding.message,
            "the runner may not get, list, create, update and delete leases in namespace ci: only one manager at a time \
             may run this config (one replica, strategy Recreate)"
        );
    }

    #[test]
    fn a_missing_verb_is_told_with_the_rule_that_grants_it() {
        let pods = needs(&KubernetesConfig::default(), "ci", Uses::default()).remove(0);
        let finding = pods.finding(&["get", "watch", "delete"], "system:serviceaccount:ci:runner").unwrap();
        assert_eq!(finding.severity, Severity::Fatal);
        assert_eq!(
            finding.message,
            "system:serviceaccount:ci:runner may not get, watch and delete pods in namespace ci: no job can run"
        );
        assert_eq!(
            finding.mend,
            "add to a role of the runner in namespace ci:\n- apiGroups: [\"\"]\n  resources: [\"pods\"]\n  verbs: \
             [\"get\", \"watch\", \"delete\"]"
        );
    }

    #[test]
    fn without_the_verbs_of_a_restart_jobs_still_run() {
        let pods = needs(&KubernetesConfig::default(), "ci", Uses::default()).remove(0);
        let finding = pods.finding(&["get"], "the runner").unwrap();
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(
            finding.message,
            "the runner may not get pods in namespace ci: jobs of an earlier process are not found, and what jobs \
             leave stays"
        );
        assert_eq!(pods.finding(&[], "the runner"), None);
    }

    #[test]
    fn a_namespace_per_job_needs_a_cluster_role() {
        let config = KubernetesConfig { namespace_per_job: true, ..KubernetesConfig::default() };
        let needs = needs(&config, "ci", Uses::default());
        let namespaces = needs.iter().find(|need| need.resource == "namespaces").unwrap();
        let finding = namespaces.finding(&["create"], "the runner").unwrap();
        assert_eq!(finding.message, "the runner may not create namespaces: no job can run");
        assert!(
            finding
                .mend
                .starts_with("add to a cluster role that a ClusterRoleBinding gives to the runner:\n")
        );
        let finding = needs[1].finding(&["get"], "the runner").unwrap();
        assert_eq!(finding.message, "the runner may not get pods/log in all namespaces: no job can run");
    }
}
