//! What a `[[runners]]` means.

use std::{collections::BTreeMap, time::Duration};

use runner_core::{Secret, finding::Severity};

use super::{Purpose, Resolver};
use crate::{
    config::{
        ArtifactLimits, ExecutorConfig, JobQueuing, Report, RunnerConfig, Scripts, Shell, Tls, TokenSource,
    },
    expansion::EnvText,
    key::Keys,
    parse::nearest,
    table::{FLAGS, RunnerKeys},
};
use runner_k8s::config::{ContainerSecurityContext, KeyClass, Remark, RemarkClass};

const HOUR: Duration = Duration::from_hours(1);

/// Executors that are not done here.
const OTHER_EXECUTORS: [&str; 12] = [
    "docker",
    "docker-windows",
    "docker+machine",
    "docker-autoscaler",
    "docker-ssh",
    "docker-ssh+machine",
    "ssh",
    "instance",
    "virtualbox",
    "parallels",
    "custom",
    "docker-autoscaler+windows",
];

impl Resolver<'_> {
    /// `None`: it cannot be run, and why is told.
    pub(super) fn runner(
        &mut self,
        index: usize,
        keys: &RunnerKeys,
        labels: &BTreeMap<String, String>,
    ) -> Option<RunnerConfig> {
        let path = format!("runners[{index}]");
        let at = |key: &str| format!("{path}.{key}");
        let (token, token_source) = self.token(&path, keys);
        let executor = self.executor(&path, keys);
        let is_for_pods = matches!(executor, Some(ExecutorConfig::Kubernetes(_)));
        let url = self.url(&path, keys);
        let name = self.text_or(&at("name"), &keys.name, "RUNNER_NAME").unwrap_or_default();
        let tls = self.tls(&path, keys);
        self.runner_remarks(&path, keys);
        let positive = |value: u32, default: u32| if value == 0 { default } else { value };
        let mut all_labels = labels.clone();
        all_labels.extend(keys.labels.clone());
        Some(RunnerConfig {
            name,
            url,
            id: keys.id,
            token,
            token_source,
            token_expires_at: keys
                .token_expires_at
                .as_ref()
                .map(ToString::to_string)
                .filter(|at| !at.starts_with("0001")),
            tls,
            limit: usize::try_from(keys.limit).ok().filter(|limit| *limit > 0),
            output_limit: u64::from(positive(keys.output_limit, 4096)) * 1024,
            request_concurrency: usize::try_from(positive(keys.request_concurrency, 1)).unwrap_or(1),
            strict_check_interval: keys.strict_check_interval,
            unhealthy_requests_limit: positive(keys.unhealthy_requests_limit, 3),
            unhealthy_interval: self
                .duration(&at("unhealthy_interval"), keys.unhealthy_interval.as_ref())
                .unwrap_or(HOUR),
            labels: all_labels,
            shell: self.shell(&path, &keys.shell),
            builds_dir: given(&keys.builds_dir),
            cache_dir: given(&keys.cache_dir),
            report: self.report(&at("report"), &keys.report),
            clone_url: self.clone_url(&at("clone_url"), &keys.clone_url),
            environment: self.environment(&at("environment"), &keys.environment),
            scripts: scripts(keys),
            prepare_timeout: self.duration(&at("prepare_timeout"), keys.prepare_timeout.as_ref()),
            get_sources_timeout: self.duration(&at("get_sources_timeout"), keys.get_sources_timeout.as_ref()),
            debug_trace_disabled: keys.debug_trace_disabled,
            safe_directory_checkout: keys.safe_directory_checkout,
            clean_git_config: keys.clean_git_config,
            custom_build_dir: keys.custom_build_dir.enabled,
            artifact: self.artifact(&at("artifact"), keys),
            cache: self.cache(&at("cache"), keys.cache.as_ref(), is_for_pods),
            feature_flags: keys.feature_flags.clone(),
            job_queuing_durations: self.job_queuing(&at("monitoring.job_queuing_durations"), keys),
            // The last one: whatever else is wrong is told even if there is none.
            executor: executor?,
        })
    }

    /// A text, or a variable of the environment where there is none.
    pub(super) fn text_or(&mut self, path: &str, text: &EnvText, variable: &str) -> Option<String> {
        let surroundings = self.surroundings;
        self.optional_text(path, text).or_else(|| surroundings.variable(variable).map(ToOwned::to_owned))
    }

    fn url(&mut self, path: &str, keys: &RunnerKeys) -> String {
        let at = format!("{path}.url");
        let Some(url) = self.text_or(&at, &keys.url, "CI_SERVER_URL") else {
            if keys.url.0.is_empty() && self.purpose == Purpose::Run {
                let help = "write `url = \"https://gitlab.example.com\"`, or set CI_SERVER_URL";
                self.notebook.wrong(&at, "the runner has no `url`", Some(help.into()));
            }
            return String::new();
        };
        self.web_address(&at, &url);
        url.trim_end_matches('/').to_owned()
    }

    fn clone_url(&mut self, path: &str, text: &EnvText) -> Option<String> {
        let url = self.optional_text(path, text)?;
        self.web_address(path, &url);
        Some(url.trim_end_matches('/').to_owned())
    }

    fn web_address(&mut self, path: &str, url: &str) {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if self.purpose == Purpose::Run && rest.is_none_or(|rest| rest.trim_matches('/').is_empty()) {
            let help = format!("did you mean \"https://{}\"?", url.trim_matches('/'));
            self.notebook.wrong(path, "it is no address that begins with https:// or http://", Some(help));
        }
    }

    fn token(&mut self, path: &str, keys: &RunnerKeys) -> (Secret, TokenSource) {
        let at = format!("{path}.token");
        let surroundings = self.surroundings;
        let from_config = self.text(&at, &keys.token);
        let found = if !keys.token.0.is_empty() {
            Some((Secret::new(from_config), TokenSource::Config))
        } else if let Some(read) = surroundings.token_file() {
            let file = surroundings.variable("CI_SERVER_TOKEN_FILE").unwrap_or_default();
            if let Err(error) = read {
                let message = format!("the file of CI_SERVER_TOKEN_FILE cannot be read: {error}");
                self.notebook.wrong(&at, message, None);
                return (Secret::default(), TokenSource::Config);
            }
            read.as_ref().ok().map(|token| (token.clone(), TokenSource::File(file.to_owned())))
        } else {
            let variable = |name| {
                surroundings.variable(name).map(|value| (Secret::new(value), TokenSource::Variable(name)))
            };
            let file = || {
                Some((
                    surroundings.secret("runner-token")?.clone(),
                    TokenSource::File(surroundings.secret_path("runner-token")?),
                ))
            };
            variable("CI_SERVER_TOKEN").or_else(|| variable("RUNNER_TOKEN")).or_else(file)
        };
        let Some((token, source)) = found else {
            if self.purpose == Purpose::Run {
                self.no_token(&at);
            }
            return (Secret::default(), TokenSource::Config);
        };
        self.odd_token(&at, &token, keys.token.0.contains('$'));
        (token, source)
    }

    fn no_token(&mut self, at: &str) {
        let registration = self.surroundings.variable("REGISTRATION_TOKEN").is_some()
            || self.surroundings.secret("runner-registration-token").is_some();
        let help = if registration {
            "there is a registration token: `runner register` makes an authentication token of it"
        } else {
            "write `token`, set CI_SERVER_TOKEN, or put it into the file `runner-token` of the mounted Secret"
        };
        self.notebook.wrong(at, "the runner has no `token`", Some(help.into()));
    }

    fn odd_token(&mut self, at: &str, token: &Secret, is_expanded: bool) {
        let text = token.expose();
        if text.is_empty() && !is_expanded {
            self.notebook.wrong(at, "the token is empty", None);
        } else if text.starts_with("GR1348941") {
            let help = "`runner register --registration-token …` makes an authentication token of it";
            self.notebook.wrong(
                at,
                "this is a registration token, and no authentication token",
                Some(help.into()),
            );
        } else if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            self.notebook.wrong(at, "the token has a space or a line end in it", None);
        }
    }

    fn tls(&mut self, path: &str, keys: &RunnerKeys) -> Tls {
        let mut file = |key: &str, text, variable| self.text_or(&format!("{path}.{key}"), text, variable);
        let tls = Tls {
            ca_file: file("tls-ca-file", &keys.tls_ca_file, "CI_SERVER_TLS_CA_FILE"),
            cert_file: file("tls-cert-file", &keys.tls_cert_file, "CI_SERVER_TLS_CERT_FILE"),
            key_file: file("tls-key-file", &keys.tls_key_file, "CI_SERVER_TLS_KEY_FILE"),
        };
        if tls.cert_file.is_some() != tls.key_file.is_some() {
            let message = "`tls-cert-file` and `tls-key-file` need each other";
            self.notebook.wrong(&format!("{path}.tls-cert-file"), message, None);
        }
        tls
    }

    fn executor(&mut self, path: &str, keys: &RunnerKeys) -> Option<ExecutorConfig> {
        let at = format!("{path}.executor");
        let named = self.text_or(&at, &keys.executor, "RUNNER_EXECUTOR");
        let has_section = keys.kubernetes.is_some();
        let kubernetes = || ExecutorConfig::Kubernetes(keys.kubernetes.clone().unwrap_or_default());
        let name = named.or_else(|| has_section.then(|| "kubernetes".to_owned()));
        match name.as_deref() {
            Some("kubernetes") => {
                let config = keys.kubernetes.as_deref().cloned().unwrap_or_default();
                let prefix = format!("{path}.kubernetes");
                self.remarks(&prefix, config.validate());
                // GitLab Runner writes this section, empty, into every config.
                let empty = Some(ContainerSecurityContext::default());
                let is_empty = config.init_permissions_container_security_context == empty;
                let mut review = config.review();
                review.retain(|remark| !(is_empty && remark.key.starts_with("init_permissions")));
                self.remarks(&prefix, review);
                Some(kubernetes())
            }
            Some("shell") => Some(ExecutorConfig::Shell),
            Some(other) if OTHER_EXECUTORS.contains(&other) => {
                let text = format!("the executor {other:?} is refused: jobs run in pods or on this machine");
                let line = self.notebook.line(&at);
                let mend = "use `executor = \"kubernetes\"` or `executor = \"shell\"`, or leave this runner to GitLab Runner";
                self.say(line, Severity::Fatal, &text, mend);
                None
            }
            Some(other) => {
                self.none_of(&at, other, &["kubernetes", "shell"]);
                None
            }
            None => {
                let help = "write `executor = \"kubernetes\"`, or set RUNNER_EXECUTOR";
                self.notebook.wrong(&at, "the runner has no `executor`", Some(help.into()));
                None
            }
        }
    }

    fn shell(&mut self, path: &str, name: &str) -> Option<Shell> {
        match name {
            "" => None,
            "bash" => Some(Shell::Bash),
            "sh" => Some(Shell::Sh),
            "cmd" | "pwsh" | "powershell" => {
                let text = "it is one of Windows; scripts run in `bash` or `sh`".to_owned();
                self.remarks(path, vec![Remark { key: "shell".into(), class: RemarkClass::Refused, text }]);
                None
            }
            other => {
                self.none_of(&format!("{path}.shell"), other, &["bash", "sh"]);
                None
            }
        }
    }

    fn report(&mut self, at: &str, name: &str) -> Report {
        match name {
            "" | "agent" => Report::Agent,
            "relay" => Report::Relay,
            other => {
                self.none_of(at, other, &["agent", "relay"]);
                Report::Agent
            }
        }
    }

    fn environment(&mut self, path: &str, lines: &[String]) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            match line.split_once('=').map(|(key, value)| (key.trim(), value)) {
                Some((key, value)) if !key.is_empty() => variables.push((key.to_owned(), value.to_owned())),
                _ => self.notebook.wrong(&format!("{path}[{index}]"), "it is not KEY=VALUE", None),
            }
        }
        variables
    }

    fn artifact(&mut self, path: &str, keys: &RunnerKeys) -> ArtifactLimits {
        let keys = &keys.artifact;
        let upload = self.duration(&format!("{path}.upload_timeout"), keys.upload_timeout.as_ref());
        let at = format!("{path}.response_header_timeout");
        let header = self.duration(&at, keys.response_header_timeout.as_ref());
        ArtifactLimits {
            upload_timeout: upload.unwrap_or(HOUR),
            response_header_timeout: header.unwrap_or(HOUR / 6),
        }
    }

    fn job_queuing(&mut self, path: &str, keys: &RunnerKeys) -> Vec<JobQueuing> {
        let mut durations = Vec::new();
        for (index, entry) in keys.monitoring.job_queuing_durations.iter().enumerate() {
            let at = format!("{path}[{index}].threshold");
            match self.duration(&at, entry.threshold.as_ref()) {
                Some(threshold) => durations.push(JobQueuing {
                    periods: entry.periods.clone(),
                    timezone: entry.timezone.clone(),
                    threshold,
                    jobs_running_for_project: entry.jobs_running_for_project.clone(),
                }),
                None => self.notebook.wrong(&at, "a `threshold` such as 5m is missing", None),
            }
        }
        durations
    }

    fn runner_remarks(&mut self, path: &str, keys: &RunnerKeys) {
        let mut remarks = keys.remarks(path);
        // A section of another executor is that executor's business: it is refused as a whole.
        let other = self.surroundings.variable("RUNNER_EXECUTOR").unwrap_or(&keys.executor.0);
        remarks
            .retain(|remark| !(OTHER_EXECUTORS.contains(&other) && remark.text.contains("another executor")));
        self.remarks("", remarks);
        self.remarks("", keys.experimental.remarks(&format!("{path}.experimental")));
        let cache = keys.cache.as_ref();
        let s3 = cache.and_then(|cache| cache.s3.as_ref()).map(|s3| s3.remarks(&format!("{path}.cache.s3")));
        let gcs =
            cache.and_then(|cache| cache.gcs.as_ref()).map(|gcs| gcs.remarks(&format!("{path}.cache.gcs")));
        let azure = cache.and_then(|cache| cache.azure.as_ref());
        let azure = azure.map(|azure| azure.remarks(&format!("{path}.cache.azure")));
        self.remarks("", [s3, gcs, azure].into_iter().flatten().flatten().collect());
        for name in keys.feature_flags.keys() {
            self.flag(&format!("{path}.feature_flags.{name}"), name);
        }
    }

    fn flag(&mut self, path: &str, name: &str) {
        let line = self.notebook.line(path);
        match FLAGS.iter().find(|flag| flag.name == name) {
            Some(flag) if flag.class != KeyClass::Works => {
                let text = format!("the flag {name} has no effect: {}", flag.about);
                self.say(line, Severity::Note, &text, "");
            }
            Some(_) => {}
            None => {
                let near = nearest(name, FLAGS.iter().map(|flag| flag.name));
                let mend = near.map(|near| format!("did you mean {near}?")).unwrap_or_default();
                self.say(line, Severity::Warning, &format!("there is no flag {name}"), &mend);
            }
        }
    }
}

fn given(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.trim().is_empty())
}

fn scripts(keys: &RunnerKeys) -> Scripts {
    Scripts {
        pre_get_sources: given(&keys.pre_get_sources_script).or_else(|| given(&keys.pre_clone_script)),
        post_get_sources: given(&keys.post_get_sources_script).or_else(|| given(&keys.post_clone_script)),
        pre_build: given(&keys.pre_build_script),
        post_build: given(&keys.post_build_script),
    }
}
