use runner_core::job::{GitInfo, Image, PullPolicy, Service, Variable, Variables};

use super::*;
use crate::settings::RunnerSettings;

fn config(text: &str) -> KubernetesConfig {
    let config: KubernetesConfig = toml::from_str(text).unwrap();
    assert_eq!(config.validate(), []);
    config
}

fn job() -> JobSpec {
    let mut job = JobSpec::new("4711", "unit tests");
    job.image = Some(Image { name: "alpine:3.20".into(), ..Image::default() });
    job.project.id = 12;
    job.project.name = "web".into();
    job.git = GitInfo { reference: "main".into(), sha: "0c6f".into(), ..GitInfo::default() };
    job.variables.push(Variable::raw("CI_PROJECT_ID", "12"));
    job.variables.push(Variable::raw("CI_PROJECT_NAME", "web"));
    job.variables.push(Variable::raw("CI_PROJECT_NAMESPACE", "team/web"));
    job.variables.push(Variable::raw("CI_JOB_NAME", "unit tests"));
    job.variables.push(Variable { masked: true, ..Variable::raw("PASSWORD", "hunter2") });
    job
}

fn names() -> PodNames {
    let pod = name("8cVazNry", 12, 0, "xkxlldd4");
    PodNames {
        secrets: vec![pod.clone()],
        owner_uid: "8f9c1ab2-0000-4000-8000-000000000001".into(),
        services_secret: None,
        pull_secret: None,
        pod,
    }
}

struct Case {
    config: KubernetesConfig,
    runner: RunnerSettings,
    job: JobSpec,
    names: PodNames,
    files: BTreeMap<String, String>,
    attempt: u32,
    pull: u32,
    has_channel: bool,
}

impl Case {
    fn new(text: &str) -> Self {
        let mut runner =
            RunnerSettings { helper_image: "localhost/runner-helper:1".into(), ..RunnerSettings::default() };
        runner.flags.insert("FF_USE_ADVANCED_POD_SPEC_CONFIGURATION".into(), true);
        Self {
            config: config(text),
            runner,
            job: job(),
            names: names(),
            files: BTreeMap::new(),
            attempt: 1,
            pull: 1,
            has_channel: false,
        }
    }

    fn with<Made>(&self, make: impl FnOnce(&PodPlan<'_>) -> Made) -> Made {
        let settings = JobSettings::for_job(&self.config, &self.runner, &self.job).unwrap();
        make(&PodPlan {
            config: &self.config,
            settings: &settings,
            job: &self.job,
            names: &self.names,
            attempt: self.attempt,
            pull: self.pull,
            slot: 0,
            runner_token: "8cVazNry",
            patch_files: &self.files,
            has_channel: self.has_channel,
        })
    }

    fn pod(&self) -> Pod {
        let pod = self.with(pod_for).unwrap();
        let text = serde_json::to_string(&pod).unwrap();
        assert!(!text.contains("hunter2"), "a value of a variable is in the pod: {text}");
        pod
    }

    fn spec(&self) -> PodSpec {
        self.pod().spec.unwrap()
    }

    fn refused(&self, message: &str) {
        let error = self.with(pod_for).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.chain(), message);
    }
}

fn service(image: &str) -> Service {
    let image = Image { name: image.into(), ..Image::default() };
    let variables = Variables(vec![
        Variable::raw("POSTGRES_PASSWORD", "hunter2"),
        Variable::raw("HEALTHCHECK_TCP_PORT", "5432"),
        Variable::raw("not a name", "x"),
    ]);
    Service {
        image,
        aliases: vec!["db".into()],
        command: Some(vec!["-c".into(), "fsync=off".into()]),
        variables,
    }
}

#[test]
fn an_empty_config_makes_a_small_pod() {
    insta::assert_json_snapshot!("minimal", Case::new("").pod());
}

#[test]
fn a_config_of_gitops_makes_its_pod() {
    insta::assert_json_snapshot!("gitops", Case::new(include_str!("tests/gitops.toml")).pod());
}

#[test]
fn a_config_with_a_mesh_makes_its_pod() {
    insta::assert_json_snapshot!("mesh", Case::new(include_str!("tests/mesh.toml")).pod());
}

