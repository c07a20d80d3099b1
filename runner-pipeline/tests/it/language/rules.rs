//! Which jobs are part of a pipeline.

use runner_core::job::{Variable, Variables};
use runner_pipeline::{AllowFailure, Context, JobWhen, parse};

use super::{Outcome, context, job, names};

const FILE: &str = r#"
variables: {DEPLOY: "no", LEVEL: file}
build:
  script: x
main-only:
  script: x
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
manual-on-tags:
  script: x
  rules:
    - if: $CI_COMMIT_TAG =~ /^v\d+/
      when: manual
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
      when: never
    - allow_failure: true
      variables: {LEVEL: rule}
wanted:
  script: x
  when: manual
  rules:
    - if: $DEPLOY == "yes" && $LEVEL == "job"
    - if: $CI_JOB_NAME == "wanted" && $CI_JOB_STAGE == "test" && $DEPLOY == "maybe"
      allow_failure: false
      interruptible: true
  variables: {LEVEL: job}
nested:
  script: x
  rules:
    - [[{if: $NOBODY}, {if: $CI_COMMIT_BRANCH}], {when: never}]
"#;

fn included(context: &Context) -> Outcome<Vec<String>> {
    let pipeline = parse("f", FILE, context)?;
    Ok(names(&pipeline).into_iter().map(str::to_owned).collect())
}

#[test]
fn the_first_rule_that_applies_decides() -> Outcome {
    let main = context(&[("CI_COMMIT_BRANCH", "main"), ("CI_DEFAULT_BRANCH", "main")]);
    assert_eq!(included(&main)?, ["build", "main-only", "manual-on-tags", "nested"]);
    let other = context(&[("CI_COMMIT_BRANCH", "x"), ("CI_DEFAULT_BRANCH", "main")]);
    assert_eq!(included(&other)?, ["build", "manual-on-tags", "nested"]);
    let tag = context(&[("CI_COMMIT_TAG", "v1.0"), ("CI_DEFAULT_BRANCH", "main")]);
    assert_eq!(included(&tag)?, ["build", "manual-on-tags"]);
    Ok(())
}

#[test]
fn a_rule_gives_when_failure_and_variables() -> Outcome {
    let pipeline = parse("f", FILE, &context(&[("CI_COMMIT_TAG", "v1")]))?;
    let manual = job(&pipeline, "manual-on-tags")?;
    assert_eq!((manual.when, &manual.allow_failure), (JobWhen::Manual, &AllowFailure::No));
    let pipeline = parse("f", FILE, &context(&[("CI_COMMIT_TAG", "1")]))?;
    let other = job(&pipeline, "manual-on-tags")?;
    assert_eq!((other.when, &other.allow_failure), (JobWhen::OnSuccess, &AllowFailure::Yes));
    assert_eq!(other.spec.variables.value("LEVEL"), "rule");
    Ok(())
}

#[test]
fn variables_of_the_caller_count_more_than_those_of_the_file() -> Outcome {
    let with = |value: &str| Context {
        overrides: Variables(vec![Variable::raw("DEPLOY", value)]),
        ..context(&[("CI_COMMIT_BRANCH", "x"), ("DEPLOY", "yes")])
    };
    let wanted = |value: &str| -> Outcome<_> {
        let pipeline = parse("f", FILE, &with(value))?;
        let job = job(&pipeline, "wanted")?;
        Ok((job.when, job.allow_failure.clone(), job.interruptible, job.not_run.clone()))
    };
    assert_eq!(wanted("yes")?, (JobWhen::Manual, AllowFailure::Yes, false, None));
    assert_eq!(wanted("maybe")?, (JobWhen::Manual, AllowFailure::No, true, None));
    assert_eq!(wanted("no")?.3.as_deref(), Some("none of its rules applies"));
    Ok(())
}

#[test]
fn a_job_without_rules_is_no_part_of_a_merge_request_pipeline() -> Outcome {
    let merge_request =
        context(&[("CI_PIPELINE_SOURCE", "merge_request_event"), ("CI_DEFAULT_BRANCH", "main")]);
    let pipeline = parse("f", FILE, &merge_request)?;
    assert!(names(&pipeline).is_empty());
    let reason = "without `rules` it runs for branches and tags, not for merge requests";
    assert_eq!(job(&pipeline, "build")?.not_run.as_deref(), Some(reason));
    assert_eq!(
        job(&pipeline, "manual-on-tags")?.not_run.as_deref(),
        Some("its rule in line 14 says `when: never`")
    );
    let with_workflow = format!("workflow: {{rules: [{{when: always}}]}}\n{FILE}");
    assert_eq!(names(&parse("f", &with_workflow, &merge_request)?), ["build"]);
    Ok(())
}

#[test]
fn the_workflow_decides_on_all_jobs() -> Outcome {
    let text = r"
workflow:
  name: for $B, $A
  auto_cancel: {on_new_commit: interruptible}
  rules:
    - if: $CI_COMMIT_BRANCH == 'x'
      when: never
    - if: $CI_COMMIT_BRANCH
      variables: {A: workflow}
variables: {A: file, B: $CI_COMMIT_BRANCH}
a: {script: x, rules: [{if: $A == 'workflow'}]}
";
    let pipeline = parse("f", text, &context(&[("CI_COMMIT_BRANCH", "y")]))?;
    assert_eq!((names(&pipeline), pipeline.name.as_deref()), (vec!["a"], Some("for y, workflow")));
    assert_eq!(pipeline.jobs[0].spec.variables.value("A"), "workflow");
    let reason = |branch: &[(&str, &str)]| -> Outcome<_> {
        Ok(parse("f", text, &context(branch))?.jobs[0].not_run.clone().unwrap_or_default())
    };
    assert_eq!(reason(&[("CI_COMMIT_BRANCH", "x")])?, "`workflow:rules` say `when: never` in line 6");
    assert_eq!(reason(&[])?, "none of `workflow:rules` applies");
    Ok(())
}
