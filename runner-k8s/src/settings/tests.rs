use runner_core::job::{Image, Service, Variable};

use super::*;

fn config(text: &str) -> KubernetesConfig {
    let config: KubernetesConfig = toml::from_str(text).unwrap();
    assert_eq!(config.validate(), []);
    config
}

fn job(variables: &[(&str, &str)]) -> JobSpec {
    let mut job = JobSpec::new("42", "test");
    job.image = Some(Image { name: "alpine:3".into(), ..Image::default() });
    for (key, value) in variables {
        job.variables.push(Variable::new(*key, *value));
    }
    job
}

fn settings(text: &str, job: &JobSpec) -> JobSettings {
    JobSettings::for_job(&config(text), &RunnerSettings::default(), job).unwrap()
}

fn refused(text: &str, job: &JobSpec, message: &str) {
    let error = JobSettings::for_job(&config(text), &RunnerSettings::default(), job).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.chain(), message);
}

#[test]
fn a_job_may_ask_for_resources_up_to_the_ceiling() {
    let text = "cpu_request = '100m'\ncpu_request_overwrite_max_allowed = '2'\nmemory_limit_overwrite_max_allowed = '4Gi'";
    let asking =
        job(&[("KUBERNETES_CPU_REQUEST", "2000m"), ("KUBERNETES_MEMORY_LIMIT", "$SIZE"), ("SIZE", "4Gi")]);
    let settings = settings(text, &asking);
    assert_eq!(settings.build.resources.requests, BTreeMap::from([("cpu".into(), "2000m".into())]));
    assert_eq!(settings.build.resources.limits, BTreeMap::from([("memory".into(), "4Gi".into())]));
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn each_part_of_the_pod_has_its_own_ceilings() {
    let parts = [("", "CPU_LIMIT"), ("service_", "MEMORY_REQUEST"), ("helper_", "EPHEMERAL_STORAGE_LIMIT")];
    for (part, resource) in parts.into_iter().chain([("pod_", "CPU_REQUEST")]) {
        let key = format!("{part}{}", resource.to_ascii_lowercase());
        let variable = format!("KUBERNETES_{}{resource}", part.to_ascii_uppercase());
        let mut asking = job(&[(&variable, "3")]);
        asking.services.push(Service {
            image: Image { name: "redis".into(), ..Image::default() },
            ..Service::default()
        });
        let granted = settings(&format!("{key}_overwrite_max_allowed = '3'"), &asking);
        let all = format!("{granted:?}");
        assert_eq!(all.matches("\": \"3\"").count(), 1, "{all}");
        let message =
            format!("apply {variable}=3: the runner allows at most 2 (`{key}_overwrite_max_allowed`)");
        refused(&format!("{key}_overwrite_max_allowed = '2'"), &asking, &message);
        let ignored = settings("", &asking);
        let warning =
            format!("{variable}=3 is ignored: the runner does not set `{key}_overwrite_max_allowed`.");
        assert_eq!(ignored.warnings, [warning]);
    }
}

#[test]
fn resources_that_make_no_sense_are_refused() {
    refused(
        "cpu_limit_overwrite_max_allowed = '2'",
        &job(&[("KUBERNETES_CPU_LIMIT", "two")]),
        "apply KUBERNETES_CPU_LIMIT=two: it is no quantity such as 500m or 2Gi",
    );
    refused(
        "cpu_limit = '1'\ncpu_request_overwrite_max_allowed = '2'",
        &job(&[("KUBERNETES_CPU_REQUEST", "1500m")]),
        "give the build container 1500m of cpu: its limit is 1",
    );
}

#[test]
fn variables_of_one_service_count_more_than_those_of_the_job() {
    let mut asking = job(&[("KUBERNETES_SERVICE_CPU_LIMIT", "1")]);
    let redis = Image { name: "redis".into(), ..Image::default() };
    let variables = Variables(vec![Variable::new("KUBERNETES_SERVICE_CPU_LIMIT", "2")]);
    asking.services.push(Service { image: redis.clone(), variables, ..Service::default() });
    asking.services.push(Service { image: redis, ..Service::default() });
    let settings = settings("service_cpu_limit_overwrite_max_allowed = '2'", &asking);
    let limits: Vec<_> =
        settings.services.iter().map(|service| service.container.resources.limits["cpu"].as_str()).collect();
    assert_eq!(limits, ["2", "1"]);
}

#[test]
fn namespace_account_and_token_may_be_overwritten_where_allowed() {
    let asking = job(&[
        ("KUBERNETES_NAMESPACE_OVERWRITE", "ci-team"),
        ("KUBERNETES_SERVICE_ACCOUNT_OVERWRITE", "deployer"),
        ("KUBERNETES_BEARER_TOKEN", "abc"),
    ]);
    let text = "namespace = 'ci'\nnamespace_overwrite_allowed = '^ci-.*$'\nservice_account_overwrite_allowed = 'deploy'\n\
                bearer_token_overwrite_allowed = true";
    let granted = settings(text, &asking);
    assert_eq!((granted.namespace.as_str(), granted.service_account.as_str()), ("ci-team", "deployer"));
    assert_eq!(granted.bearer_token, Some(Secret::new("abc")));
    let ignored = settings("namespace = 'ci'\nservice_account = 'own'", &asking);
    assert_eq!((ignored.namespace.as_str(), ignored.service_account.as_str()), ("ci", "own"));
    assert_eq!(ignored.bearer_token, None);
    assert_eq!(
        ignored.warnings,
        [
            "KUBERNETES_NAMESPACE_OVERWRITE=ci-team is ignored: the runner does not set `namespace_overwrite_allowed`.",
            "KUBERNETES_SERVICE_ACCOUNT_OVERWRITE=deployer is ignored: the runner does not set \
             `service_account_overwrite_allowed`.",
            "KUBERNETES_BEARER_TOKEN is ignored: the runner does not set `bearer_token_overwrite_allowed`.",
        ]
    );
    refused(
        "namespace_overwrite_allowed = '^prod$'",
        &asking,
        "apply KUBERNETES_NAMESPACE_OVERWRITE=ci-team: the runner allows what matches ^prod$ (`namespace_overwrite_allowed`)",
    );
}

#[test]
fn a_namespace_per_job_is_named_for_the_job() {
    let own = settings("namespace_per_job = true", &job(&[]));
    assert_eq!((own.namespace.as_str(), own.namespace_is_own), ("ci-job-42", true));
    assert_eq!(settings("namespace = ''", &job(&[])).namespace, "default");
}

#[test]
fn maps_are_extended_by_variables_where_allowed() {
    let asking = job(&[
        ("KUBERNETES_NODE_SELECTOR_ARCH", "kubernetes.io/arch=arm64"),
        ("KUBERNETES_NODE_TOLERATIONS_1", "dedicated=ci:NoSchedule"),
        ("KUBERNETES_NODE_TOLERATIONS_2", "spot"),
        ("KUBERNETES_POD_LABELS_1", "team=$TEAM"),
        ("KUBERNETES_POD_LABELS_1", "team=a/$TEAM"),
        ("KUBERNETES_POD_ANNOTATIONS_1", "note=a=b c"),
        ("TEAM", "web"),
    ]);
    let text = "node_selector_overwrite_allowed = '.'\nnode_tolerations_overwrite_allowed = '.'\n\
                pod_labels_overwrite_allowed = '^team='\npod_annotations_overwrite_allowed = '.'\n\
                node_selector = { 'kubernetes.io/arch' = 'amd64', pool = 'ci' }\npod_labels = { app = 'job of $TEAM' }";
    let granted = settings(text, &asking);
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    assert_eq!(granted.node_selector, map(&[("kubernetes.io/arch", "arm64"), ("pool", "ci")]));
    assert_eq!(granted.tolerations, map(&[("dedicated=ci", "NoSchedule"), ("spot", "")]));
    assert_eq!(granted.labels, map(&[("app", "job_of_web"), ("team", "a_web")]));
    assert_eq!(granted.annotations, map(&[("note", "a=b c")]));
    let ignored = settings("", &asking);
    assert_eq!(ignored.node_selector, map(&[]));
    assert_eq!(ignored.warnings.len(), 5);
    refused(
        "pod_labels_overwrite_allowed = '^team=(a|b)$'",
        &job(&[("KUBERNETES_POD_LABELS_1", "team=c")]),
        "apply KUBERNETES_POD_LABELS_1=team=c: the runner allows what matches ^team=(a|b)$ (`pod_labels_overwrite_allowed`)",
    );
    refused(
        "node_selector_overwrite_allowed = '.'",
        &job(&[("KUBERNETES_NODE_SELECTOR_X", "arm64")]),
        "apply KUBERNETES_NODE_SELECTOR_X=arm64: it is not like key=value",
    );
}

#[test]
fn labels_that_are_the_runners_are_not_overwritten() {
    let text = "pod_labels = { 'runner.dev/job' = 'x', 'app.kubernetes.io/managed-by' = 'helm', a = 'b' }";
    let settings = settings(text, &job(&[]));
    assert_eq!(settings.labels, BTreeMap::from([("a".into(), "b".into())]));
    assert_eq!(settings.warnings.len(), 2);
}

#[test]
fn images_are_expanded_and_have_a_default() {
    let mut asking = job(&[("VERSION", "3.20")]);
    asking.image = Some(Image { name: "alpine:$VERSION".into(), ..Image::default() });
    assert_eq!(settings("", &asking).build.image, "alpine:3.20");
    asking.image = None;
    assert_eq!(settings("image = 'debian:${VERSION}'", &asking).build.image, "debian:3.20");
    refused("", &asking, "find an image: the job names none, and the runner's `image` is empty");
}

#[test]
fn images_must_be_allowed() {
    let mut asking = job(&[]);
    let text = "image = 'debian:12'\nallowed_images = ['ruby:*', 'registry.example.com/**']\nallowed_services = ['postgres:*']";
    refused(
        text,
        &asking,
        "use the image alpine:3: the runner allows only ruby:*, registry.example.com/** (`allowed_images`)",
    );
    for allowed in ["ruby:3", "registry.example.com/a/b:1", "debian:12"] {
        asking.image = Some(Image { name: allowed.into(), ..Image::default() });
        assert_eq!(settings(text, &asking).build.image, allowed);
    }
    let redis = Image { name: "redis:7".into(), ..Image::default() };
    asking.services.push(Service { image: redis, ..Service::default() });
    refused(text, &asking, "use the service redis:7: the runner allows only postgres:* (`allowed_services`)");
}

#[test]
fn pull_policies_are_those_of_the_job_as_far_as_allowed() {
    use PullPolicy::{Always, IfNotPresent, Never};
    let policies = |text: &str, asked: &[PullPolicy]| {
        let mut asking = job(&[]);
        asking.image = Some(Image { name: "a".into(), pull_policies: asked.to_vec(), ..Image::default() });
        settings(text, &asking).build.pull_policies.0
    };
    assert_eq!(policies("", &[]), []);
    assert_eq!(policies("", &[Never]), [Never]);
    assert_eq!(policies("pull_policy = ['always', 'if-not-present']", &[]), [Always, IfNotPresent]);
    assert_eq!(policies("allowed_pull_policies = ['always']", &[]), [Always]);
    let text = "pull_policy = 'always'\nallowed_pull_policies = ['always', 'never']";
    assert_eq!(policies(text, &[Never, IfNotPresent]), [Never]);
    let mut asking = job(&[]);
    asking.image = Some(Image { name: "a".into(), pull_policies: vec![Never], ..Image::default() });
    refused(
        "pull_policy = 'always'",
        &asking,
        "choose a pull policy for a: the job asks for pull policy never, and the runner allows only always",
    );
    let list = PullPolicies(vec![Always, Never]);
    assert_eq!(
        (list.at(1), list.at(2), list.at(3), list.attempts()),
        (Some(Always), Some(Never), Some(Never), 2)
    );
    assert_eq!((PullPolicies::default().at(1), PullPolicies::default().attempts()), (None, 1));
}

#[test]
fn users_must_be_numbers_and_allowed() {
    let ask = |text: &str, user: &str| {
        let mut asking = job(&[]);
        asking.image = Some(Image { name: "a".into(), user: Some(user.into()), ..Image::default() });
        let settings = settings(text, &asking);
        (settings.build.user, settings.build.group, settings.warnings.len())
    };
    assert_eq!(ask("", "1000:1001"), (Some(1000), Some(1001), 0));
    assert_eq!(ask("", "1000"), (Some(1000), None, 0));
    assert_eq!(ask("", "0"), (None, None, 1));
    assert_eq!(ask("", "node"), (None, None, 1));
    assert_eq!(ask("allowed_users = ['0', '5']", "0"), (Some(0), None, 0));
    assert_eq!(ask("allowed_users = ['5']", "6"), (None, None, 1));
    assert_eq!(ask("allowed_groups = ['5']", "6:6"), (Some(6), None, 1));
    assert_eq!(ask("build_container_security_context.run_as_user = 7", "6"), (Some(7), None, 1));
    assert_eq!(ask("pod_security_context.run_as_user = 7", "6"), (None, None, 1));
}

#[test]
fn the_helper_image_of_gitlab_runner_is_replaced() {
    let own = RunnerSettings::default().helper_image;
    let replaced = settings("helper_image = 'gitlab/gitlab-runner-helper:x86_64-latest'", &job(&[]));
    assert_eq!(replaced.helper.image, own);
    assert_eq!(replaced.replaced_helper.as_deref(), Some("gitlab/gitlab-runner-helper:x86_64-latest"));
    let other = settings("helper_image = 'registry.example.com/helper:1'", &job(&[]));
    assert_eq!((other.helper.image.as_str(), other.replaced_helper), ("registry.example.com/helper:1", None));
    assert_eq!(settings("", &job(&[])).helper.image, own);
}

#[test]
fn services_of_the_config_come_before_those_of_the_job() {
    let mut asking = job(&[("DB", "postgres"), ("NAME", "main-db")]);
    asking.services.push(Service {
        image: Image { name: "$DB:16".into(), entrypoint: Some(vec![String::new()]), ..Image::default() },
        aliases: vec!["db,$NAME".into()],
        variables: Variables(vec![Variable::new("HEALTHCHECK_TCP_PORT", "5432")]),
        ..Service::default()
    });
    let text = "[[services]]\nname = 'docker:27-dind'\nalias = 'docker'\ncommand = ['--tls=false']\nenvironment = ['A=b=c']";
    let services = settings(text, &asking).services;
    let names: Vec<_> = services.iter().map(|service| service.host_names.join(" ")).collect();
    assert_eq!(names, ["docker docker", "postgres db main-db"]);
    assert_eq!(services[0].command, ["--tls=false"]);
    assert_eq!(services[0].variables.value("A"), "b=c");
    assert_eq!((services[1].health_port, services[1].container.entrypoint.len()), (Some(5432), 0));
}

#[test]
fn services_that_cannot_be_reached_are_refused() {
    let mut asking = job(&[]);
    let redis = Image { name: "redis".into(), ..Image::default() };
    asking.services.push(Service {
        image: redis.clone(),
        aliases: vec!["my_db".into()],
        ..Service::default()
    });
    refused("", &asking, "name the service redis \"my_db\": it is no host name");
    let variables = Variables(vec![Variable::new("HEALTHCHECK_TCP_PORT", "redis")]);
    asking.services = vec![Service { image: redis, variables, ..Service::default() }];
    refused("", &asking, "wait for the service redis: HEALTHCHECK_TCP_PORT=redis is no port");
}

#[test]
fn a_platform_selects_nodes() {
    let mut asking = job(&[]);
    asking.image =
        Some(Image { name: "a".into(), platform: Some("linux/aarch64/v8".into()), ..Image::default() });
    let granted = settings("", &asking);
    assert_eq!(granted.node_selector["kubernetes.io/arch"], "arm64");
    assert_eq!(granted.node_selector["kubernetes.io/os"], "linux");
    let own = settings("node_selector = { 'kubernetes.io/arch' = 'amd64' }", &asking);
    assert_eq!(own.node_selector["kubernetes.io/arch"], "amd64");
    assert_eq!(own.warnings.len(), 1);
}

#[test]
fn flags_of_the_runner_count_more_than_variables() {
    let asking =
        job(&[("FF_KUBERNETES_HONOR_ENTRYPOINT", "true"), ("FF_USE_POD_ACTIVE_DEADLINE_SECONDS", "false")]);
    let granted = settings("", &asking);
    assert!(granted.honors_entrypoint && !granted.has_deadline);
    let flags = BTreeMap::from([("FF_KUBERNETES_HONOR_ENTRYPOINT".to_owned(), false)]);
    let runner = RunnerSettings { flags, ..RunnerSettings::default() };
    let own = JobSettings::for_job(&config(""), &runner, &asking).unwrap();
    assert!(!own.honors_entrypoint);
    assert!(settings("", &job(&[])).has_deadline);
}

#[test]
fn budgets_have_defaults() {
    let own = settings("", &job(&[]));
    assert_eq!((own.start_budget.as_secs(), own.cleanup_timeout.as_secs()), (180, 300));
    let set = settings("poll_timeout = 600\ncleanup_resources_timeout = '90s'", &job(&[]));
    assert_eq!((set.start_budget.as_secs(), set.cleanup_timeout.as_secs()), (600, 90));
    assert_eq!(settings("poll_timeout = 0", &job(&[])).start_budget.as_secs(), 180);
}

#[test]
fn a_volume_at_the_builds_dir_is_shared_unless_it_is_empty() {
    let volume = |kind: &str| format!("[[volumes.{kind}]]\nname = 'b'\nmount_path = '/builds/'");
    assert!(settings(&volume("pvc"), &job(&[])).builds_are_shared);
    assert!(!settings(&volume("empty_dir"), &job(&[])).builds_are_shared);
    assert!(!settings("", &job(&[])).builds_are_shared);
}
