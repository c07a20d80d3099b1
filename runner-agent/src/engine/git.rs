//! How git is run for a job: its environment, its configuration, and where its login is.

use std::path::{Path, PathBuf};

use runner_core::{ErrorKind, FailureReason, Result, Usage};

use super::{
    Engine,
    course::{Course, Obstacle, Phased},
    environment::{Environment, OWN_FOLDER},
    files,
    git_config::GitConfig,
    limit::Limit,
    process::{End, Output, run},
    remote::Remote,
};
use crate::host::{Command, Exit};

/// Variables of a job that would make git work on another repository than the job's.
const NOT_FOR_GIT: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ASKPASS",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_WORK_TREE",
    "SSH_ASKPASS",
];

/// The variables through which git's login helper gets the login. They are in git's environment alone.
const USERNAME: &str = "RUNNER_GIT_USERNAME";
const PASSWORD: &str = "RUNNER_GIT_PASSWORD";

/// Runs git for a job.
///
/// Git reads the configuration of the machine and of the user, because proxies, certificates and other safe
/// directories stand there, and after it a file of ours, which decides what would break a job or reach out of it:
/// no hooks, templates or file system monitor, no work in the background, no questions. The login is in neither a
/// file nor an argument: a helper of one line takes it from the environment, so that it is sent only to the host that
/// it is for, and to submodules on that host.
#[derive(Debug)]
pub(crate) struct Git<'a> {
    engine: &'a Engine,
    environment: Vec<(String, String)>,
}

/// Git ended with another code than 0.
#[derive(Debug)]
pub(crate) struct GitFailure {
    what: String,
    exit: Exit,
}

impl From<GitFailure> for Obstacle {
    fn from(failure: GitFailure) -> Self {
        let GitFailure { what, exit } = failure;
        let message = format!("git {what} ended with exit code {}", exit.code());
        Self::failed(FailureReason::RunnerSystemFailure, message)
    }
}

impl<'a> Git<'a> {
    /// Git with the login of `remote`. With `same_host_by_https`, ssh addresses of its host are replaced.
    pub(crate) async fn prepare(
        engine: &'a Engine,
        environment: &Environment,
        remote: &Remote,
        same_host_by_https: bool,
    ) -> Result<Self> {
        let file = engine.places.temporary.join(OWN_FOLDER).join("gitconfig");
        let mut pairs = environment.pairs();
        let mut config =
            configuration(&engine.places.project, remote, &user_configurations(&pairs), same_host_by_https);
        trust(&mut config, environment, remote);
        let text = config.into_text();
        let path = file.clone();
        files::blocking("write git's configuration", move || files::write_private(&path, text.as_bytes()))
            .await?;
        pairs.retain(|(key, _)| !NOT_FOR_GIT.contains(&key.as_str()) && key != "GIT_CONFIG_GLOBAL");
        for (key, value) in [
            ("GCM_INTERACTIVE", "Never"),
            ("GIT_CONFIG_GLOBAL", &file.to_string_lossy()),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
        ] {
            pairs.retain(|(known, _)| known != key);
            pairs.push((key.to_owned(), value.to_owned()));
        }
        if let Some(login) = &remote.login {
            pairs.push((USERNAME.to_owned(), login.username.clone()));
            pairs.push((PASSWORD.to_owned(), login.password.expose().to_owned()));
        }
        Ok(Self { engine, environment: pairs })
    }

    /// Runs git in the work tree, and takes another exit code than 0 for a failure.
    pub(crate) async fn run(
        &self,
        course: &mut Course,
        limit: &mut Limit,
        arguments: &[&str],
    ) -> Phased<Result<(), GitFailure>> {
        match self.exit(course, limit, Output::Log(&self.engine.log), arguments).await? {
            Exit::Code(0) => Ok(Ok(())),
            exit => {
                let mut words =
                    arguments.iter().skip_while(|word| word.starts_with('-') || word.contains('='));
                Ok(Err(GitFailure { what: words.next().copied().unwrap_or_default().to_owned(), exit }))
            }
        }
    }

    /// Runs git in the work tree.
    pub(crate) async fn exit(
        &self,
        course: &mut Course,
        limit: &mut Limit,
        output: Output<'_>,
        arguments: &[&str],
    ) -> Phased<Exit> {
        let (exit, usage) = self.outside_of_phases(limit, output, arguments).await?;
        course.used(usage);
        Ok(exit)
    }

