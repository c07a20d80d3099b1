//! The `config.toml` of a runner: what of it decides about the pods of a run. What else is in it is for a manager.

use std::{collections::BTreeMap, path::Path};

use anyhow::anyhow;
use runner_k8s::config::KubernetesConfig;
use runner_pipeline::{Diagnostic, Diagnostics, diagnostic::nearest};
use serde::Deserialize;

use crate::fault::{Fault, WrongFile};

/// How many bytes of a log are kept where the config does not say.
const LOG_SIZE: u64 = 4 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
    runners: Vec<RunnerEntry>,
}

/// A `[[runners]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RunnerEntry {
    pub(super) name: String,
    pub(super) executor: String,
    pub(super) builds_dir: Option<String>,
    pub(super) environment: Vec<String>,
    /// In KiB.
    pub(super) output_limit: Option<u64>,
    pub(super) pre_clone_script: Option<String>,
    pub(super) pre_get_sources_script: Option<String>,
    pub(super) post_get_sources_script: Option<String>,
    pub(super) pre_build_script: Option<String>,
    pub(super) post_build_script: Option<String>,
    pub(super) feature_flags: BTreeMap<String, bool>,
    pub(super) kubernetes: Option<KubernetesConfig>,
}

impl RunnerEntry {
    /// The script before the sources; it had another name once.
    pub(super) fn pre_get_sources(&self) -> Option<&String> {
        self.pre_get_sources_script.as_ref().or(self.pre_clone_script.as_ref())
    }

    /// How many bytes of a log are kept.
    pub(super) fn log_size(&self) -> u64 {
        match self.output_limit {
            Some(limit) if limit > 0 => limit.saturating_mul(1024),
            _ => LOG_SIZE,
        }
    }
}

/// The runner of that name in the file, or the first one that is for Kubernetes.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<RunnerEntry, Fault> {
    let text = fs_err::read_to_string(path).map_err(Fault::wrong_use)?;
    let shown = path.display().to_string();
    let file: ConfigFile = match toml::from_str(&text) {
        Ok(file) => file,
        Err(error) => {
            let span = error.span().unwrap_or_default();
            let diagnostics = Diagnostics(vec![diagnostic(&shown, &text, span, error.message())]);
            return Err(Fault::wrong_use(WrongFile { diagnostics, text }));
        }
    };
    choose(file.runners, name, &shown)
}

fn choose(runners: Vec<RunnerEntry>, name: Option<&str>, file: &str) -> Result<RunnerEntry, Fault> {
    let names: Vec<_> = runners.iter().map(|runner| format!("{:?}", runner.name)).collect();
    let is_wanted = |runner: &RunnerEntry| match name {
        Some(name) => runner.name == name,
        None => runner.executor == "kubernetes",
    };
    match (runners.into_iter().find(is_wanted), name) {
        (Some(runner), _) if runner.executor == "kubernetes" => Ok(runner),
        (Some(runner), _) => {
            let text =
                format!("the runner {:?} of {file} has the executor {:?}", runner.name, runner.executor);
            Err(Fault::wrong_use(anyhow!(text)).help("name one with `executor = \"kubernetes\"`"))
        }
        (None, Some(name)) => {
            let text = format!("{file} has no runner {name:?}");
            Err(Fault::wrong_use(anyhow!(text)).help(format!("it has {}", names.join(", "))))
        }
        (None, None) => {
            let text = format!("{file} has no [[runners]] with `executor = \"kubernetes\"`");
            Err(Fault::wrong_use(anyhow!(text)))
        }
    }
}

/// A mistake at its place, with what may have been meant.
fn diagnostic(file: &str, text: &str, span: std::ops::Range<usize>, message: &str) -> Diagnostic {
    let before = text.get(..span.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (message, help) = match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") => {
            let help =
                nearest(unknown, known.iter().copied()).map(|known| format!("did you mean `{known}`?"));
            (format!("unknown key `{unknown}`"), help)
        }
        _ => (message.trim().replace('\n', ", "), None),
    };
    Diagnostic {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        length: text.get(span).unwrap_or_default().lines().next().unwrap_or_default().chars().count().max(1),
        message,
        help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
concurrent = 4
[[runners]]
  name = "shell"
  executor = "shell"
[[runners]]
  name = "pods"
  token = "glrt-x"
  executor = "kubernetes"
  output_limit = 100
  [runners.cache]
    Type = "s3"
  [runners.kubernetes]
    image = "alpine:3.20"
"#;

    fn of(text: &str, name: Option<&str>) -> Result<RunnerEntry, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs_err::write(&path, text).unwrap();
        let read = read(&path, name).map_err(|fault| fault.text(false));
        read.map_err(|text| text.replace(&*folder.path().to_string_lossy(), ""))
    }

    #[test]
    fn the_first_runner_for_kubernetes_is_taken_and_the_rest_is_ignored() {
        let entry = of(TWO, None).unwrap();
        assert_eq!((entry.name.as_str(), entry.log_size()), ("pods", 102_400));
        assert_eq!(entry.kubernetes.unwrap().image, "alpine:3.20");
        assert_eq!(of(TWO, Some("pods")).unwrap().name, "pods");
    }

    #[test]
    fn a_runner_that_is_not_there_or_is_for_something_else_is_told() {
        insta::assert_snapshot!(of(TWO, Some("pod")).unwrap_err(), @r#"
        error: /config.toml has no runner "pod"
          help: it has "shell", "pods"
        "#);
        insta::assert_snapshot!(of(TWO, Some("shell")).unwrap_err(), @r#"
        error: the runner "shell" of /config.toml has the executor "shell"
          help: name one with `executor = "kubernetes"`
        "#);
        insta::assert_snapshot!(of("concurrent = 1", None).unwrap_err(), @r#"error: /config.toml has no [[runners]] with `executor = "kubernetes"`"#);
    }

    #[test]
    fn a_mistake_is_shown_at_its_place() {
        let wrong = TWO.replace("image =", "imgae =");
        insta::assert_snapshot!(of(&wrong, None).unwrap_err(), @r#"
        error: unknown key `imgae`
          --> /config.toml:14:5
           |
        14 |     imgae = "alpine:3.20"
           |     ^^^^^
           |
           = help: did you mean `image`?

        error: /config.toml has a mistake; nothing ran
        "#);
        let unfinished = of("[[runners]]\nname = \"a", None).unwrap_err();
        assert!(unfinished.contains("/config.toml:2:"), "{unfinished}");
    }
}
