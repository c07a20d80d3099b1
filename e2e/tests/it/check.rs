//! What the self-check finds on a real cluster.

use std::time::Duration;

use anyhow::{Result, bail};
use e2e::Bed;
use k8s_openapi::{
    api::{
        core::v1::Namespace,
        rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Config,
    api::{DeleteParams, PostParams},
};
use runner_core::{Executor, Finding, Severity};
use runner_k8s::{
    KubernetesExecutor,
    client::{Requests, client_of, connect},
};

/// The resources and verbs that people's roles grant today, and all that is needed.
const VERBS: [(&str, &[&str]); 3] = [
    ("pods", &["list", "get", "watch", "create", "delete"]),
    ("pods/log", &["get"]),
    ("secrets", &["list", "get", "create", "delete", "update"]),
];

fn rules(without: Option<(&str, &str)>) -> Vec<PolicyRule> {
    let rule = |(resource, verbs): (&str, &[&str])| PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs
            .iter()
            .filter(|verb| without != Some((resource, **verb)))
            .map(ToString::to_string)
            .collect(),
        ..PolicyRule::default()
    };
    VERBS.into_iter().map(rule).filter(|rule| !rule.verbs.is_empty()).collect()
}

async fn grant(bed: &Bed, rules: Vec<PolicyRule>) -> Result<()> {
    let roles: Api<Role> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let mut role = roles.get("runner").await?;
    role.rules = Some(rules);
    roles.replace("runner", &PostParams::default(), &role).await?;
    Ok(())
}

