//! What a job may change by variables besides its resources: names against a regular expression, and maps of which
//! each entry is one variable.

use std::collections::BTreeMap;

use regex::Regex;
use runner_core::{
    Result, Secret,
    job::{Variable, Variables},
};

use super::{invalid, label_value};
use crate::config::KubernetesConfig;

/// Labels that are ours or GitLab Runner's to set.
const RESERVED: [&str; 3] = ["app.kubernetes.io/managed-by", "runner.dev/", "runner.gitlab.com/"];

pub(super) struct Overwrites<'job> {
    config: &'job KubernetesConfig,
    variables: &'job Variables,
    warnings: &'job mut Vec<String>,
}

/// A key of the config that a job may change, and the key that says what it may be changed to.
struct Rule<'config> {
    variable: &'static str,
    allowed_key: &'static str,
    allowed: &'config str,
}

impl<'job> Overwrites<'job> {
    pub(super) fn new(
        config: &'job KubernetesConfig,
        variables: &'job Variables,
        warnings: &'job mut Vec<String>,
    ) -> Self {
        Self { config, variables, warnings }
    }

    pub(super) fn namespace(&mut self) -> Result<String> {
        let rule = Rule {
            variable: "KUBERNETES_NAMESPACE_OVERWRITE",
            allowed_key: "namespace_overwrite_allowed",
            allowed: &self.config.namespace_overwrite_allowed,
        };
        let namespace = self.name(&rule, &self.config.namespace)?;
        Ok(if namespace.is_empty() { KubernetesConfig::default().namespace } else { namespace })
    }

    pub(super) fn service_account(&mut self) -> Result<String> {
        let rule = Rule {
            variable: "KUBERNETES_SERVICE_ACCOUNT_OVERWRITE",
            allowed_key: "service_account_overwrite_allowed",
            allowed: &self.config.service_account_overwrite_allowed,
        };
        self.name(&rule, &self.config.service_account)
    }

    pub(super) fn bearer_token(&mut self) -> Option<Secret> {
        let asked = self.variables.value("KUBERNETES_BEARER_TOKEN");
        if asked.is_empty() {
            return None;
        }
        if !self.config.bearer_token_overwrite_allowed {
            let key = "bearer_token_overwrite_allowed";
            self.warnings
                .push(format!("KUBERNETES_BEARER_TOKEN is ignored: the runner does not set `{key}`."));
            return None;
        }
        Some(Secret::new(asked))
    }

    pub(super) fn labels(&mut self) -> Result<BTreeMap<String, String>> {
        let rule = Rule {
            variable: "KUBERNETES_POD_LABELS_",
            allowed_key: "pod_labels_overwrite_allowed",
            allowed: &self.config.pod_labels_overwrite_allowed,
        };
        let labels = self.map(&rule, &self.config.pod_labels, pair)?;
        let mut kept = BTreeMap::new();
        for (key, value) in labels {
            if RESERVED.iter().any(|reserved| key.contains(reserved)) {
                self.warnings.push(format!("The label {key} is ignored: it is the runner's to set."));
            } else {
                kept.insert(key, label_value(&self.variables.expand(&value)));
            }
        }
        Ok(kept)
    }

    pub(super) fn annotations(&mut self) -> Result<BTreeMap<String, String>> {
        let rule = Rule {
            variable: "KUBERNETES_POD_ANNOTATIONS_",
            allowed_key: "pod_annotations_overwrite_allowed",
            allowed: &self.config.pod_annotations_overwrite_allowed,
        };
        let annotations = self.map(&rule, &self.config.pod_annotations, pair)?;
        Ok(annotations.into_iter().map(|(key, value)| (key, self.variables.expand(&value))).collect())
    }

    pub(super) fn node_selector(&mut self) -> Result<BTreeMap<String, String>> {
        let rule = Rule {
            variable: "KUBERNETES_NODE_SELECTOR_",
            allowed_key: "node_selector_overwrite_allowed",
            allowed: &self.config.node_selector_overwrite_allowed,
        };
        self.map(&rule, &self.config.node_selector, pair)
    }

    pub(super) fn tolerations(&mut self) -> Result<BTreeMap<String, String>> {
        let rule = Rule {
            variable: "KUBERNETES_NODE_TOLERATIONS_",
            allowed_key: "node_tolerations_overwrite_allowed",
            allowed: &self.config.node_tolerations_overwrite_allowed,
        };
        let taint = |text: &str| {
            let (taint, effect) = text.split_once(':').unwrap_or((text, ""));
            Some((taint.to_owned(), effect.to_owned()))
        };
        self.map(&rule, &self.config.node_tolerations, taint)
    }

    /// The config's name, or the one that the job asks for.
    fn name(&mut self, rule: &Rule<'_>, own: &str) -> Result<String> {
        let asked = self.variables.value(rule.variable);
        if asked.is_empty() {
            return Ok(own.to_owned());
        }
        if rule.allowed.is_empty() {
            self.ignored(rule, rule.variable, &asked);
            return Ok(own.to_owned());
        }
        check(rule, rule.variable, &asked)?;
        Ok(asked)
    }

    /// The config's map, with an entry for each variable that begins with the rule's name.
    fn map(
        &mut self,
        rule: &Rule<'_>,
        own: &BTreeMap<String, String>,
        split: impl Fn(&str) -> Option<(String, String)>,
    ) -> Result<BTreeMap<String, String>> {
        let mut map = own.clone();
        let variables = self.variables;
        let counts = |variable: &&Variable| {
            variable.key.starts_with(rule.variable)
                && variables.get(&variable.key).is_some_and(|last| std::ptr::eq(last, *variable))
        };
        for variable in variables.0.iter().filter(counts) {
            let (name, value) = (&variable.key, variables.value(&variable.key));
            if rule.allowed.is_empty() {
                self.ignored(rule, name, &value);
                continue;
            }
            check(rule, name, &value)?;
            let Some((key, value)) = split(&value) else {
                return Err(invalid(format!("apply {name}={value}: it is not like key=value")));
            };
            map.insert(key, value);
        }
        Ok(map)
    }

    fn ignored(&mut self, rule: &Rule<'_>, variable: &str, value: &str) {
        let key = rule.allowed_key;
        self.warnings.push(format!("{variable}={value} is ignored: the runner does not set `{key}`."));
    }
}

fn check(rule: &Rule<'_>, variable: &str, value: &str) -> Result<()> {
    let Rule { allowed_key, allowed, .. } = rule;
    let pattern = Regex::new(allowed).map_err(|cause| {
        invalid(format!("apply {variable}={value}: the runner's `{allowed_key}` is no regular expression"))
            .because(cause)
    })?;
    if pattern.is_match(value) {
        return Ok(());
    }
    Err(invalid(format!(
        "apply {variable}={value}: the runner allows what matches {allowed} (`{allowed_key}`)"
    )))
}

fn pair(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
}
