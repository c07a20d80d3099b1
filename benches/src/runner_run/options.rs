//! What the benchmark is told on its command line.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{pod_startup, project};

/// What `--help` prints.
pub const HELP: &str = "\
Measures the manager `runner run` with jobs of a GitLab server, on the cluster of KUBECONFIG, beside bare pods.

cargo bench -p benches --bench manager -- [OPTIONS]

  --jobs N              jobs one at a time (10)
  --burst N             jobs at once (20)
  --many N              jobs at once in simulated pods, for the memory of the manager; 0 for none (1000)
  --runner PATH         the binary to measure (it is built)
  --image IMAGE         image of jobs and bare pods, with a shell and sleep (docker.io/library/busybox:1.36)
  --helper-image IMAGE  our helper (the default of the executor)
  --namespace NAME      the namespace that is made and removed (bench-<process>)
  --output json         JSON in place of a table
  --quick               fewer of everything
  --help                this

Pods must reach this machine at the address at which it reaches the nodes, or at that of the variable E2E_HOST.
The simulated pods are those of a node that exists only in the API server, which must reach this machine as well.
The requests to Kubernetes are counted in the API server's audit log where it can be read: in the file that the
variable RUNNER_AUDIT_LOG names, or that of dev/cluster.
";

/// What is measured, and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// What it has in common with the other benchmark of pods.
    pub pods: pod_startup::Options,
    /// Jobs at once in simulated pods.
    pub many: usize,
    runner: Option<PathBuf>,
}

impl Options {
    /// Reads a command line. `None` where only help is asked for.
    ///
    /// # Errors
    /// Where it asks for what there is not.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let (mut many, mut runner, mut others) = (None, None, Vec::new());
        let mut arguments = arguments;
        let mut is_quick = false;
        while let Some(argument) = arguments.next() {
            is_quick |= argument == "--quick";
            let (name, given) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let mut value =
                || given.clone().or_else(|| arguments.next()).context(format!("{name} needs a value"));
            match name {
                "--many" => many = Some(value()?.parse().context("--many needs a number of jobs")?),
                "--runner" => runner = Some(PathBuf::from(value()?)),
                _ => others.push(argument),
            }
        }
        let many = many.unwrap_or(if is_quick { 100 } else { 1000 });
        let pods = pod_startup::Options::parse(others.into_iter())?;
        Ok(pods.map(|pods| Self { pods, many, runner }))
    }

    /// The binary that is measured.
    ///
    /// # Errors
    /// Where it cannot be built.
    pub fn runner(&self) -> Result<PathBuf> {
        self.runner.clone().map_or_else(project::runner, Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Options>> {
        Options::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn its_own_options_may_stand_among_the_others() {
        let options = parse("--jobs=5 --many 7 --bench --output json --runner=/r").unwrap().unwrap();
        assert_eq!((options.pods.jobs, options.many), (5, 7));
        assert_eq!(options.runner().unwrap(), PathBuf::from("/r"));
        assert_eq!(parse("--quick").unwrap().unwrap().many, 100);
    }

    #[test]
    fn what_there_is_not_is_refused() {
        for text in ["--many", "--many some", "--jobs 0", "--nodes 3"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
