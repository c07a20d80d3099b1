//! What a file comes to, and what is said of a wrong one.

use runner_core::job::{Variable, Variables};
use runner_pipeline::{Context, Diagnostics, Pipeline, PipelineJob, parse};

mod inheritance;
mod jobs;
mod limits;
mod mistakes;
mod order;
mod random;
mod rules;
mod scalars;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn context(variables: &[(&str, &str)]) -> Context {
    let predefined = variables.iter().map(|(key, value)| Variable::raw(*key, *value)).collect();
    Context { predefined: Variables(predefined), ..Context::default() }
}

fn read(text: &str) -> Result<Pipeline, Diagnostics> {
    parse(".gitlab-ci.yml", text, &Context::default())
}

fn job<'a>(pipeline: &'a Pipeline, name: &str) -> Outcome<&'a PipelineJob> {
    pipeline.jobs.iter().find(|job| job.name == name).ok_or_else(|| format!("no job {name}").into())
}

fn names(pipeline: &Pipeline) -> Vec<&str> {
    pipeline.included().map(|job| job.name.as_str()).collect()
}

fn commands(job: &PipelineJob) -> Vec<&str> {
    job.spec.steps.iter().flat_map(|step| &step.script).map(String::as_str).collect()
}