/// Checks until the findings are as wanted: the API server learns of a changed role a moment later.
async fn until(executor: &dyn Executor, wanted: impl Fn(&[Finding]) -> bool) -> Result<Vec<Finding>> {
    for _ in 0..200 {
        let findings = executor.check().await;
        if wanted(&findings) {
            return Ok(findings);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("found only {:#?}", executor.check().await)
}

fn find<'a>(findings: &'a [Finding], message: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.message.contains(message));
    found.unwrap_or_else(|| panic!("{message:?} is not in {findings:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_shipped_role_nothing_is_found() -> Result<()> {
    let bed = Bed::new("check").await?;
    let findings = until(&*bed.executor(), <[_]>::is_empty).await?;
    assert_eq!(findings, []);
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verb_that_is_not_granted_is_named_with_its_rule() -> Result<()> {
    let bed = Bed::new("verbs").await?;
    let executor = bed.executor();
    for (resource, verbs) in VERBS {
        for verb in verbs {
            grant(&bed, rules(Some((resource, verb)))).await?;
            let message = format!("may not {verb} {resource} in namespace {}: ", bed.namespace);
            let is_named = |findings: &[Finding]| matches!(findings, [one] if one.message.contains(&message));
            let findings = until(&*executor, is_named).await?;
            assert!(findings[0].severity >= Severity::Warning);
            let who = format!("system:serviceaccount:{}:runner may not ", bed.namespace);
            assert!(findings[0].message.starts_with(&who), "{findings:?}");
            let rule = format!("- apiGroups: [\"\"]\n  resources: [{resource:?}]\n  verbs: [{verb:?}]");
            assert!(findings[0].mend.ends_with(&rule), "{findings:?}");
        }
    }
    grant(&bed, rules(None)).await?;
    until(&*executor, <[_]>::is_empty).await?;
    grant(&bed, Vec::new()).await?;
    let findings = until(&*executor, |findings| findings.len() == 4).await?;
    find(&findings, "may not list, get, watch, create and delete pods");
    find(&findings, &format!("may not look whether there is the namespace {}", bed.namespace));
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_config_names_and_is_missing_is_found_with_the_shipped_role() -> Result<()> {
    let bed = Bed::new("missing").await?;
    until(&*bed.executor(), <[_]>::is_empty).await?;
    let mut settings = bed.settings();
    settings.config.service_account = "nobody".into();
    settings.config.priority_class_name = "no-such-class".into();
    settings.config.runtime_class_name = "no-such-runtime".into();
    settings.config.image_pull_secrets = vec!["no-such-login".into()];
    let volumes = |name: &str, path: &str| runner_k8s::config::FileMap {
        name: name.into(),
        mount_path: path.into(),
        ..Default::default()
    };
    settings.config.volumes.secret = vec![volumes("no-such-secret", "/a")];
    settings.config.volumes.config_map = vec![volumes("no-such-map", "/b")];
    let findings = bed.executor_with(settings).check().await;
    let namespace = &bed.namespace;
    let account = find(&findings, &format!("the service account nobody is not in namespace {namespace}"));
    assert_eq!(account.severity, Severity::Fatal);
    assert_eq!(account.mend, format!("kubectl create serviceaccount nobody --namespace {namespace}"));
    assert_eq!(find(&findings, "the priority class no-such-class does not exist").severity, Severity::Fatal);
    assert_eq!(find(&findings, "the runtime class no-such-runtime does not exist").severity, Severity::Fatal);
    assert_eq!(find(&findings, "the pull secret no-such-login is not in").severity, Severity::Warning);
    assert_eq!(find(&findings, "the secret no-such-secret is not in").severity, Severity::Fatal);
    let unseen = find(&findings, "may not look whether there is the config map no-such-map");
    assert_eq!(unseen.severity, Severity::Note);
    assert_eq!(findings.len(), 6, "{findings:#?}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_namespace_is_found_with_no_right_to_look() -> Result<()> {
    let bed = Bed::new("nowhere").await?;
    let metadata = ObjectMeta { name: Some(bed.namespace.clone()), ..ObjectMeta::default() };
    let roles: Api<ClusterRole> = Api::all(bed.admin.clone());
    let bindings: Api<ClusterRoleBinding> = Api::all(bed.admin.clone());
    let role = ClusterRole { metadata: metadata.clone(), rules: Some(rules(None)), ..ClusterRole::default() };
    let binding = ClusterRoleBinding {
        metadata,
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".into(),
            kind: "ClusterRole".into(),
            name: bed.namespace.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name: "runner".into(),
            namespace: Some(bed.namespace.clone()),
            ..Subject::default()
        }]),
    };
    roles.create(&PostParams::default(), &role).await?;
    bindings.create(&PostParams::default(), &binding).await?;
    let mut settings = bed.settings();
    settings.config.namespace = format!("{}-nowhere", bed.namespace);
    settings.config.image_pull_secrets = vec!["login".into()];
    let message = format!("the namespace {} does not exist", settings.config.namespace);
    let mend = format!("kubectl create namespace {}", settings.config.namespace);
    let is_told =
        |findings: &[Finding]| matches!(findings, [one] if one.message == message && one.mend == mend);
    let as_runner = until(&*bed.executor_with(settings.clone()), is_told).await;
    let as_admin = until(&*KubernetesExecutor::new(bed.admin.clone(), settings), is_told).await;
    roles.delete(&bed.namespace, &DeleteParams::default()).await?;
    bindings.delete(&bed.namespace, &DeleteParams::default()).await?;
    as_runner?;
    as_admin?;
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_namespace_forbids_is_found() -> Result<()> {
    let bed = Bed::new("standard").await?;
    let namespaces: Api<Namespace> = Api::all(bed.admin.clone());
    let mut namespace = namespaces.get(&bed.namespace).await?;
    let labels = namespace.metadata.labels.get_or_insert_default();
    labels.insert("pod-security.kubernetes.io/enforce".into(), "baseline".into());
    namespaces.replace(&bed.namespace, &PostParams::default(), &namespace).await?;
    until(&*bed.executor(), <[_]>::is_empty).await?;
    let mut settings = bed.settings();
    settings.config.privileged = Some(true);
    let told = "the Pod Security standard baseline of the namespace forbids the pod: ";
    let is_told = |findings: &[Finding]| matches!(findings, [one] if one.message.starts_with(told));
    let findings = until(&*bed.executor_with(settings), is_told).await?;
    assert_eq!(findings[0].severity, Severity::Fatal);
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_reads_secrets_is_a_warning() -> Result<()> {
    let bed = Bed::new("token").await?;
    let mut settings = bed.settings();
    settings.config.service_account = "runner".into();
    let told = "jobs get the token of service account runner, which can read the secrets of namespace ";
    let is_told = |findings: &[Finding]| matches!(findings, [one] if one.message.starts_with(told));
    let findings = until(&*bed.executor_with(settings.clone()), is_told).await?;
    assert_eq!(findings[0].severity, Severity::Warning);
    // Whoever may ask what others may do finds it for any account.
    until(&*KubernetesExecutor::new(bed.admin.clone(), settings.clone()), is_told).await?;
    settings.config.service_account = "default".into();
    until(&*KubernetesExecutor::new(bed.admin.clone(), settings.clone()), <[_]>::is_empty).await?;
    settings.config.service_account = "runner".into();
    settings.config.automount_service_account_token = Some(false);
    until(&*bed.executor_with(settings), <[_]>::is_empty).await?;
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_per_job_and_a_budget_need_more() -> Result<()> {
    let bed = Bed::new("more").await?;
    let mut settings = bed.settings();
    settings.config.pod_disruption_budget = true;
    let findings = until(&*bed.executor_with(settings.clone()), |findings| findings.len() == 1).await?;
    assert_eq!(findings[0].severity, Severity::Warning);
    assert!(findings[0].mend.ends_with(
        "- apiGroups: [\"policy\"]\n  resources: [\"poddisruptionbudgets\"]\n  verbs: [\"create\"]"
    ));
    settings.config.namespace_per_job = true;
    let findings = bed.executor_with(settings).check().await;
    find(&findings, "may not create and delete namespaces: no job can run");
    find(&findings, "may not get pods/log in all namespaces: no job can run");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_does_not_know_us_is_one_finding() -> Result<()> {
    let bed = Bed::new("away").await?;
    let mut settings = bed.settings();
    // Nothing listens on the port of `discard`.
    settings.config.host = "http://127.0.0.1:9".into();
    let executor = KubernetesExecutor::new(connect(&settings.config).await?, settings.clone());
    let findings = executor.check().await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].severity, Severity::Fatal);
    assert!(
        findings[0].message.starts_with("the API server http://127.0.0.1:9/ cannot be asked: "),
        "{findings:?}"
    );

    let mut config = Config::infer().await?;
    config.auth_info =
        kube::config::AuthInfo { token: Some("wrong".to_owned().into()), ..Default::default() };
    settings.config.host = config.cluster_url.to_string();
    let executor = KubernetesExecutor::new(client_of(config, &Requests::default())?, settings.clone());
    let findings = executor.check().await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let told =
        format!("the API server {} does not accept the credentials of the runner", settings.config.host);
    assert_eq!(findings[0].message, told);
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_costs_few_requests() -> Result<()> {
    let bed = Bed::new("cost").await?;
    until(&*bed.executor(), <[_]>::is_empty).await?;
    let requests = Requests::default();
    let client = client_of(Config::infer().await?, &requests)?;
    let findings = KubernetesExecutor::new(client, bed.settings()).check().await;
    assert_eq!(findings, []);
    // Who we are, eleven verbs, the namespace and a pod.
    assert_eq!(requests.made(), 14);
    bed.close().await
}
