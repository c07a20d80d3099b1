//! The command lines of what has to do with a server: `run`, `register`, `verify`, `unregister`, `list`. Their flags are
//! those of GitLab Runner; what a flag leaves open may stand in a variable of the environment.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use runner_config::{
    config::Tls,
    edit::NewRunner,
    registration::{Details, Registration, Selection, Server},
};
use runner_core::Secret;

/// Variables of the environment.
pub(crate) type Variables = BTreeMap<String, String>;

/// Where the config is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct ConfigPath {
    /// The config. Without it: CONFIG_FILE, else /etc/gitlab-runner/config.toml for root and
    /// ~/.gitlab-runner/config.toml for others.
    #[arg(short, long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

impl ConfigPath {
    /// The path, for a user who may be root.
    pub(crate) fn path(&self, variables: &Variables, is_root: bool) -> PathBuf {
        let named = || given(variables, "CONFIG_FILE").map(PathBuf::from);
        let usual = || {
            let home = given(variables, "HOME").filter(|_| !is_root);
            home.map_or_else(
                || PathBuf::from("/etc/gitlab-runner/config.toml"),
                |home| PathBuf::from(home).join(".gitlab-runner/config.toml"),
            )
        };
        self.config.clone().or_else(named).unwrap_or_else(usual)
    }
}

/// What `runner list` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct List {
    /// Where the config is.
    #[command(flatten)]
    pub(crate) config: ConfigPath,
}

/// What `runner run` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Run {
    /// Where the config is.
    #[command(flatten)]
    pub(crate) config: ConfigPath,

    /// Where metrics and health are served; it counts more than the config. Without it: LISTEN_ADDRESS.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen_address: Option<String>,

    /// The folder that relative paths begin in.
    #[arg(short = 'd', long, value_name = "DIR")]
    pub(crate) working_directory: Option<PathBuf>,

    /// Has no effect: GitLab Runner's unit of systemd names its service here.
    #[arg(short = 'n', long, value_name = "NAME", hide = true)]
    pub(crate) service: Option<String>,

    /// Refused unless it is the user that this program runs as: jobs run as that one.
    #[arg(short, long, value_name = "NAME", hide = true)]
    pub(crate) user: Option<String>,

    /// Has no effect: the log goes to stderr.
    #[arg(long, hide = true)]
    pub(crate) syslog: bool,
}

/// What `runner register` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Register {
    /// Where the config is.
    #[command(flatten)]
    pub(crate) config: ConfigPath,

    /// The address of GitLab. Without it: CI_SERVER_URL.
    #[arg(short, long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// The authentication token, glrt-…. Without it: CI_SERVER_TOKEN.
    #[arg(short, long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    /// A registration token, of which an authentication token is made. Without it: REGISTRATION_TOKEN.
    #[arg(short, long, value_name = "TOKEN", conflicts_with = "token")]
    pub(crate) registration_token: Option<String>,

    /// The name of the runner. Without it: RUNNER_NAME.
    #[arg(long, alias = "description", value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// kubernetes or shell. Without it: RUNNER_EXECUTOR, else what the template says.
    #[arg(long, value_name = "EXECUTOR")]
    pub(crate) executor: Option<String>,

    /// Has no effect: nothing is ever asked for.
    #[arg(short, long)]
    pub(crate) non_interactive: bool,

    /// A file whose only runner gives the rest of the entry. Without it: TEMPLATE_CONFIG_FILE.
    #[arg(long, value_name = "FILE")]
    pub(crate) template_config: Option<PathBuf>,

    /// The authorities that GitLab's certificate is checked against, in PEM. Without it: CI_SERVER_TLS_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca_file: Option<String>,

    /// The image of jobs that name none. Without it: KUBERNETES_IMAGE.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) kubernetes_image: Option<String>,

    /// The namespace of the pods. Without it: KUBERNETES_NAMESPACE.
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) kubernetes_namespace: Option<String>,

    /// What the account is to be.
    #[command(flatten)]
    pub(crate) details: AccountDetails,
}

/// What a new account is to be; for registration tokens alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "With a registration token")]
pub(crate) struct AccountDetails {
    /// Tags, with commas between them. Without it: RUNNER_TAG_LIST.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(crate) tag_list: Vec<String>,

    /// Whether jobs without tags are taken. Without it: if there are no tags.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) run_untagged: Option<bool>,

    /// Whether the runner is for one project only.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) locked: Option<bool>,

    /// not_protected or ref_protected.
    #[arg(long, value_name = "LEVEL", value_parser = ["not_protected", "ref_protected"])]
    pub(crate) access_level: Option<String>,

    /// The longest time that a job may take, in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) maximum_timeout: Option<u32>,

    /// Whether the runner starts paused.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) paused: Option<bool>,

    /// A note for those who maintain it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) maintenance_note: Option<String>,
}

/// Which runners `runner verify` and `runner unregister` are asked for. Variables of the environment do not count: one
/// that is left over would choose a runner that nobody meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Which {
    /// Those of this name.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Those of this server.
    #[arg(short, long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// Those with this token.
    #[arg(short, long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

