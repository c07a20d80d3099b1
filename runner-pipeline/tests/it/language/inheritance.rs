//! `extends`, anchors, merge keys, `default` and `inherit`.

use super::{Outcome, commands, job, read};

fn value<'a>(job: &'a runner_pipeline::PipelineJob, key: &str) -> Option<&'a str> {
    job.spec.variables.get(key).map(|variable| variable.value.as_str())
}

#[test]
fn extends_merges_mappings_at_every_level_and_replaces_the_rest() -> Outcome {
    let pipeline = read(
        r"
.one:
  script: [one]
  image: {name: a, entrypoint: [x]}
  variables: {A: 1, B: 1}
  tags: [x, y]
.two:
  extends: .one
  variables: {B: 2, C: 2}
  timeout: 5 minutes
last:
  extends: [.two, .three]
  variables: {C: 3}
  timeout: null
.three:
  image: {name: b}
  tags: [z]
",
    )?;
    let last = job(&pipeline, "last")?;
    assert_eq!(commands(last), ["one"]);
    let image = last.spec.image.clone().unwrap_or_default();
    assert_eq!((image.name.as_str(), image.entrypoint), ("b", Some(vec!["x".to_owned()])));
    assert_eq!(["A", "B", "C"].map(|key| value(last, key)), [Some("1"), Some("2"), Some("3")]);
    assert_eq!(last.tags, ["z"]);
    assert_eq!(last.spec.timeout.as_secs(), 3600, "null takes a keyword away");
    Ok(())
}

#[test]
fn eleven_levels_of_extends_are_allowed() -> Outcome {
    use std::fmt::Write as _;
    let mut text = String::from("last:\n  extends: .j1\n.j11:\n  script: x\n");
    for level in 1..11 {
        writeln!(text, ".j{level}:\n  extends: .j{}", level + 1)?;
    }
    assert_eq!(commands(job(&read(&text)?, "last")?), ["x"]);
    Ok(())
}

#[test]
fn merge_keys_count_by_their_place_as_in_ruby() -> Outcome {
    let pipeline = read(
        r"
.base: &base
  script: [base]
  when: always
.more: &more
  when: on_failure
  image: more
before:
  <<: *base
  script: [own]
after:
  script: [own]
  <<: *base
several:
  <<: [*base, *more]
twice:
  <<: *base
  <<: *more
list:
  script:
    - &line one
    - *line
    - [two, [three]]
",
    )?;
    assert_eq!(commands(job(&pipeline, "before")?), ["own"]);
    assert_eq!(commands(job(&pipeline, "after")?), ["base"]);
    let several = job(&pipeline, "several")?;
    assert_eq!((several.when.to_string().as_str(), several.spec.image.is_some()), ("always", true));
    assert_eq!(job(&pipeline, "twice")?.when.to_string(), "on_failure");
    assert_eq!(commands(job(&pipeline, "list")?), ["one", "one", "two", "three"]);
    Ok(())
}

#[test]
fn default_gives_what_a_job_does_not_say() -> Outcome {
    let pipeline = read(
        r"
default:
  image: standard
  before_script: [prepare]
  after_script: [clean]
  timeout: 10m
  tags: [linux]
  hooks: {pre_get_sources_script: [hook]}
variables: {A: 1, B: 1}
plain:
  script: x
own:
  script: x
  image: own
  before_script: []
none:
  script: x
  inherit: {default: false, variables: false}
some:
  script: x
  inherit: {default: [image], variables: [B]}
",
    )?;
    let seen = |name: &str| -> Outcome<(String, Vec<String>, u64, usize, usize)> {
        let job = job(&pipeline, name)?;
        let image = job.spec.image.as_ref().map(|image| image.name.clone()).unwrap_or_default();
        let commands = commands(job).into_iter().map(str::to_owned).collect();
        let own = job.spec.variables.0.iter().filter(|variable| variable.key.len() == 1).count();
        Ok((image, commands, job.spec.timeout.as_secs(), job.spec.hooks.len(), own))
    };
    let list = |commands: &[&str]| commands.iter().map(|command| (*command).to_owned()).collect::<Vec<_>>();
    assert_eq!(seen("plain")?, ("standard".into(), list(&["prepare", "x", "clean"]), 600, 1, 2));
    assert_eq!(seen("own")?, ("own".into(), list(&["x", "clean"]), 600, 1, 2));
    assert_eq!(seen("none")?, (String::new(), list(&["x"]), 3600, 0, 0));
    assert_eq!(seen("some")?, ("standard".into(), list(&["x"]), 3600, 0, 1));
    Ok(())
}

#[test]
fn the_old_keywords_of_the_file_are_defaults_too() -> Outcome {
    let pipeline = read(
        "image: old\nservices: [db]\ncache: {paths: [c]}\nbefore_script: b\nafter_script: [a]\njob:\n  script: x\n",
    )?;
    let job = job(&pipeline, "job")?;
    assert_eq!(commands(job), ["b", "x", "a"]);
    assert_eq!((job.spec.services.len(), job.spec.caches.len()), (1, 1));
    assert_eq!(job.spec.steps[1].name, "after_script");
    Ok(())
}
