//! Wrong use and wrong files: exit status 2 (or 3 where it is our fault), and a text that says what, where and what to do.

use crate::project::Project;

/// The status and stderr of `runner exec` for `pipeline`.
fn refused(pipeline: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let project = Project::new(pipeline)?;
    let ran = project.exec(arguments)?;
    anyhow::ensure!(ran.status == Some(2), "status {:?}\n{}{}", ran.status, ran.stdout, ran.stderr);
    anyhow::ensure!(ran.stdout.is_empty(), "{}", ran.stdout);
    anyhow::ensure!(!project.path().join(".runner").exists(), "a run that never began left something");
    let path = project.path();
    Ok(ran.stderr.replace(&path.display().to_string(), "<project>"))
}

#[test]
fn invalid_yaml_is_shown_at_its_place() {
    insta::assert_snapshot!(refused("build:\n  script: [make\n", &[]).unwrap(), @r"
    error: this is no valid YAML: while parsing a flow sequence, expected ',' or ']'
     --> .gitlab-ci.yml:2:15
      |
    2 |   script: [make
      |               ^
      |
      = help: look at the indentation, at quotes and at brackets, in this line and before it

    error: .gitlab-ci.yml has a mistake; nothing ran
    ");
}

#[test]
fn all_mistakes_come_at_once() {
    let pipeline = "stages: [build]\n\
                    a:\n  stage: test\n  script: make\n\
                    b:\n  stage: build\n  scipt: make\n\
                    c:\n  stage: build\n  script: make\n  needs: [d]\n";
    insta::assert_snapshot!(refused(pipeline, &[]).unwrap(), @r"
    error: unknown stage `test`
     --> .gitlab-ci.yml:3:10
      |
    3 |   stage: test
      |          ^^^^
      |
      = help: the stages are .pre, build, .post

    error: `b` has no `script`
     --> .gitlab-ci.yml:5:1
      |
    5 | b:
      | ^
      |
      = help: add `script:` with the commands to run, or put a dot before the name to hide the job

    error: unknown keyword `scipt` of a job
     --> .gitlab-ci.yml:7:3
      |
    7 |   scipt: make
      |   ^^^^^
      |
      = help: did you mean `script`?

    error: unknown job `d` in `needs`
      --> .gitlab-ci.yml:11:11
       |
    11 |   needs: [d]
       |           ^

    error: .gitlab-ci.yml has 4 mistakes; nothing ran
    ");
}

#[test]
fn a_cycle_in_needs_is_shown() {
    let pipeline = "a:\n  script: make\n  needs: [b]\nb:\n  script: make\n  needs: [a]\n";
    insta::assert_snapshot!(refused(pipeline, &[]).unwrap(), @r"
    error: `a` needs itself: a → b → a
     --> .gitlab-ci.yml:6:11
      |
    6 |   needs: [a]
      |           ^

    error: .gitlab-ci.yml has a mistake; nothing ran
    ");
}

#[test]
fn an_empty_file_is_no_pipeline() {
    insta::assert_snapshot!(refused("", &[]).unwrap(), @r"
    error: the file is empty
    --> .gitlab-ci.yml:1:1
     = help: a pipeline is at least one job with a `script`

    error: .gitlab-ci.yml has a mistake; nothing ran
    ");
}

#[test]
fn an_unknown_job_is_named_with_what_there_is() {
    insta::assert_snapshot!(refused("build:\n  script: make\n", &["biuld"]).unwrap(), @"error: there is no job `biuld` in the pipeline; did you mean `build`?");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    insta::assert_snapshot!(refused("build:\n  script: make\n", &["--file", "ci/other.yml"]).unwrap(), @r"
    error: there is no file ci/other.yml in <project>
      help: go to a project with a pipeline, or name one with -C DIR, or its file with --file
    ");
}

#[test]
fn a_variables_file_that_is_not_there_is_named() {
    let text = refused("build:\n  script: make\n", &["--variables-file", "none.env"]).unwrap();
    insta::assert_snapshot!(text, @"error: there is no file none.env with variables");
}

#[test]
fn a_directory_without_a_repository_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let text = refused("build:\n  script: make\n", &["-C", path]).unwrap();
    insta::assert_snapshot!(text.replace(path, "<directory>"), @"error: failed to read the repository (directory <directory>): this is not in a git repository; run `git init` there, or name another directory");
}

#[test]
fn wrong_options_are_wrong_use() {
    insta::assert_snapshot!(refused("build:\n  script: make\n", &["--variable", "novalue"]).unwrap(), @r"
    error: invalid value 'novalue' for '--variable <KEY=VALUE>': write it as KEY=VALUE

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused("build:\n  script: make\n", &["--jobs", "0"]).unwrap(), @r"
    error: invalid value '0' for '--jobs <N>': it must be a number, and at least 1

    For more information, try '--help'.
    ");
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let project = Project::new("").unwrap();
    project.write(".gitlab-ci.yml", b"build:\n  script: \xff\n").unwrap();
    let ran = project.exec(&[]).unwrap();
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(ran.stderr, @"error: .gitlab-ci.yml is no text: line 2 holds bytes that are not UTF-8");
}

#[test]
fn five_megabytes_are_read_or_refused_but_never_hang() {
    let job = |number| format!("job {number}: {{script: \"exit 1\", rules: [{{when: never}}]}}\n");
    let jobs: String = (0..100_000).map(job).collect();
    assert!(jobs.len() > 5_000_000);
    let ran = Project::new(&jobs).unwrap().exec(&["--list"]).unwrap();
    assert!(matches!(ran.status, Some(0 | 2)), "{}", ran.stderr);
}

#[test]
fn a_variables_file_with_mistakes_is_refused_without_its_values() {
    let project = Project::new("build:\n  script: make\n").unwrap();
    project.write("secrets.yml", "TOKEN: {value: hunter2secret, maskd: true}\n1X: 2\n").unwrap();
    let ran = project.exec(&["--variables-file", "secrets.yml"]).unwrap();
    assert_eq!(ran.status, Some(2));
    assert!(!ran.stderr.contains("hunter2secret"), "{}", ran.stderr);
    insta::assert_snapshot!(ran.stderr, @r#"
    error: a variable has no `maskd`
    --> secrets.yml:1:31
     = help: did you mean `masked`?

    error: "1X" is no name of a variable
    --> secrets.yml:2:1
     = help: a name has letters, digits and underscores, and starts with no digit

    error: secrets.yml has 2 mistakes; nothing ran
    "#);
}

#[test]
fn a_json_document_tells_of_mistakes_too() {
    let project = Project::new("build:\n  scipt: make\n").unwrap();
    let (ran, document) = project.document(&[]).unwrap();
    assert_eq!(ran.status, Some(2));
    assert_eq!(document["status"], "error");
    assert_eq!(document["exit_status"], 2);
    assert_eq!(document["error"]["diagnostics"][0]["file"], ".gitlab-ci.yml");
    let lines: Vec<_> =
        document["error"]["diagnostics"].as_array().unwrap().iter().map(|it| &it["line"]).collect();
    assert_eq!(lines, [1, 2]);
}

#[test]
fn a_disk_that_is_full_is_our_fault_and_said() {
    let project = Project::new("build:\n  script: \"true\"\n").unwrap();
    project.write("big.bin", vec![7_u8; 3 << 20]).unwrap();
    let runner = env!("CARGO_BIN_EXE_runner");
    // No file may grow beyond 1 MiB: writing one fails as on a full disk.
    let limited = format!("trap '' XFSZ; ulimit -f 1024; exec '{runner}' exec");
    let mut command = std::process::Command::new("bash");
    let output = command
        .args(["-c", &limited])
        .current_dir(project.path())
        .env("XDG_CACHE_HOME", project.cache())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}{}", String::from_utf8_lossy(&output.stdout));
}
