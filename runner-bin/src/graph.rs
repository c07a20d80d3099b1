//! What `--list` shows: the jobs by stage, what each waits for, and the jobs that are not part of this pipeline.

use std::fmt::Write;

use console::{Alignment, measure_text_width, pad_str};
use runner_pipeline::{AllowFailure, JobWhen, Pipeline, PipelineJob};
use serde::Serialize;

use crate::view::{Color, Palette, tame};

/// Names of jobs are padded up to this width.
const WIDEST_NAME: usize = 40;

/// The graph as text, each line with its end. `title` says what the pipeline is of.
pub(crate) fn text(pipeline: &Pipeline, title: &str, palette: Palette) -> String {
    let width = pipeline.jobs.iter().map(|job| measure_text_width(&tame(&job.name))).max().unwrap_or(0);
    let width = width.min(WIDEST_NAME);
    let count = pipeline.included().count();
    let mut text = String::new();
    line(&mut text, &format!("{} · {count} {}", tame(title), if count == 1 { "job" } else { "jobs" }));
    for stage in &pipeline.stages {
        let jobs: Vec<_> = pipeline.included().filter(|job| job.stage == *stage).collect();
        if jobs.is_empty() {
            continue;
        }
        line(&mut text, "");
        line(&mut text, &palette.paint(Color::Strong, tame(stage)));
        for job in jobs {
            row(&mut text, job, width, &details(job, pipeline), palette);
        }
    }
    let mut others = pipeline.jobs.iter().filter_map(|job| Some((job, job.not_run.as_deref()?))).peekable();
    if others.peek().is_some() {
        line(&mut text, "");
        line(&mut text, &palette.paint(Color::Strong, "not in this pipeline"));
    }
    for (job, why) in others {
        row(&mut text, job, width, why, palette);
    }
    if pipeline.included().any(|job| job.needs.is_none()) {
        line(&mut text, "");
        line(
            &mut text,
            &palette.paint(Color::Dim, "A job without \"needs\" waits for all stages before its own."),
        );
    }
    text
}

fn row(text: &mut String, job: &PipelineJob, width: usize, details: &str, palette: Palette) {
    let name = pad_str(&tame(&job.name), width, Alignment::Left, None).into_owned();
    let number = if job.not_run.is_some() { Color::Dim } else { Color::Job(0) };
    line(text, &format!("  {}  {}", palette.paint(number, name), palette.paint(Color::Dim, tame(details))));
}

/// What is worth saying of a job, beyond its name and stage.
fn details(job: &PipelineJob, pipeline: &Pipeline) -> String {
    let mut told = Vec::new();
    if job.needs.is_some() {
        let names = needed(job, pipeline);
        told.push(if names.is_empty() {
            "needs nothing".into()
        } else {
            format!("needs {}", names.join(", "))
        });
    }
    match job.when {
        JobWhen::OnSuccess | JobWhen::Never => {}
        JobWhen::OnFailure => told.push("only after a failure".into()),
        JobWhen::Always => told.push("also after a failure".into()),
        JobWhen::Manual => told.push("by hand".into()),
    }
    match &job.allow_failure {
        AllowFailure::No => {}
        AllowFailure::Yes => told.push("may fail".into()),
        AllowFailure::ExitCodes(codes) => {
            let codes: Vec<_> = codes.iter().map(ToString::to_string).collect();
            told.push(format!("may fail with exit code {}", codes.join(", ")));
        }
    }
    if let Some(image) = &job.spec.image {
        told.push(format!("image {}", image.name));
    }
    if !job.spec.services.is_empty() {
        let names: Vec<_> = job.spec.services.iter().map(|service| service.image.name.as_str()).collect();
        told.push(format!("services {}", names.join(", ")));
    }
    told.join(" · ")
}

