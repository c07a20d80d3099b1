//! The `config.toml` of a runner: what of it decides about the pods of a run. What else is in it is for a manager.

use std::path::Path;

use anyhow::anyhow;
use runner_config::{Config, ExecutorConfig, RunnerConfig, Surroundings};

use crate::{
    fault::{Fault, WrongFile},
    wire,
};

/// The runner of that name in the file, or the first one that is for Kubernetes.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<RunnerConfig, Fault> {
    let text = fs_err::read_to_string(path).map_err(Fault::wrong_use)?;
    let shown = path.display().to_string();
    let parsed = runner_config::parse(&shown, &text);
    let config = parsed.resolve_offline(&Surroundings::new(wire::variables()));
    let config = config.map_err(|mistakes| Fault::wrong_use(WrongFile::from(mistakes)))?;
    choose(config, name, &shown)
}

fn choose(config: Config, name: Option<&str>, file: &str) -> Result<RunnerConfig, Fault> {
    let names: Vec<_> = config.runners.iter().map(|runner| format!("{:?}", runner.name)).collect();
    let is_wanted = |runner: &RunnerConfig| match name {
        Some(name) => runner.name == name,
        None => is_for_kubernetes(runner),
    };
    match (config.runners.into_iter().find(is_wanted), name) {
        (Some(runner), _) if is_for_kubernetes(&runner) => Ok(runner),
        (Some(runner), _) => {
            let text = format!("the runner {:?} of {file} does not run jobs on Kubernetes", runner.name);
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

fn is_for_kubernetes(runner: &RunnerConfig) -> bool {
    matches!(runner.executor, ExecutorConfig::Kubernetes(_))
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

    fn of(text: &str, name: Option<&str>) -> Result<RunnerConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs_err::write(&path, text).unwrap();
        let read = read(&path, name).map_err(|fault| fault.text(false));
        read.map_err(|text| text.replace(&*folder.path().to_string_lossy(), ""))
    }

    #[test]
    fn the_first_runner_for_kubernetes_is_taken_and_the_rest_is_ignored() {
        let entry = of(TWO, None).unwrap();
        assert_eq!((entry.name.as_str(), entry.output_limit), ("pods", 102_400));
        let ExecutorConfig::Kubernetes(kubernetes) = entry.executor else { panic!("it is for pods") };
        assert_eq!(kubernetes.image, "alpine:3.20");
        assert_eq!(of(TWO, Some("pods")).unwrap().name, "pods");
    }

    #[test]
    fn a_runner_that_is_not_there_or_is_for_something_else_is_told() {
        insta::assert_snapshot!(of(TWO, Some("pod")).unwrap_err(), @r#"
        error: /config.toml has no runner "pod"
          help: it has "shell", "pods"
        "#);
        insta::assert_snapshot!(of(TWO, Some("shell")).unwrap_err(), @r#"
        error: the runner "shell" of /config.toml does not run jobs on Kubernetes
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
        14 |     imgae = "***********"
           |     ^^^^^
           |
           = help: did you mean `image`?

        error: /config.toml has a mistake; nothing ran
        "#);
        let unfinished = of("[[runners]]\nname = \"a", None).unwrap_err();
        assert!(unfinished.contains("/config.toml:2:"), "{unfinished}");
    }
}
