//! What the keywords of a job come to.

use std::{sync::Arc, time::Duration};

use runner_core::job::{ArtifactFormat, CachePolicy, PullPolicy, When};
use runner_pipeline::{AllowFailure, Context, JobWhen, Retry, TreeDigest, parse};

use super::{Outcome, commands, context, job, read};

#[test]
fn images_and_services_have_all_their_forms() -> Outcome {
    let pipeline = read(
        r#"
a:
  script: x
  image:
    name: registry/$NAME:1
    entrypoint: [""]
    pull_policy: [always, if-not-present]
    docker: {platform: linux/arm64, user: dave}
  services:
    - redis:7
    - name: postgres:16
      alias: db,database
      command: [postgres, -c, fsync=off]
      entrypoint: [run]
      pull_policy: never
      variables: {POSTGRES_PASSWORD: 1}
    - {name: other, kubernetes: {user: 1000}}
"#,
    )?;
    let spec = &job(&pipeline, "a")?.spec;
    let image = spec.image.clone().unwrap_or_default();
    assert_eq!(image.name, "registry/$NAME:1");
    assert_eq!(image.entrypoint, Some(vec![String::new()]));
    assert_eq!(image.pull_policies, [PullPolicy::Always, PullPolicy::IfNotPresent]);
    assert_eq!((image.user.as_deref(), image.platform.as_deref()), (Some("dave"), Some("linux/arm64")));
    let [redis, postgres, other] = spec.services.as_slice() else { return Err("three services".into()) };
    assert_eq!((redis.image.name.as_str(), redis.aliases.len()), ("redis:7", 0));
    assert_eq!(postgres.aliases, ["db", "database"]);
    assert_eq!(postgres.command.as_ref().map(Vec::len), Some(3));
    assert_eq!(postgres.image.entrypoint, Some(vec!["run".to_owned()]));
    assert_eq!(postgres.image.pull_policies, [PullPolicy::Never]);
    assert_eq!(postgres.variables.value("POSTGRES_PASSWORD"), "1");
    assert_eq!(other.image.user.as_deref(), Some("1000"));
    Ok(())
}

#[test]
fn artifacts_become_an_archive_and_one_upload_for_each_report() -> Outcome {
    let pipeline = read(
        r"
a:
  script: x
  artifacts:
    name: $CI_JOB_NAME
    paths: [out/, '*.log']
    exclude: [out/tmp]
    untracked: true
    when: always
    expire_in: 1 week
    expose_as: results
    access: all
    reports:
      junit: [one.xml, two.xml]
      dotenv: build.env
      coverage_report: {coverage_format: cobertura, path: cov.xml}
      sast: s.json
b:
  script: x
  artifacts: {expire_in: never, reports: {lsif: dump}}
",
    )?;
    let artifacts = &job(&pipeline, "a")?.spec.artifacts;
    let seen: Vec<_> = artifacts
        .iter()
        .map(|artifact| (artifact.kind.as_str(), artifact.name.as_deref(), artifact.format, artifact.when))
        .collect();
    assert_eq!(
        seen,
        [
            ("archive", Some("$CI_JOB_NAME"), ArtifactFormat::Zip, When::Always),
            ("junit", Some("junit.xml"), ArtifactFormat::Gzip, When::Always),
            ("dotenv", Some(".env"), ArtifactFormat::Gzip, When::Always),
            ("cobertura", Some("cobertura-coverage.xml"), ArtifactFormat::Gzip, When::Always),
            ("sast", Some("gl-sast-report.json"), ArtifactFormat::Raw, When::Always),
        ]
    );
    assert_eq!(artifacts[0].paths, ["out/", "*.log"]);
    assert_eq!(artifacts[0].exclude, ["out/tmp"]);
    assert!(artifacts[0].untracked);
    assert_eq!(artifacts[1].paths, ["one.xml", "two.xml"]);
    assert!(artifacts.iter().all(|artifact| artifact.expire_in == Some(Duration::from_hours(7 * 24))));
    let [report] = job(&pipeline, "b")?.spec.artifacts.as_slice() else { return Err("one report".into()) };
    assert_eq!((report.format, report.expire_in), (ArtifactFormat::Zip, None));
    Ok(())
}

struct Tree;

impl TreeDigest for Tree {
    fn digest(&self, files: &[String]) -> Option<String> {
        (files != ["missing"]).then(|| format!("digest-of-{}", files.len()))
    }
}

#[test]
fn caches_have_keys_of_texts_and_of_files() -> Outcome {
    let text = r"
a:
  script: x
  cache:
    - key: $CI_COMMIT_REF_SLUG
      paths: [one]
      policy: pull
      when: always
      fallback_keys: [main, other/branch]
    - key: {files: [a/Gemfile.lock, go.sum]}
      untracked: true
    - key: {files: [missing], prefix: $CI_JOB_NAME}
    - paths: [two]
      policy: $POLICY
      unprotect: true
b:
  script: x
  cache: []
";
    let context = Context { tree: Some(Arc::new(Tree)), ..context(&[("POLICY", "push")]) };
    let pipeline = parse("f", text, &context)?;
    let caches = &job(&pipeline, "a")?.spec.caches;
    let keys: Vec<&str> = caches.iter().map(|cache| cache.key.as_str()).collect();
    assert_eq!(
        keys,
        ["$CI_COMMIT_REF_SLUG", "1_a_Gemfile_go-digest-of-2", "$CI_JOB_NAME-default", "default"]
    );
    assert_eq!((caches[0].policy, caches[0].when), (CachePolicy::Pull, When::Always));
    assert_eq!(caches[0].fallback_keys, ["main", "other/branch"]);
    assert!(caches[1].untracked);
    assert_eq!(caches[3].policy, CachePolicy::Push);
    assert!(job(&pipeline, "b")?.spec.caches.is_empty());
    Ok(())
}

