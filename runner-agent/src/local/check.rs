//! What this machine lacks to run jobs.

use runner_core::{Error, Finding, Severity};

use super::LocalConfig;
use crate::{host::Host, supervise::SupervisedHost, workspace::Workspace};

/// Where programs are looked for if the configuration does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The shells that a script can run in.
const SHELLS: [&str; 2] = ["bash", "sh"];

/// Tries what a job will need.
pub(super) async fn check(config: &LocalConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(check_builds(config).await);
    match SupervisedHost::start(&config.supervisor) {
        Ok(host) => {
            findings.extend(check_programs(config, &host).await);
            host.close().await;
        }
        Err(error) => findings.push(no_supervisor(&error)),
    }
    findings
}

async fn check_builds(config: &LocalConfig) -> Option<Finding> {
    let tried = async {
        let workspace = Workspace::create(&config.builds, "check").await?;
        workspace.places("project").await?;
        workspace.remove().await
    };
    let error = tried.await.err()?;
    Some(Finding {
        severity: Severity::Fatal,
        message: format!(
            "No job can have a directory in {}: failed to {}.",
            config.builds.display(),
            error.chain()
        ),
        mend: "Let this user write there, or set another directory for builds.".into(),
    })
}

async fn check_programs(config: &LocalConfig, host: &SupervisedHost) -> Vec<Finding> {
    let path = config.environment.iter().rev().find(|(key, _)| key == "PATH");
    let path = path.map_or(DEFAULT_PATH, |(_, value)| value.as_str());
    let found = async { Ok((host.find(&SHELLS, path).await?, host.find(&["git"], path).await?)) };
    let (shell, git) = match found.await {
        Ok(found) => found,
        Err(error) => return vec![no_supervisor(&error)],
    };
    let shell = shell.is_none().then(|| Finding {
        severity: Severity::Fatal,
        message: format!("There is neither bash nor sh on the PATH of jobs, {path}."),
        mend: "Install a shell, or set the PATH that jobs get.".into(),
    });
    let git = git.is_none().then(|| Finding {
        severity: Severity::Warning,
        message: format!("There is no git on the PATH of jobs, {path}: only jobs without sources can run."),
        mend: "Install git, or set the PATH that jobs get.".into(),
    });
    shell.into_iter().chain(git).collect()
}

fn no_supervisor(error: &Error) -> Finding {
    Finding {
        severity: Severity::Fatal,
        message: format!("The processes of jobs cannot be supervised: failed to {}.", error.chain()),
        mend:
            "Call runner_agent::supervise::run_if_asked() first in `main`, or name the binary runner-agent."
                .into(),
    }
}