#[test]
fn services_make_containers_between_helper_and_build() {
    let mut case = Case::new(
        "[[services]]\nname = 'registry.example.com:5000/team/docker:27'\nentrypoint = ['dockerd']",
    );
    case.job.services.push(service("postgres:16"));
    case.names.services_secret = Some(format!("{}-services", case.names.pod));
    insta::assert_json_snapshot!("services", case.pod());
}

#[test]
fn a_config_with_every_key_makes_its_pod() {
    let mut case = Case::new(include_str!("../config/tests/every_key.toml"));
    case.job.services.push(service("postgres:16"));
    case.names.secrets.push("runner-8cvaznry-project-12-concurrent-0-xkxlldd4-1".into());
    case.names.services_secret = Some(format!("{}-services", case.names.pod));
    case.names.pull_secret = Some(case.names.pod.clone());
    insta::assert_json_snapshot!("everything", case.pod());
    insta::assert_json_snapshot!("everything_budget", case.with(disruption_budget));
}

#[test]
fn everything_on_one_user_id_meets_the_restricted_standard() {
    let mut case = Case::new(include_str!("tests/restricted.toml"));
    case.job.services.push(service("postgres:16"));
    insta::assert_json_snapshot!("restricted", case.pod());
}

#[test]
fn each_kind_of_volume_is_mounted_in_all_containers() {
    let mut case = Case::new(include_str!("../config/tests/every_key.toml"));
    case.config = KubernetesConfig { volumes: case.config.volumes, ..KubernetesConfig::default() };
    case.job.services.push(service("postgres:16"));
    let spec = case.spec();
    for container in &spec.containers {
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        for name in ["docker", "shared-12", "settings", "login", "docker-certs", "vault", "data"] {
            assert!(mounts.iter().any(|mount| mount.name == name), "{} lacks {name}", container.name);
        }
    }
    let mounts = spec.containers.last().unwrap().volume_mounts.clone();
    insta::assert_json_snapshot!("volumes", (spec.volumes, mounts));
}

#[test]
fn a_volume_at_the_builds_dir_is_in_place_of_ours() {
    let case = Case::new("[[volumes.pvc]]\nname = 'work'\nmount_path = '/builds/'");
    let spec = case.spec();
    let volumes: Vec<_> = spec.volumes.unwrap().into_iter().map(|volume| volume.name).collect();
    assert_eq!(volumes, ["runner", "job", "work"]);
}

#[test]
fn volumes_of_the_config_may_have_the_names_of_ours() {
    let case = Case::new(
        "[[volumes.empty_dir]]\nname = 'builds'\nmount_path = '/a'\n[[volumes.empty_dir]]\nname = 'runner'\nmount_path = '/b'",
    );
    let spec = case.spec();
    let volumes: Vec<_> = spec.volumes.unwrap().into_iter().map(|volume| volume.name).collect();
    assert_eq!(volumes, ["runner-0", "job", "builds-0", "builds", "runner"]);
    let helper = spec.containers.first().unwrap().volume_mounts.clone().unwrap();
    assert_eq!((helper[0].name.as_str(), helper[0].mount_path.as_str()), ("runner-0", "/runner"));
}

#[test]
fn a_volume_that_is_named_twice_is_mounted_twice() {
    let case = Case::new(
        "[[volumes.pvc]]\nname = 'c'\nmount_path = '/a'\nsub_path = 'a'\n[[volumes.pvc]]\nname = 'c'\nmount_path = '/b'",
    );
    let spec = case.spec();
    assert_eq!(spec.volumes.unwrap().iter().filter(|volume| volume.name == "c").count(), 1);
    let mounts = spec.containers.last().unwrap().volume_mounts.clone().unwrap();
    assert_eq!(mounts.iter().filter(|mount| mount.name == "c").count(), 2);
}

#[test]
fn no_volume_is_mounted_over_the_agent() {
    for path in ["/runner/", "/x/..//runner/agent", "/run/./runner/job", "/run/runner"] {
        let mut case = Case::new("[[volumes.empty_dir]]\nname = 'a'\nmount_path = '$WHERE'");
        case.job.variables.push(Variable::raw("WHERE", path));
        case.refused(&format!("mount the volume a: {path} is the runner's own"));
    }
    let spec = Case::new("[[volumes.empty_dir]]\nname = 'a'\nmount_path = '/run'").spec();
    assert_eq!(spec.volumes.unwrap().len(), 4);
}