/// The names of the jobs that it needs, where all instances of a parallel job have one name.
fn needed<'a>(job: &'a PipelineJob, pipeline: &'a Pipeline) -> Vec<&'a str> {
    let needs = |name: &str| job.needs.iter().flatten().any(|need| need.job == name);
    let mut names = Vec::new();
    for other in pipeline.included().filter(|other| needs(&other.name)) {
        let all = pipeline.included().filter(|it| it.group == other.group).all(|it| needs(&it.name));
        let name = if all { &other.group } else { &other.name };
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

fn line(text: &mut String, line: &str) {
    // Writing into a string does not fail.
    let _infallible = writeln!(text, "{}", line.trim_end());
}

/// The graph as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Graph<'a> {
    version: u32,
    title: &'a str,
    stages: Vec<&'a str>,
    jobs: Vec<Node<'a>>,
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    name: &'a str,
    stage: &'a str,
    /// The jobs that it waits for; `null`: all of earlier stages.
    needs: Option<Vec<&'a str>>,
    when: String,
    /// It may fail, with any exit code or with those of `allow_failure_exit_codes`.
    allow_failure: bool,
    allow_failure_exit_codes: &'a [i32],
    image: Option<&'a str>,
    services: Vec<&'a str>,
    /// Why it is not in this pipeline; `null`: it is.
    not_run: Option<&'a str>,
}

impl<'a> Graph<'a> {
    /// The graph of `pipeline`.
    pub(crate) fn new(pipeline: &'a Pipeline, title: &'a str) -> Self {
        let used = |stage: &&str| pipeline.jobs.iter().any(|job| job.stage == *stage);
        let stages = pipeline.stages.iter().map(String::as_str).filter(used).collect();
        Self { version: 1, title, stages, jobs: pipeline.jobs.iter().map(Node::of).collect() }
    }
}

impl<'a> Node<'a> {
    fn of(job: &'a PipelineJob) -> Self {
        let needs = job.needs.as_ref().map(|needs| needs.iter().map(|need| need.job.as_str()).collect());
        let exit_codes: &[i32] =
            if let AllowFailure::ExitCodes(codes) = &job.allow_failure { codes } else { &[] };
        Self {
            name: &job.name,
            stage: &job.stage,
            needs,
            when: job.when.to_string(),
            allow_failure: job.allow_failure != AllowFailure::No,
            allow_failure_exit_codes: exit_codes,
            image: job.spec.image.as_ref().map(|image| image.name.as_str()),
            services: job.spec.services.iter().map(|service| service.image.name.as_str()).collect(),
            not_run: job.not_run.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use runner_core::job::{Image, JobSpec};
    use runner_pipeline::Need;

    use super::*;

    fn pipeline() -> Pipeline {
        let job = |name: &str, stage: &str| PipelineJob {
            name: name.into(),
            group: name.split(':').next().unwrap_or_default().into(),
            stage: stage.into(),
            spec: JobSpec::new("", name),
            ..PipelineJob::default()
        };
        let mut unit = job("unit: [3.12]", "test");
        unit.spec.image = Some(Image { name: "python:3.12".into(), ..Image::default() });
        let mut build = job("build", "build");
        build.needs = Some(vec![Need { job: "unit: [3.12]".into(), artifacts: true, optional: false }]);
        build.allow_failure = AllowFailure::ExitCodes(vec![3, 4]);
        let mut deploy = job("deploy", "deploy");
        deploy.when = JobWhen::Manual;
        let mut release = job("release", "deploy");
        release.not_run = Some("no rule matches; the last was: if $CI_COMMIT_TAG".into());
        let stages = [".pre", "test", "build", "deploy", ".post"].map(str::to_owned).to_vec();
        Pipeline {
            stages,
            jobs: vec![job("lint", "test"), unit, build, deploy, release],
            ..Pipeline::default()
        }
    }

    #[test]
    fn jobs_stand_by_stage_with_what_they_wait_for() {
        insta::assert_snapshot!(text(&pipeline(), "push of main", Palette::new(false)), @r#"
        push of main · 4 jobs

        test
          lint
          unit: [3.12]  image python:3.12

        build
          build         needs unit · may fail with exit code 3, 4

        deploy
          deploy        by hand

        not in this pipeline
          release       no rule matches; the last was: if $CI_COMMIT_TAG

        A job without "needs" waits for all stages before its own.
        "#);
    }

    #[test]
    fn the_json_of_the_graph_has_all_jobs() {
        let json = serde_json::to_value(Graph::new(&pipeline(), "push of main")).unwrap();
        assert_eq!(json["stages"], serde_json::json!(["test", "build", "deploy"]));
        assert_eq!(json["jobs"].as_array().unwrap().len(), 5);
        assert_eq!(
            json["jobs"][2],
            serde_json::json!({
                "name": "build", "stage": "build", "needs": ["unit: [3.12]"], "when": "on_success",
                "allow_failure": true, "allow_failure_exit_codes": [3, 4], "image": null, "services": [],
                "not_run": null,
            })
        );
    }
}
