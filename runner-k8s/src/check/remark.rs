//! What is to be said of the config itself.

use runner_core::{Finding, job::Variables};

use super::{fatal, note};
use crate::{
    config::{KubernetesConfig, Remark, RemarkClass},
    executor::KubernetesSettings,
    settings::is_gitlab_helper,
};

/// What is wrong in the config or has no effect, before anything is asked of the cluster.
pub(super) fn findings(settings: &KubernetesSettings) -> Vec<Finding> {
    let config = &settings.config;
    let remarks: Vec<_> = config.validate().into_iter().chain(config.review()).collect();
    let (quiet, loud): (Vec<_>, Vec<_>) =
        remarks.into_iter().partition(|remark| remark.class == RemarkClass::NoEffect);
    let mut findings: Vec<_> = loud.iter().map(of_remark).collect();
    findings.extend(without_effect(&quiet));
    findings.extend(replaced_helper(settings));
    findings.extend(files_without_host(config));
    findings
}

fn of_remark(remark: &Remark) -> Finding {
    let mend = match remark.class {
        RemarkClass::Invalid => format!("correct `{}` in [runners.kubernetes]", remark.key),
        RemarkClass::Refused | RemarkClass::NoEffect => {
            format!("remove `{}` from [runners.kubernetes]", remark.key)
        }
    };
    fatal(remark.to_string(), mend)
}

/// One note of all keys that do nothing.
fn without_effect(remarks: &[Remark]) -> Option<Finding> {
    let keys: Vec<_> = remarks.iter().map(|remark| format!("`{}` ({})", remark.key, remark.text)).collect();
    let (verb, them) = if keys.len() == 1 { ("has", "it") } else { ("have", "them") };
    let mend = format!("nothing need be done; remove {them} where GitLab Runner is no longer used");
    (!keys.is_empty()).then(|| note(format!("no effect here {verb} {}", keys.join(", ")), mend))
}

fn replaced_helper(settings: &KubernetesSettings) -> Option<Finding> {
    let wanted = Variables::default().expand(&settings.config.helper_image);
    let ours = &settings.runner.helper_image;
    is_gitlab_helper(&wanted).then(|| {
        note(
            format!("`helper_image` {wanted} is GitLab Runner's: {ours} is used in its place"),
            "nothing need be done; an image that holds our agent would be used",
        )
    })
}

fn files_without_host(config: &KubernetesConfig) -> Option<Finding> {
    let keys =
        [("cert_file", &config.cert_file), ("key_file", &config.key_file), ("ca_file", &config.ca_file)];
    let set: Vec<_> =
        keys.iter().filter(|(_, path)| !path.is_empty()).map(|(key, _)| format!("`{key}`")).collect();
    (config.host.is_empty() && !set.is_empty())
        .then(|| note(format!("without `host`, no use is made of {}", super::listed(&set)), "set `host`"))
}

/// That other namespaces are not looked at.
pub(super) fn other_namespaces(config: &KubernetesConfig) -> Option<Finding> {
    let pattern = &config.namespace_overwrite_allowed;
    (!pattern.is_empty() && !config.namespace_per_job).then(|| {
        note(
            format!(
                "jobs may run in the namespaces that match {pattern} (`namespace_overwrite_allowed`), which is no \
                 list: what is granted there is not looked at"
            ),
            "give the runner the same role in each of them",
        )
    })
}

#[cfg(test)]
mod tests {
    use runner_core::Severity;

    use super::*;

    fn settings(text: &str) -> KubernetesSettings {
        let mut settings = KubernetesSettings::new("test");
        settings.config = toml::from_str(text).unwrap();
        settings.runner.helper_image = "localhost/runner-helper:1".into();
        settings
    }

    #[test]
    fn a_plain_config_has_nothing_to_say() {
        assert_eq!(findings(&settings("image = \"alpine\"")), []);
    }

    #[test]
    fn keys_without_effect_are_one_note() {
        let found = findings(&settings("poll_interval = 1\nretry_limit = 2"));
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(finding.severity, Severity::Note);
        assert_eq!(
            finding.message,
            "no effect here have `poll_interval` (pods are watched, nothing is polled), `retry_limit` (requests are \
             repeated with a growing pause until the start budget is used up)"
        );
    }

    #[test]
    fn what_is_wrong_or_refused_is_fatal() {
        let found = findings(&settings("suspend_pvc_size = \"1Gi\"\ndns_policy = \"sometimes\""));
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|finding| finding.severity == Severity::Fatal));
        assert!(found[0].message.starts_with("`dns_policy` is wrong: "));
        assert_eq!(found[0].mend, "correct `dns_policy` in [runners.kubernetes]");
        assert!(found[1].message.starts_with("`suspend_pvc_size` is refused: "));
    }

    #[test]
    fn the_helper_of_gitlab_runner_is_replaced_and_told() {
        let found = findings(&settings("helper_image = \"gitlab/gitlab-runner-helper:x86_64-latest\""));
        assert_eq!(
            found[0].message,
            "`helper_image` gitlab/gitlab-runner-helper:x86_64-latest is GitLab Runner's: localhost/runner-helper:1 is \
             used in its place"
        );
        assert_eq!(findings(&settings("helper_image = \"example/helper:1\"")), []);
    }

    #[test]
    fn certificates_without_a_host_are_told() {
        let found = findings(&settings("ca_file = \"/ca\"\ncert_file = \"/cert\""));
        assert_eq!(found[0].message, "without `host`, no use is made of `cert_file` and `ca_file`");
    }

    #[test]
    fn other_namespaces_are_a_note() {
        let note = other_namespaces(&settings("namespace_overwrite_allowed = \"ci-.*\"").config).unwrap();
        assert_eq!(note.severity, Severity::Note);
        assert!(note.message.starts_with("jobs may run in the namespaces that match ci-.* "));
        assert_eq!(other_namespaces(&KubernetesConfig::default()), None);
    }
}
