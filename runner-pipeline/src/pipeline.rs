//! What a pipeline's file comes to: the jobs, their order, and what each of them runs.

use std::{fmt, sync::Arc};

use runner_core::job::{JobSpec, Variables};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Mistakes},
    expand, yaml,
};

/// A pipeline for one event: everything of the file is merged, checked and decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pipeline {
    /// `workflow:name`, as jobs see it in `CI_PIPELINE_NAME`.
    pub name: Option<String>,
    /// The stages in order, from `.pre` to `.post`, those without a job included.
    pub stages: Vec<String>,
    /// The jobs as in the file, those that are not part of this pipeline included (see [`PipelineJob::not_run`]).
    /// Instances of a parallel job follow each other.
    pub jobs: Vec<PipelineJob>,
    /// Remarks on what is right, but may not be what was meant.
    pub notes: Vec<Diagnostic>,
}

impl Pipeline {
    /// The jobs that are part of this pipeline.
    pub fn included(&self) -> impl Iterator<Item = &PipelineJob> {
        self.jobs.iter().filter(|job| job.not_run.is_none())
    }
}

/// One job, or one instance of a parallel job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PipelineJob {
    /// The name, unique in the pipeline: `test`, `test 1/3` or `test: [a, b]`.
    pub name: String,
    /// The name in the file: that of all instances of a parallel job.
    pub group: String,
    /// The line of the job's name in the file, counted from 1.
    pub line: usize,
    /// The stage; one of [`Pipeline::stages`].
    pub stage: String,
    /// The jobs it waits for, each of them part of this pipeline and under the name of an instance. `None`: it waits
    /// for all jobs of earlier stages.
    pub needs: Option<Vec<Need>>,
    /// The jobs whose artifacts it gets, under the names of instances, where the file names them. `None`: those of
    /// `needs` with `artifacts`, or without `needs` all of earlier stages.
    pub dependencies: Option<Vec<String>>,
    /// When it runs, as its `rules` or its `when` decided.
    pub when: JobWhen,
    /// Whether the pipeline goes on when it fails.
    pub allow_failure: AllowFailure,
    /// The tags that a runner must have.
    pub tags: Vec<String>,
    /// When it is started again.
    pub retry: Retry,
    /// Whether it may be canceled when a newer pipeline makes it redundant.
    pub interruptible: bool,
    /// Jobs with the same group run one at a time; before variable expansion.
    pub resource_group: Option<String>,
    /// The regular expression that finds the coverage in the log, without slashes.
    pub coverage: Option<String>,
    /// What it runs. Variables are those of the file alone, predefined ones and those of the caller are not among
    /// them; `id`, `git`, `project`, `dependencies` and `credentials` are left to the source.
    pub spec: JobSpec,
    /// Why it is not part of this pipeline, for a person; `None`: it is part of it.
    pub not_run: Option<String>,
}

/// A job that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Need {
    /// Its name in the pipeline.
    pub job: String,
    /// Whether its artifacts are fetched.
    pub artifacts: bool,
    /// Whether the pipeline may be without it.
    pub optional: bool,
}

/// When a job runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum JobWhen {
    /// Where no earlier job failed.
    #[default]
    OnSuccess,
    /// Where an earlier job failed.
    OnFailure,
    /// However earlier jobs ended.
    Always,
    /// When a person starts it.
    Manual,
    /// It does not run.
    Never,
}

impl fmt::Display for JobWhen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::OnSuccess => "on_success",
            Self::OnFailure => "on_failure",
            Self::Always => "always",
            Self::Manual => "manual",
            Self::Never => "never",
        })
    }
}

/// Whether the pipeline goes on when a job fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum AllowFailure {
    /// It does not.
    #[default]
    No,
    /// It does.
    Yes,
    /// It does where the script ended with one of these codes.
    ExitCodes(Vec<i32>),
}

/// When a job that failed is started again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Retry {
    /// How many times at most, 0 to 2.
    pub max: u32,
    /// The failures for which it is, as the file names them: `always`, `script_failure`, … Empty: all.
    pub when: Vec<String>,
    /// The exit codes for which it is. Empty: all.
    pub exit_codes: Vec<i32>,
}

/// What a file is read for: the event, and what is known before it is read.
#[derive(Clone, Default)]
pub struct Context {
    /// The predefined variables, `CI_PIPELINE_SOURCE` and the like: anything in the file counts more.
    pub predefined: Variables,
    /// The variables that count more than those of the file: of the command line, of a variables file.
    pub overrides: Variables,
    /// What `cache:key:files` asks; without it that is refused.
    pub tree: Option<Arc<dyn TreeDigest>>,
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        formatter.debug_struct("Context").finish_non_exhaustive()
    }
}

/// Answers what the content of files of the repository is, for `cache:key:files`.
pub trait TreeDigest: Send + Sync {
    /// One digest over the contents of all `files`, relative to the root of the repository: the same for the same
    /// contents, in letters that may be part of a cache key. `None` where none of them exists.
    fn digest(&self, files: &[String]) -> Option<String>;
}

/// Reads a pipeline's file and decides which of its jobs run, for one event.
///
/// `file_name` is what mistakes are reported under. Nothing is read from disk, and nothing is run.
///
/// # Errors
/// All mistakes of the file at once, in the order of their places. What is not supported yet counts as one.
pub fn parse(file_name: &str, text: &str, context: &Context) -> Result<Pipeline, Diagnostics> {
    let mistakes = Mistakes::new(file_name, text);
    let root = yaml::load(text, &mistakes);
    let pipeline = match root.as_ref().and_then(|root| root.as_map()) {
        Some(file) => expand::pipeline(file, context, &mistakes),
        None => Pipeline::default(),
    };
    mistakes.finish().map(|notes| Pipeline { notes, ..pipeline })
}