#[test]
fn variables_of_the_file_the_job_and_the_matrix_are_merged_in_their_places() -> Outcome {
    let pipeline = read(
        r"
variables:
  A: file
  B: {value: file, description: about, options: [file, other]}
  C: {value: $A, expand: false}
a:
  script: x
  variables: {B: job, D: job, E: {value: 5, expand: true}}
  parallel: {matrix: [{D: [matrix]}]}
  rules: [{if: '$D == `matrix`', when: never}, {variables: {E: rule, F: true}}]
"
        .replace('`', "\"")
        .as_str(),
    );
    // The first rule applies: the variables of the matrix are seen by rules.
    assert_eq!(pipeline?.jobs[0].not_run.as_deref(), Some("its rule in line 10 says `when: never`"));
    let pipeline = read(
        r"
variables: {A: file, B: file, C: {value: $A, expand: false}}
a:
  script: x
  variables: {B: job, D: job, E: 5}
  parallel: {matrix: [{D: [matrix]}]}
  rules: [{variables: {E: rule, F: true}}]
",
    )?;
    let variables = &job(&pipeline, "a: [matrix]")?.spec.variables.0;
    let seen: Vec<_> =
        variables.iter().map(|item| (item.key.as_str(), item.value.as_str(), item.raw)).collect();
    assert_eq!(
        seen,
        [
            ("CI_NODE_INDEX", "1", true),
            ("CI_NODE_TOTAL", "1", true),
            ("A", "file", false),
            ("B", "job", false),
            ("C", "$A", true),
            ("D", "matrix", false),
            ("E", "rule", false),
            ("F", "true", false),
        ]
    );
    Ok(())
}

#[test]
fn what_a_failure_means_is_carried() -> Outcome {
    let pipeline = read(
        r"
a:
  script: x
  retry: {max: 1, when: script_failure, exit_codes: 5}
  allow_failure: {exit_codes: [1, 255]}
  interruptible: true
  resource_group: $CI_ENVIRONMENT_NAME
  coverage: '/total: (\d+)%/'
  timeout: 1h 30m
b: {script: x, retry: 2, allow_failure: true, when: on_failure}
c: {script: x, when: manual}
d: {script: x, when: manual, allow_failure: false}
",
    )?;
    let a = job(&pipeline, "a")?;
    assert_eq!(a.retry, Retry { max: 1, when: vec!["script_failure".into()], exit_codes: vec![5] });
    assert_eq!(a.allow_failure, AllowFailure::ExitCodes(vec![1, 255]));
    assert!(a.interruptible);
    assert_eq!(a.resource_group.as_deref(), Some("$CI_ENVIRONMENT_NAME"));
    assert_eq!(a.coverage.as_deref(), Some(r"total: (\d+)%"));
    assert_eq!(a.spec.timeout, Duration::from_mins(90));
    let seen = |name: &str| job(&pipeline, name).map(|job| (job.when, job.allow_failure.clone()));
    assert_eq!(seen("b")?, (JobWhen::OnFailure, AllowFailure::Yes));
    assert_eq!(seen("c")?, (JobWhen::Manual, AllowFailure::Yes));
    assert_eq!(seen("d")?, (JobWhen::Manual, AllowFailure::No));
    Ok(())
}

#[test]
fn an_environment_is_seen_in_variables() -> Outcome {
    let text = r"
variables: {BRANCH: Feature/Ä-1}
a:
  script: x
  environment: {name: review/$BRANCH, url: 'https://$CI_ENVIRONMENT_SLUG.test', on_stop: stop}
stop: {script: x, when: manual, environment: {name: review/$BRANCH, action: stop}}
";
    let pipeline = read(text)?;
    let variables = &job(&pipeline, "a")?.spec.variables;
    assert_eq!(variables.value("CI_ENVIRONMENT_NAME"), "review/Feature/Ä-1");
    assert_eq!(variables.value("CI_ENVIRONMENT_SLUG"), "review-feature-1");
    assert_eq!(variables.value("CI_ENVIRONMENT_URL"), "https://review-feature-1.test");
    assert_eq!(job(&pipeline, "stop")?.spec.variables.value("CI_ENVIRONMENT_ACTION"), "stop");
    Ok(())
}

#[test]
fn scripts_are_one_step_and_the_after_script_another() -> Outcome {
    let pipeline = read(
        "a:\n  before_script: one\n  script:\n    - two\n    - |\n      three\n      four\n  after_script: [five]\n",
    )?;
    let job = job(&pipeline, "a")?;
    assert_eq!(commands(job), ["one", "two", "three\nfour\n", "five"]);
    let steps: Vec<_> = job.spec.steps.iter().map(|step| (step.name.as_str(), step.script.len())).collect();
    assert_eq!(steps, [("script", 3), ("after_script", 1)]);
    assert_eq!((job.stage.as_str(), job.line, job.group.as_str()), ("test", 1, "a"));
    Ok(())
}

#[test]
fn odd_names_are_kept_as_they_are() -> Outcome {
    let pipeline =
        read("\"a b/c: 'd' \\u00e4 $X \\\"e\\\"\":\n  script: x\n🦀:\n  script: x\n1:\n  script: x\n")?;
    assert_eq!(super::names(&pipeline), ["a b/c: 'd' ä $X \"e\"", "🦀", "1"]);
    Ok(())
}
