//! `--list`, and `runner list`.

use crate::project::Project;

const PIPELINE: &str = "stages: [build, deploy]\n\
                        build:\n  stage: build\n  script: make\n\
                        ship:\n  stage: deploy\n  needs: [build]\n  when: manual\n  script: make\n\
                        tagged:\n  stage: deploy\n  rules:\n    - if: $CI_COMMIT_TAG\n  script: make\n";

#[test]
fn the_graph_is_shown_and_nothing_runs() {
    let project = Project::new(PIPELINE).unwrap();
    let ran = project.exec(&["--list"]).unwrap();
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(ran.stdout, @r#"
    .gitlab-ci.yml · push of main · 2 jobs

    build
      build

    deploy
      ship    needs build · by hand · may fail

    not in this pipeline
      tagged  none of its rules applies

    A job without "needs" waits for all stages before its own.
    "#);
    assert!(!project.path().join(".runner").exists());
}

#[test]
fn an_event_decides_what_is_in_it() {
    let project = Project::new(PIPELINE).unwrap();
    project.git(&["tag", "v1"]).unwrap();
    let (_, graph) = project.document(&["--list", "--event", "tag"]).unwrap();
    let tagged =
        graph["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "tagged").unwrap().clone();
    assert_eq!(tagged["not_run"], serde_json::Value::Null, "{graph}");
}

#[test]
fn a_named_job_is_listed_with_what_it_needs() {
    let (_, graph) = Project::new(PIPELINE).unwrap().document(&["--list", "ship"]).unwrap();
    assert_eq!(graph["jobs"].as_array().unwrap().len(), 2, "{graph}");
}

#[test]
fn the_runners_of_a_config_are_listed_from_where_the_environment_says() {
    let project = Project::new(PIPELINE).unwrap();
    let text =
        "[[runners]]\nname = \"a\"\nurl = \"https://g.example\"\ntoken = \"$TOKEN\"\nexecutor = \"shell\"\n";
    let config = project.path().join("config.toml");
    fs_err::write(&config, text).unwrap();
    let output =
        project.command().arg("list").env("CONFIG_FILE", &config).env("TOKEN", "glrt-x").output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(shown, @"
    NAME  EXECUTOR  TOKEN  URL
    a     shell     …      https://g.example
    ");
    assert!(output.status.success());
}