    /// Runs git in the work tree, and leaves it to the caller to count what it used.
    pub(crate) async fn outside_of_phases(
        &self,
        limit: &mut Limit,
        output: Output<'_>,
        arguments: &[&str],
    ) -> Phased<(Exit, Usage)> {
        // On the command line these two win over everything that an earlier job wrote into a submodule's own file.
        let ours = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"];
        let command = Command {
            program: "git".into(),
            arguments: ours.iter().chain(arguments).map(|&argument| argument.to_owned()).collect(),
            environment: self.environment.clone(),
            directory: self.engine.places.project.clone(),
        };
        let host = &*self.engine.sources;
        let ran = match run(host, command, output, limit, self.engine.settings.grace).await {
            Ok(ran) => ran,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let message = "git is not installed, or not on PATH: without it no sources can be fetched";
                return Err(Obstacle::failed(FailureReason::RunnerSystemFailure, message));
            }
            Err(error) => return Err(error.into()),
        };
        match ran.end {
            End::Exited(exit) => Ok((exit, ran.usage)),
            End::Halted(halt) => Err(halt.into()),
            End::Lost => Err(Obstacle::lost()),
        }
    }
}

/// The user's own configuration files, which ours includes because it stands in their place.
fn user_configurations(environment: &[(String, String)]) -> Vec<PathBuf> {
    let value = |key: &str| {
        let found = environment.iter().find(|(known, _)| known == key).map(|(_, value)| PathBuf::from(value));
        found.filter(|path| path.is_absolute())
    };
    if let Some(chosen) = value("GIT_CONFIG_GLOBAL") {
        return vec![chosen];
    }
    let home = value("HOME");
    let xdg = value("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    let mut files = Vec::new();
    files.extend(xdg.map(|folder| folder.join("git/config")));
    files.extend(home.map(|home| home.join(".gitconfig")));
    // Git reads over a file of the user's that it may not read, but fails at one that another includes.
    // A pipe would make whoever opens it wait.
    files.retain(|path| path.is_file() && std::fs::File::open(path).is_ok());
    files
}

fn configuration(
    project: &Path,
    remote: &Remote,
    included: &[PathBuf],
    same_host_by_https: bool,
) -> GitConfig {
    let mut config = GitConfig::default();
    for file in included {
        config.section("include").set("path", &file.to_string_lossy());
    }
    config.section("safe").set("directory", &project.to_string_lossy());
    config.set("directory", &project.join("*").to_string_lossy());
    config.section("advice").set("detachedHead", "false");
    config.section("core").set("askPass", "");
    config.section("credential").set("interactive", "false");
    config.section("fetch").set("recurseSubmodules", "false").set("writeCommitGraph", "false");
    config.section("gc").set("auto", "0").set("autoDetach", "false");
    config.section("init").set("templateDir", "");
    config.section("maintenance").set("auto", "false");
    config.section("submodule").set("recurse", "false");
    let Some(origin) = remote.http_origin() else { return config };
    if remote.login.is_some() {
        let helper = format!(
            "!f() {{ if [ \"$1\" = get ]; then \
             printf 'username=%s\\npassword=%s\\n' \"${USERNAME}\" \"${PASSWORD}\"; fi; }}; f"
        );
        config.section_of("credential", origin).set("helper", "").set("helper", &helper);
        config.section_of("http", origin).set("proactiveAuth", "basic");
    }
    if let Some(host) = remote.host().filter(|_| same_host_by_https) {
        config.section_of("url", &format!("{origin}/"));
        config.set("insteadOf", &format!("git@{host}:"));
        config.set("insteadOf", &format!("ssh://git@{host}/"));
    }
    config
}

/// Makes git trust the server as the job's files for TLS say, which GitLab sends as file variables.
fn trust(config: &mut GitConfig, environment: &Environment, remote: &Remote) {
    let files = [
        ("sslCAInfo", "CI_SERVER_TLS_CA_FILE"),
        ("sslCert", "CI_SERVER_TLS_CERT_FILE"),
        ("sslKey", "CI_SERVER_TLS_KEY_FILE"),
    ];
    let Some(origin) = remote.http_origin() else { return };
    for (key, variable) in files {
        let path = environment.value(variable);
        if !path.is_empty() {
            config.section_of("http", origin).set(key, path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_holds_no_secret() {
        let remote = Remote::parse("https://ci:hunter2@git.example:8443/a.git");
        let text =
            configuration(Path::new("/b/p"), &remote, &["/home/u/.gitconfig".into()], true).into_text();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("[credential \"https://git.example:8443\"]"), "{text}");
        assert!(text.contains("insteadOf = \"git@git.example:\""), "{text}");
    }

    #[test]
    fn a_login_is_kept_for_http_alone() {
        let text = configuration(Path::new("/b/p"), &Remote::parse("file://u:hunter2@/tmp/a"), &[], true)
            .into_text();
        assert!(!text.contains("[credential \""), "{text}");
    }
}
