//! Explanations of failures that many people meet and few see through, found in the last lines of a log.
//!
//! To add one: a row in [`SIGNS`], and a test with the lines that a real tool prints.

/// What is known of the job that failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// The end of its log, without colours.
    pub(crate) log: &'a str,
    /// Its exit code, where its script ended with one.
    pub(crate) exit_code: Option<i32>,
    /// Its image.
    pub(crate) image: Option<&'a str>,
}

/// How many of the last lines of a log are looked at.
const LAST_LINES: usize = 30;

/// Tells what a line gives away about a job.
type Sign = fn(&Scene<'_>, &str) -> Option<String>;

const SIGNS: &[Sign] =
    &[system_pip, program_of_the_image, no_docker, no_space, service_host, submodule_of_a_path];

/// The explanation for a job that failed, where there is one.
pub(crate) fn hint(scene: &Scene<'_>) -> Option<String> {
    let mut last: Vec<&str> = scene.log.lines().rev().take(LAST_LINES).collect();
    last.reverse();
    SIGNS.iter().find_map(|sign| last.iter().find_map(|line| sign(scene, line)))
}

fn system_pip(_: &Scene<'_>, line: &str) -> Option<String> {
    line.contains("externally-managed-environment").then(|| {
        "the Python of this machine belongs to its package manager and takes no packages from pip. Put a virtual \
         environment first on PATH, then run again: python3 -m venv ~/.venvs/ci && PATH=~/.venvs/ci/bin:$PATH runner exec"
            .to_owned()
    })
}

/// `sh: 1: /kaniko/executor: not found`, `bash: line 3: helm: command not found`, `env: 'x': No such file or directory`.
fn program_of_the_image(scene: &Scene<'_>, line: &str) -> Option<String> {
    if !matches!(scene.exit_code, Some(126 | 127)) {
        return None;
    }
    let (before, _) = [": command not found", ": not found", ": No such file or directory"]
        .iter()
        .find_map(|end| line.trim_end().rsplit_once(end))?;
    let program = before.rsplit(": ").next()?.trim().trim_matches(['\'', '"', '‘', '’']);
    if program.is_empty() || program.contains(' ') {
        return None;
    }
    Some(match scene.image {
        Some(image) => format!(
            "{program} is not on this machine; it comes with the image {image}, and the local executor runs jobs on this \
             machine, without their images. Install it, or leave this job to a runner with images"
        ),
        None => format!("{program} is not on this machine, or not on PATH"),
    })
}

fn no_docker(_: &Scene<'_>, line: &str) -> Option<String> {
    line.contains("Cannot connect to the Docker daemon").then(|| {
        "no Docker daemon answers: the local executor starts no services, such as docker:dind, so a daemon of this \
         machine must run"
            .to_owned()
    })
}

fn no_space(_: &Scene<'_>, line: &str) -> Option<String> {
    line.contains("No space left on device")
        .then(|| "a disk is full. Jobs run in the cache directory of your user: free space there, or set XDG_CACHE_HOME".to_owned())
}

fn service_host(scene: &Scene<'_>, line: &str) -> Option<String> {
    let signs = [
        "Name or service not known",
        "Could not resolve host",
        "Temporary failure in name resolution",
        "no such host",
    ];
    (scene.image.is_some() && signs.iter().any(|sign| line.contains(sign))).then(|| {
        "a host name is not known here. If it is that of a service: the local executor starts none".to_owned()
    })
}

fn submodule_of_a_path(_: &Scene<'_>, line: &str) -> Option<String> {
    line.contains("transport 'file' not allowed").then(|| {
        "git takes submodules from a path of this machine only where you allow it: \
         git config --global protocol.file.allow always"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(log: &str, exit_code: i32, image: Option<&str>) -> String {
        hint(&Scene { log, exit_code: Some(exit_code), image }).unwrap_or_default()
    }

    #[test]
    fn a_system_pip_is_explained() {
        let log = "error: externally-managed-environment\n\n× This environment is externally managed\n╰─> To install …\n";
        insta::assert_snapshot!(with(log, 1, Some("python:3.12")), @"the Python of this machine belongs to its package manager and takes no packages from pip. Put a virtual environment first on PATH, then run again: python3 -m venv ~/.venvs/ci && PATH=~/.venvs/ci/bin:$PATH runner exec");
    }

    #[test]
    fn a_program_that_the_image_would_bring_is_named() {
        let image = Some("gcr.io/kaniko-project/executor:debug");
        let hint = with(
            "$ /kaniko/executor --context .\nbash: line 12: /kaniko/executor: No such file or directory\n",
            127,
            image,
        );
        insta::assert_snapshot!(hint, @"/kaniko/executor is not on this machine; it comes with the image gcr.io/kaniko-project/executor:debug, and the local executor runs jobs on this machine, without their images. Install it, or leave this job to a runner with images");
        assert_eq!(
            with("sh: 3: helm: not found\n", 127, None),
            "helm is not on this machine, or not on PATH"
        );
        assert_eq!(
            with("bash: helm: command not found\n", 127, None),
            "helm is not on this machine, or not on PATH"
        );
    }

    #[test]
    fn a_missing_file_of_a_program_that_ran_is_no_missing_program() {
        assert_eq!(with("cat: notes.txt: No such file or directory\n", 1, None), "");
    }

    #[test]
    fn a_host_that_is_not_known_may_be_a_service() {
        let lines = [
            "psql: error: could not translate host name \"postgres\" to address: Name or service not known",
            "error during connect: Get \"http://docker:2375/info\": dial tcp: lookup docker on 10.0.0.1:53: no such host",
        ];
        for line in lines {
            assert!(with(line, 1, Some("x")).contains("the local executor starts none"), "{line}");
            assert_eq!(with(line, 1, None), "");
        }
    }

    #[test]
    fn a_submodule_of_a_path_is_explained() {
        let log = "fatal: transport 'file' not allowed\nfatal: clone of '/srv/lib' into submodule path '/b/lib' failed\n";
        let hint = hint(&Scene { log, exit_code: None, image: None }).unwrap_or_default();
        insta::assert_snapshot!(hint, @"git takes submodules from a path of this machine only where you allow it: git config --global protocol.file.allow always");
    }

    #[test]
    fn only_the_last_lines_count() {
        let log = format!("error: externally-managed-environment\n{}", "line\n".repeat(LAST_LINES));
        assert_eq!(with(&log, 1, None), "");
    }
}
