//! What is measured, and how.

use anyhow::{Context as _, Result, bail};

/// What there is to say on the command line.
pub const HELP: &str = "\
Measures caches: ours beside tar | zstd with one PUT and one GET.

  --quick            small trees, one round, for CI
  --output json      JSON in place of a table
  --endpoint URL     a real store, http://host:port/bucket; without it, one is started in this process.
                     Its keys are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
  --peer CMD         an archiver to compare with, run by sh as: CMD save TREE ARCHIVE, CMD restore ARCHIVE FOLDER
  --rounds N         medians of so many rounds; default 3
  --only NAME        one of: many, large, noise, capped
";

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A real store.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: String,
    pub(crate) is_insecure: bool,
    pub(crate) bucket: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// What is measured, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// How it is printed.
    pub output: Output,
    pub(crate) is_quick: bool,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) peer: Option<String>,
    pub(crate) only: Option<String>,
    rounds: Option<usize>,
}

impl Options {
    /// Reads the command line. `None`: only help is wanted.
    ///
    /// # Errors
    /// Where it says something that is not known.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let output = Output::Table;
        let mut options =
            Self { output, is_quick: false, endpoint: None, peer: None, only: None, rounds: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                // What cargo bench adds.
                "--bench" => {}
                "--quick" => options.is_quick = true,
                "--output" => match value()?.as_str() {
                    "json" => options.output = Output::Json,
                    "table" => options.output = Output::Table,
                    other => bail!("--output {other} is not known"),
                },
                "--endpoint" => options.endpoint = Some(Endpoint::parse(&value()?)?),
                "--peer" => options.peer = Some(value()?),
                "--only" => options.only = Some(value()?),
                "--rounds" => options.rounds = Some(value()?.parse()?),
                _ => bail!("{argument} is not known"),
            }
        }
        Ok(Some(options))
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.is_quick { 1 } else { 3 }).max(1)
    }

    /// How large trees are, as a part of their full size.
    pub(crate) fn scale(&self) -> f64 {
        if self.is_quick { 0.05 } else { 1.0 }
    }
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").context("--endpoint needs http:// or https://")?;
        let (address, bucket) =
            rest.split_once('/').context("--endpoint needs a bucket: http://host:port/bucket")?;
        Ok(Self {
            address: address.to_owned(),
            is_insecure: scheme == "http",
            bucket: bucket.trim_matches('/').to_owned(),
            access_key: variable("AWS_ACCESS_KEY_ID")?,
            secret_key: variable("AWS_SECRET_ACCESS_KEY")?,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "it is a program that wires itself")]
fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is needed for --endpoint"))
}