/// What `runner verify` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Verify {
    /// Where the config is.
    #[command(flatten)]
    pub(crate) config: ConfigPath,

    /// Which runners.
    #[command(flatten)]
    pub(crate) which: Which,

    /// Takes runners that the server does not know out of the config.
    #[arg(long)]
    pub(crate) delete: bool,
}

/// What `runner unregister` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Unregister {
    /// Where the config is.
    #[command(flatten)]
    pub(crate) config: ConfigPath,

    /// Which runners.
    #[command(flatten)]
    pub(crate) which: Which,

    /// All runners of the config.
    #[arg(long)]
    pub(crate) all_runners: bool,
}

impl Run {
    /// Where metrics and health are served, if the config does not decide.
    pub(crate) fn listen_address(&self, variables: &Variables) -> Option<String> {
        self.listen_address.clone().or_else(|| given(variables, "LISTEN_ADDRESS"))
    }
}

impl Register {
    /// Where the template is, if there is one.
    pub(crate) fn template(&self, variables: &Variables) -> Option<PathBuf> {
        let from_variable = || given(variables, "TEMPLATE_CONFIG_FILE").map(PathBuf::from);
        self.template_config.clone().or_else(from_variable)
    }

    /// What is registered, with the text of the template.
    ///
    /// # Errors
    /// The address or the token is missing; a sentence that says how to give it.
    pub(crate) fn registration(
        &self,
        variables: &Variables,
        template: Option<String>,
    ) -> Result<Registration, &'static str> {
        let or = |flag: &Option<String>, name| text(flag.as_ref()).or_else(|| given(variables, name));
        let url =
            or(&self.url, "CI_SERVER_URL").ok_or("name the server: --url https://gitlab.example.com")?;
        let (token, is_registration) = self.named_token(variables).ok_or(
            "name the token of the runner, which GitLab shows when the runner is made: --token glrt-…",
        )?;
        let tls_ca_file = or(&self.tls_ca_file, "CI_SERVER_TLS_CA_FILE");
        let entry = NewRunner {
            executor: or(&self.executor, "RUNNER_EXECUTOR").unwrap_or_default(),
            tls_ca_file: tls_ca_file.clone().unwrap_or_default(),
            image: or(&self.kubernetes_image, "KUBERNETES_IMAGE").unwrap_or_default(),
            namespace: or(&self.kubernetes_namespace, "KUBERNETES_NAMESPACE").unwrap_or_default(),
            ..NewRunner::default()
        };
        let tls = Tls { ca_file: tls_ca_file, ..Tls::default() };
        Ok(Registration {
            server: Server { url: url.trim_end_matches('/').to_owned(), tls },
            token: Secret::new(token),
            is_registration,
            details: self.details.of(or(&self.name, "RUNNER_NAME"), variables),
            entry,
            template,
        })
    }

    /// The token, and whether it is a registration token. A flag counts more than a variable.
    fn named_token(&self, variables: &Variables) -> Option<(String, bool)> {
        let token = text(self.token.as_ref()).map(|token| (token, false));
        let registration = || text(self.registration_token.as_ref()).map(|token| (token, true));
        let variable = |name, kind| given(variables, name).map(|token| (token, kind));
        token
            .or_else(registration)
            .or_else(|| variable("CI_SERVER_TOKEN", false))
            .or_else(|| variable("REGISTRATION_TOKEN", true))
    }
}

impl AccountDetails {
    fn of(&self, name: Option<String>, variables: &Variables) -> Details {
        let from_variable = || given(variables, "RUNNER_TAG_LIST").unwrap_or_default();
        let tags = if self.tag_list.is_empty() { vec![from_variable()] } else { self.tag_list.clone() };
        let tags = tags.iter().flat_map(|tags| tags.split(',')).map(str::trim).filter(|tag| !tag.is_empty());
        Details {
            description: name.unwrap_or_default(),
            tags: tags.map(ToOwned::to_owned).collect(),
            run_untagged: self.run_untagged,
            is_locked: self.locked.unwrap_or_default(),
            access_level: self.access_level.clone().unwrap_or_default(),
            maximum_timeout: self.maximum_timeout.unwrap_or_default(),
            is_paused: self.paused.unwrap_or_default(),
            maintenance_note: self.maintenance_note.clone().unwrap_or_default(),
        }
    }
}

impl Which {
    /// The selection; without a flag all runners.
    pub(crate) fn selection(&self) -> Selection {
        let Self { name, url, token } = self.clone();
        Selection { is_all: false, name, token: token.map(Secret::new), url }
    }
}

impl Unregister {
    /// The selection.
    ///
    /// # Errors
    /// Nothing is named: that must not mean everything.
    pub(crate) fn selection(&self) -> Result<Selection, &'static str> {
        let Which { name, token, .. } = &self.which;
        if name.is_none() && token.is_none() && !self.all_runners {
            return Err("name the runner: --name or --token, or --all-runners");
        }
        Ok(Selection { is_all: self.all_runners, ..self.which.selection() })
    }
}

fn text(flag: Option<&String>) -> Option<String> {
    flag.filter(|text| !text.is_empty()).cloned()
}

/// A variable that is set to something.
fn given(variables: &Variables, name: &str) -> Option<String> {
    text(variables.get(name))
}

#[cfg(test)]
mod tests;
