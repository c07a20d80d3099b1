//! Stages, `needs`, `dependencies` and `parallel`: who waits for whom.

use super::{Outcome, job, names, read};

fn needs(job: &runner_pipeline::PipelineJob) -> Option<Vec<&str>> {
    job.needs.as_ref().map(|needs| needs.iter().map(|need| need.job.as_str()).collect())
}

#[test]
fn stages_have_their_defaults_and_their_ends() -> Outcome {
    let stages = |text: &str| read(text).map(|pipeline| pipeline.stages);
    assert_eq!(stages("a: {script: x}\n")?, [".pre", "build", "test", "deploy", ".post"]);
    let own = "stages: [.post, one, test, one, .pre]\na: {script: x}\nb: {script: x, stage: .post}\n";
    assert_eq!(stages(own)?, [".pre", "one", "test", ".post"]);
    Ok(())
}

#[test]
fn a_need_for_a_parallel_job_is_one_for_each_instance() -> Outcome {
    let pipeline = read(
        r"
build:
  stage: build
  script: x
  parallel: 2
matrix:
  stage: build
  script: x
  parallel:
    matrix:
      - {OS: [linux, mac], ARCH: x86}
      - OS: windows
all: {script: x, needs: [build, {job: matrix, artifacts: false}]}
one: {script: x, needs: ['build 2/2', 'matrix: [mac, x86]']}
none: {script: x, needs: []}
some: {script: x, needs: [{job: nobody, optional: true}, {job: build, optional: true}], dependencies: [build]}
stages: {script: x, dependencies: []}
"
        .replace("stages: {script", "by-stage: {script")
        .as_str(),
    )?;
    assert_eq!(
        names(&pipeline)[..5],
        ["build 1/2", "build 2/2", "matrix: [linux, x86]", "matrix: [mac, x86]", "matrix: [windows]"]
    );
    let all = job(&pipeline, "all")?;
    assert_eq!(needs(all).unwrap_or_default().len(), 5);
    let artifacts: Vec<bool> = all.needs.iter().flatten().map(|need| need.artifacts).collect();
    assert_eq!(artifacts, [true, true, false, false, false]);
    assert_eq!(needs(job(&pipeline, "one")?), Some(vec!["build 2/2", "matrix: [mac, x86]"]));
    assert_eq!(needs(job(&pipeline, "none")?), Some(Vec::new()));
    let some = job(&pipeline, "some")?;
    assert_eq!(needs(some), Some(vec!["build 1/2", "build 2/2"]));
    assert_eq!(some.dependencies, Some(vec!["build 1/2".to_owned(), "build 2/2".to_owned()]));
    let by_stage = job(&pipeline, "by-stage")?;
    assert_eq!((needs(by_stage), by_stage.dependencies.clone()), (None, Some(Vec::new())));
    let mac = job(&pipeline, "matrix: [mac, x86]")?;
    assert_eq!((mac.group.as_str(), mac.spec.name.as_str()), ("matrix", "matrix: [mac, x86]"));
    let values = ["CI_NODE_INDEX", "CI_NODE_TOTAL", "OS", "ARCH"].map(|key| mac.spec.variables.value(key));
    assert_eq!(values, ["2", "3", "mac", "x86"]);
    Ok(())
}

#[test]
fn jobs_that_are_left_out_are_no_dependencies() -> Outcome {
    let pipeline = read(
        r"
a: {stage: build, script: x, rules: [{if: $NO}]}
b: {script: x, needs: [{job: a, optional: true}]}
c: {script: x, dependencies: [a]}
",
    )?;
    assert_eq!(names(&pipeline), ["b", "c"]);
    assert_eq!(needs(job(&pipeline, "b")?), Some(Vec::new()));
    assert_eq!(job(&pipeline, "c")?.dependencies, Some(Vec::new()));
    assert_eq!(job(&pipeline, "a")?.not_run.as_deref(), Some("none of its rules applies"));
    Ok(())
}
