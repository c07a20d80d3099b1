//! A pipeline of a project, as a GitLab server hands out its jobs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use runner_core::job::{Variable, Variables};
use runner_pipeline::{Context, Pipeline, PipelineJob, parse};
use runner_testkit::gitlab::{JobPayload, JobRecord, Repository, Settings};
use serde_json::json;

use crate::{Bed, gitlab::Server};

/// A project of `examples/pipelines` on a server, with the pipeline that a push to its branch starts.
pub struct Project {
    /// The server.
    pub server: Server,
    pipeline: Pipeline,
    variables: Variables,
    sha: String,
}

impl Project {
    /// Puts a project on a server of its own. `settings` are what an administrator sets for it: its variables.
    ///
    /// # Errors
    /// Where the project or its pipeline cannot be read.
    pub async fn push(bed: &Bed, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/pipelines").join(name);
        let files = files_of(&folder)?;
        let listed: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let repository = Repository::new(&listed).await?;
        let sha = repository.sha().to_owned();
        let variables = Variables(predefined(&sha).into_iter().chain(pairs(settings)).collect());
        let text = String::from_utf8(files[".gitlab-ci.yml"].clone())?;
        let context = Context { predefined: variables.clone(), ..Context::default() };
        let pipeline =
            parse(".gitlab-ci.yml", &text, &context).map_err(|mistakes| anyhow!("{mistakes:?}"))?;
        let server = Server::of_repository(bed, repository, Settings::default()).await?;
        Ok(Self { server, pipeline, variables, sha })
    }

    /// Runs the jobs in the order of their stages, one after the other, and returns what became of each.
    ///
    /// # Errors
    /// Where a job is to get the artifacts of one that did not run.
    pub async fn run(&self) -> Result<BTreeMap<String, JobRecord>> {
        let mut done: BTreeMap<String, JobRecord> = BTreeMap::new();
        let mut jobs: Vec<&PipelineJob> = self.pipeline.included().collect();
        jobs.sort_by_key(|job| self.stage_of(job));
        for job in jobs {
            let mut payload = self.payload(job);
            for name in self.before(job) {
                let earlier = done.get(&name).with_context(|| format!("{name} did not run"))?;
                let artifact = earlier.artifacts.iter().find(|artifact| artifact.kind == "archive");
                let file = artifact.map(|file| (file.filename.as_str(), file.bytes.len() as u64));
                payload = payload.dependency(earlier.id, &name, file);
            }
            done.insert(job.name.clone(), self.server.run_job(payload).await);
        }
        Ok(done)
    }

    fn stage_of(&self, job: &PipelineJob) -> Option<usize> {
        self.pipeline.stages.iter().position(|stage| *stage == job.stage)
    }

    /// The jobs whose artifacts a job gets: those that it names, else all of earlier stages.
    fn before(&self, job: &PipelineJob) -> Vec<String> {
        if let Some(needs) = &job.needs {
            return needs.iter().filter(|need| need.artifacts).map(|need| need.job.clone()).collect();
        }
        job.dependencies.clone().unwrap_or_else(|| {
            let is_earlier = |other: &&PipelineJob| self.stage_of(other) < self.stage_of(job);
            self.pipeline.included().filter(is_earlier).map(|other| other.name.clone()).collect()
        })
    }

    fn payload(&self, job: &PipelineJob) -> JobPayload {
        let spec = &job.spec;
        let mut payload = JobPayload::new(&job.name).commit(Repository::PROJECT, "main", &self.sha);
        for Variable { key, value, .. } in self.variables.0.iter().chain(&spec.variables.0) {
            payload = payload.variable(key, value);
        }
        if let Some(image) = &spec.image {
            let image = json!({ "name": image.name, "entrypoint": image.entrypoint, "executor_opts": {} });
            payload = payload.with("image", image);
        }
        for step in &spec.steps {
            let commands: Vec<&str> = step.script.iter().map(String::as_str).collect();
            payload =
                if step.name == "script" { payload.script(commands) } else { payload.after_script(commands) };
        }
        for artifact in &spec.artifacts {
            payload = payload.artifacts(artifact.paths.iter().map(String::as_str));
        }
        payload
    }
}

/// What GitLab says of a push to `main`, as far as pipelines of examples ask for it.
fn predefined(sha: &str) -> Vec<Variable> {
    pairs(&[
        ("CI_PIPELINE_SOURCE", "push"),
        ("CI_COMMIT_BRANCH", "main"),
        ("CI_COMMIT_REF_NAME", "main"),
        ("CI_COMMIT_REF_SLUG", "main"),
        ("CI_DEFAULT_BRANCH", "main"),
        ("CI_COMMIT_SHA", sha),
        ("CI_COMMIT_SHORT_SHA", sha.get(..8).unwrap_or(sha)),
        ("CI_REGISTRY", "10.244.0.1:5000"),
        ("CI_REGISTRY_IMAGE", "10.244.0.1:5000/group/project"),
        ("CI_REGISTRY_USER", "gitlab-ci-token"),
        ("CI_REGISTRY_PASSWORD", "none"),
    ])
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<Variable> {
    pairs.iter().map(|(key, value)| Variable::new(*key, *value)).collect()
}

/// The files below a folder, by their paths in it.
fn files_of(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let (mut files, mut open) = (BTreeMap::new(), vec![PathBuf::new()]);
    while let Some(place) = open.pop() {
        for entry in std::fs::read_dir(folder.join(&place)).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let path = place.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                // What a run on this machine has left is no part of the project.
                if entry.file_name() != ".runner" && entry.file_name() != "__pycache__" {
                    open.push(path);
                }
            } else {
                files.insert(path.to_string_lossy().into_owned(), std::fs::read(folder.join(&path))?);
            }
        }
    }
    Ok(files)
}