#[test]
fn the_entrypoint_is_run_only_where_it_is_asked_for() {
    let command = |entrypoint: Option<&[&str]>, honors: bool| {
        let mut case = Case::new("");
        case.runner.flags.insert("FF_KUBERNETES_HONOR_ENTRYPOINT".into(), honors);
        let entrypoint = entrypoint.map(|parts| parts.iter().map(|part| (*part).to_owned()).collect());
        case.job.image = Some(Image { name: "a".into(), entrypoint, ..Image::default() });
        let build = case.spec().containers.pop().unwrap();
        (build.command.unwrap_or_default().join(" "), build.args.unwrap_or_default().join(" "))
    };
    let agent = "/runner/agent build".to_owned();
    assert_eq!(command(None, false), (agent.clone(), String::new()));
    assert_eq!(command(Some(&["/init"]), false), (agent.clone(), String::new()));
    assert_eq!(command(None, true), (String::new(), agent.clone()));
    assert_eq!(command(Some(&["/init", "-v"]), true), ("/init -v".into(), agent.clone()));
    assert_eq!(command(Some(&[""]), true), (agent, String::new()));
}

#[test]
fn each_attempt_takes_the_next_pull_policy() {
    let mut case = Case::new("pull_policy = ['always', 'if-not-present']");
    let policy = |case: &Case| case.spec().containers.pop().unwrap().image_pull_policy;
    assert_eq!(policy(&case).as_deref(), Some("Always"));
    case.pull = 2;
    assert_eq!(policy(&case).as_deref(), Some("IfNotPresent"));
    case.job.image =
        Some(Image { name: "a".into(), pull_policies: vec![PullPolicy::Always], ..Image::default() });
    assert_eq!(policy(&case).as_deref(), Some("Always"));
}

#[test]
fn the_token_is_mounted_only_with_an_account() {
    let mounts = |text: &str| Case::new(text).spec().automount_service_account_token;
    assert_eq!(mounts(""), Some(false));
    assert_eq!(mounts("service_account = 'a'"), Some(true));
    assert_eq!(mounts("service_account = 'a'\nautomount_service_account_token = false"), Some(false));
    assert_eq!(mounts("automount_service_account_token = true"), Some(true));
}

#[test]
fn the_deadline_leaves_time_before_and_after_the_job() {
    let mut case = Case::new("poll_timeout = 60");
    case.job.timeout = std::time::Duration::from_mins(10);
    assert_eq!(case.spec().active_deadline_seconds, Some(60 + 600 + 1500));
    case.job.timeout = std::time::Duration::MAX;
    assert_eq!(case.spec().active_deadline_seconds, Some(i64::from(i32::MAX)));
    case.runner.flags.insert("FF_USE_POD_ACTIVE_DEADLINE_SECONDS".into(), false);
    assert_eq!(case.spec().active_deadline_seconds, None);
}

