//! What the benchmark is told on its command line.

use anyhow::{Context, Result, bail};

/// What `--help` prints.
pub const HELP: &str = "\
Measures how fast the pods of jobs start on the cluster of KUBECONFIG, beside bare pods.

cargo bench -p benches --bench pod_startup -- [OPTIONS]

  --jobs N              jobs one at a time (10)
  --burst N             jobs at once (20)
  --image IMAGE         image of jobs and bare pods, with a shell and sleep (docker.io/library/busybox:1.36)
  --helper-image IMAGE  our helper (the default of the executor)
  --namespace NAME      the namespace that is made and removed (bench-<process>)
  --output json         JSON in place of a table
  --quick               fewer of everything
  --help                this

The requests to Kubernetes are counted in the API server's audit log where it can be read: in the file that the
variable RUNNER_AUDIT_LOG names, or that of dev/cluster. Elsewhere our own client counts what it sends.
";

/// The image of most jobs, which pods are made of too.
const IMAGE: &str = "docker.io/library/busybox:1.36";

/// In which form the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What is measured, and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Jobs that run one at a time.
    pub jobs: usize,
    /// Jobs that run at once.
    pub burst: usize,
    /// How often there is a burst.
    pub bursts: usize,
    /// How long, in seconds, the job runs during which there should be no request.
    pub quiet: u64,
    /// The image of jobs and bare pods.
    pub image: String,
    /// The image of the helper, where not the default.
    pub helper_image: Option<String>,
    /// The form of the result.
    pub output: Output,
    namespace: Option<String>,
}

impl Options {
    /// Reads a command line. `None` where only help is asked for.
    ///
    /// # Errors
    /// Where it asks for what there is not.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let arguments: Vec<_> = arguments.collect();
        let mut options = Self {
            jobs: 10,
            burst: 20,
            bursts: 3,
            quiet: 20,
            image: IMAGE.into(),
            helper_image: None,
            output: Output::Table,
            namespace: None,
        };
        if arguments.iter().any(|argument| argument == "--quick") {
            options = Self { jobs: 3, burst: 6, bursts: 1, quiet: 5, ..options };
        }
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, given) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                // cargo says --bench to each benchmark.
                "--quick" | "--bench" => continue,
                _ => {}
            }
            let mut value =
                || given.clone().or_else(|| arguments.next()).context(format!("{name} needs a value"));
            match name.as_str() {
                "--jobs" => options.jobs = count(&value()?)?,
                "--burst" => options.burst = count(&value()?)?,
                "--image" => options.image = value()?,
                "--helper-image" => options.helper_image = Some(value()?),
                "--namespace" => options.namespace = Some(value()?),
                "--output" => options.output = output(&value()?)?,
                _ => bail!("there is no {name}"),
            }
        }
        Ok(Some(options))
    }

    /// The namespace to make.
    pub fn namespace(&self) -> String {
        self.namespace.clone().unwrap_or_else(|| format!("bench-{}", std::process::id()))
    }
}

fn count(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(0) | Err(_) => bail!("{text:?} is no number of jobs"),
        Ok(count) => Ok(count),
    }
}

fn output(text: &str) -> Result<Output> {
    match text {
        "json" => Ok(Output::Json),
        "table" => Ok(Output::Table),
        _ => bail!("there is no output {text:?}, only table and json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Options>> {
        Options::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_said_wins_over_what_quick_means() {
        let options = parse("--jobs=5 --quick --bench --output json").unwrap().unwrap();
        assert_eq!((options.jobs, options.burst, options.output), (5, 6, Output::Json));
        assert!(parse("--help").unwrap().is_none());
    }

    #[test]
    fn what_there_is_not_is_refused() {
        for text in ["--job 3", "--jobs", "--jobs 0", "--output yaml"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
