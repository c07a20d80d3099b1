use super::*;

fn settings(text: &str) -> KubernetesSettings {
    let mut settings = KubernetesSettings::new("test");
    settings.config = toml::from_str(text).unwrap();
    settings
}

fn judged(code: u16, reason: &str, message: &str) -> Option<Finding> {
    let status = Status { code, reason: reason.into(), message: message.into(), ..Status::default() };
    let spec =
        sample(&settings("service_account = \"deployer\"\npriority_class_name = \"urgent\"")).unwrap().spec;
    judge(&status, &spec.unwrap(), "ci").finding
}

#[test]
fn a_sample_has_what_the_config_says_and_nobody_owns_it() {
    let pod = sample(&settings("priority_class_name = \"urgent\"\nallowed_images = [\"alpine:*\"]")).unwrap();
    assert_eq!(pod.metadata.generate_name.as_deref(), Some("runner-check-"));
    assert_eq!(pod.metadata.owner_references, None);
    assert_eq!(pod.spec.unwrap().priority_class_name.as_deref(), Some("urgent"));
}

#[test]
fn what_only_a_job_decides_is_left_out() {
    let text = r#"
        image = "registry.example/$CI_PROJECT_PATH"
        volumes.pvc = [{ name = "cache-$CI_PROJECT_ID", mount_path = "/cache" }]
        volumes.host_path = [{ name = "tools", mount_path = "/tools" }]
    "#;
    let spec = sample(&settings(text)).unwrap().spec.unwrap();
    let volumes: Vec<_> = spec.volumes.unwrap().into_iter().map(|volume| volume.name).collect();
    assert!(volumes.contains(&"tools".to_owned()), "{volumes:?}");
    assert!(volumes.iter().all(|name| !name.contains("cache")), "{volumes:?}");
}

#[test]
fn what_is_missing_is_told_with_the_command_that_makes_it() {
    let message = "pods \"runner-check-x\" is forbidden: error looking up service account ci/deployer: serviceaccount \
                   \"deployer\" not found";
    let finding = judged(403, "Forbidden", message).unwrap();
    assert_eq!(finding.severity, Severity::Fatal);
    assert_eq!(finding.message, "the service account deployer is not in namespace ci");
    assert_eq!(finding.mend, "kubectl create serviceaccount deployer --namespace ci");

    let message = "pods \"runner-check-x\" is forbidden: no PriorityClass with name urgent was found";
    let finding = judged(403, "Forbidden", message).unwrap();
    assert_eq!(finding.message, "the priority class urgent does not exist");
    assert_eq!(
        finding.mend,
        "kubectl create priorityclass urgent --value=0, or change `priority_class_name`"
    );

    let finding = judged(404, "NotFound", "namespaces \"ci\" not found").unwrap();
    assert_eq!(finding.message, "the namespace ci does not exist");
    assert_eq!(finding.mend, "kubectl create namespace ci");
}

#[test]
fn what_the_namespace_forbids_is_fatal_and_a_full_quota_is_not() {
    let message = "pods \"runner-check-x\" is forbidden: violates PodSecurity \"baseline:latest\": privileged \
                   (container \"build\" must not set securityContext.privileged=true)";
    let finding = judged(403, "Forbidden", message).unwrap();
    assert_eq!(finding.severity, Severity::Fatal);
    assert!(
        finding.message.starts_with("the Pod Security standard baseline of the namespace forbids the pod: ")
    );

    let message = "pods \"runner-check-x\" is forbidden: exceeded quota: ci, requested: pods=1, used: pods=4, limited: \
                   pods=4";
    let finding = judged(403, "Forbidden", message).unwrap();
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(
        finding.message,
        "a pod of this config would be refused now: waiting for room in the quota ci of the namespace (pods)"
    );
}

#[test]
fn a_webhook_that_knows_no_dry_run_is_a_note() {
    let message = "admission webhook \"mesh.example\" does not support dry run";
    let finding = judged(400, "BadRequest", message).unwrap();
    assert_eq!(finding.severity, Severity::Note);
    assert!(finding.message.ends_with(message));
}

#[test]
fn what_was_refused_is_taken_out_once() {
    let mut spec = PodSpec { service_account_name: Some("deployer".into()), ..PodSpec::default() };
    assert!(take_out(Refusal::NoServiceAccount, &mut spec));
    assert!(!take_out(Refusal::NoServiceAccount, &mut spec));
    assert!(!take_out(Refusal::PodSecurity, &mut spec));
}