#[test]
fn pull_secrets_are_those_of_the_config_and_of_the_job() {
    let secrets = |text: &str| {
        let mut case = Case::new(text);
        case.names.pull_secret = Some("of-the-job".into());
        let secrets = case.spec().image_pull_secrets.unwrap_or_default();
        secrets.into_iter().map(|secret| secret.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(secrets("image_pull_secrets = ['a', 'b']"), "a b of-the-job");
    assert_eq!(secrets("image_pull_secrets = ['a']\nuse_service_account_image_pull_secrets = true"), "");
}

#[test]
fn capabilities_are_those_of_the_config_unless_the_container_has_its_own() {
    let of = |text: &str| {
        let build = Case::new(text).spec().containers.pop().unwrap();
        let list = build.security_context.unwrap().capabilities.unwrap_or_default();
        (list.add.unwrap_or_default().join(" "), list.drop.unwrap_or_default().join(" "))
    };
    assert_eq!(of(""), (String::new(), "NET_RAW".into()));
    assert_eq!(of("cap_add = ['NET_RAW', 'CHOWN']"), ("CHOWN NET_RAW".into(), String::new()));
    assert_eq!(of("cap_add = ['A']\ncap_drop = ['A']"), (String::new(), "A NET_RAW".into()));
    let own = "cap_add = ['A']\nbuild_container_security_context.capabilities.drop = ['ALL']";
    assert_eq!(of(own), ("A".into(), "ALL".into()));
}

fn patched(kind: &str, patch: &str) -> Case {
    Case::new(&format!("[[pod_spec]]\nname = 'mine'\npatch_type = '{kind}'\npatch = '''\n{patch}\n'''"))
}

#[test]
fn a_strategic_patch_merges_lists_by_their_key() {
    let patch = "
containers:
- name: build
  env: [{ name: A, value: \"1\" }]
  volumeMounts: [{ name: fuse, mountPath: /dev/fuse }]
- name: proxy
  image: proxy:1
volumes:
- name: fuse
  hostPath: { path: /dev/fuse }
hostname: ci
tolerations: [{ operator: Exists }]";
    insta::assert_json_snapshot!("patch_strategic", patched("", patch).spec());
}

#[test]
fn a_merge_patch_replaces_lists() {
    let patch =
        r#"{ "tolerations": [{ "operator": "Exists" }], "hostname": "ci", "enableServiceLinks": null }"#;
    insta::assert_json_snapshot!("patch_merge", patched("merge", patch).spec());
}

#[test]
fn a_json_patch_is_a_list_of_operations() {
    let patch = "
- op: add
  path: /containers/1/tty
  value: true
- op: replace
  path: /restartPolicy
  value: Never
- op: add
  path: /hostUsers
  value: false";
    insta::assert_json_snapshot!("patch_json", patched("json", patch).spec());
}

#[test]
fn patches_are_applied_in_order_and_may_be_files() {
    let mut case = Case::new(
        "[[pod_spec]]\nname = 'a'\npatch = 'hostname: one'\n[[pod_spec]]\nname = 'b'\npatch_path = '/etc/patch.yaml'\n\
         patch_type = 'merge'",
    );
    case.refused("apply the patch b of `pod_spec`: /etc/patch.yaml cannot be read");
    case.files.insert("/etc/patch.yaml".into(), "hostname: two".into());
    assert_eq!(case.spec().hostname.as_deref(), Some("two"));
    case.runner.flags.clear();
    assert_eq!(case.spec().hostname, None);
}

#[test]
fn patches_that_break_the_pod_are_refused_with_their_name() {
    patched("", "shareProcessNamespace: true")
        .refused("apply the patch mine of `pod_spec`: `shareProcessNamespace` would let the job read the helper's memory");
    patched("", "containers: [{ name: build, $patch: delete }]")
        .refused("apply the patch mine of `pod_spec`: it takes away the container helper or build");
    patched("merge", "containers: [{ name: build }, { name: helper }]")
        .refused("apply the patch mine of `pod_spec`: the container helper must come before build");
    patched("json", "[{ op: test, path: /hostname, value: a }]").refused(
        "apply the patch mine of `pod_spec`: operation '/0' failed at path '/hostname': path is invalid",
    );
    let error = patched("", "hostname: [a]").with(pod_for).unwrap_err();
    assert!(
        error.chain().starts_with("apply the patch mine of `pod_spec`: it makes no pod: "),
        "{}",
        error.chain()
    );
}

#[test]
fn a_budget_is_made_only_where_it_is_asked_for() {
    assert_eq!(Case::new("").with(disruption_budget), None);
}

#[test]
fn the_side_channel_has_a_volume_in_the_helper_alone() {
    let mut case = Case::new("");
    let mounts_of = |pod: &Pod| -> Vec<String> {
        let containers = &pod.spec.as_ref().unwrap().containers;
        let has = |mounts: &Vec<k8s_openapi::api::core::v1::VolumeMount>| {
            mounts.iter().any(|mount| mount.mount_path == "/run/runner/channel")
        };
        let with = containers.iter().filter(|container| container.volume_mounts.as_ref().is_some_and(has));
        with.map(|container| container.name.clone()).collect()
    };
    assert_eq!(mounts_of(&case.pod()), [""; 0]);
    case.has_channel = true;
    assert_eq!(mounts_of(&case.pod()), [HELPER]);
}
