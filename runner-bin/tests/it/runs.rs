//! Runs to their end: what is shown, what is kept, and the exit status.

use crate::project::{Project, files};

#[test]
fn a_pipeline_that_succeeds_looks_like_this() {
    let project = Project::new(
        "stages: [build, test]\n\
         build:\n  stage: build\n  script:\n    - echo hello > out.txt\n  artifacts:\n    paths: [out.txt]\n\
         check:\n  stage: test\n  script:\n    - cat out.txt\n",
    )
    .unwrap();
    let ran = project.exec(&[]).unwrap();
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!(ran.timeless(), @r"
    build │ ▸ Preparing the local executor
    build │ Running with runner 0.1.0 on exec
    build │ ▸ Getting the sources
    build │ Fetching changes, 20 commits deep
    build │ Checking out b6526d83 as detached HEAD (ref is main)
    build │ ▸ Running the script
    build │ $ echo hello > out.txt
    build │ ▸ Uploading artifacts
    build │ Uploading artifacts…
    build │ out.txt: found 1 matching files and directories
    build │ Uploaded artifacts.zip
    build ✓ passed (0.0s)
    check │ ▸ Preparing the local executor
    check │ Running with runner 0.1.0 on exec
    check │ ▸ Getting the sources
    check │ Fetching changes, 20 commits deep
    check │ Checking out b6526d83 as detached HEAD (ref is main)
    check │ ▸ Downloading artifacts
    check │ Downloading artifacts of build (<id>)…
    check │ build: 1 file, 6 bytes
    check │ ▸ Running the script
    check │ $ cat out.txt
    check │ hello
    check ✓ passed (0.0s)

      Job    Stage  Status       Time
    ✓ build  build  passed       0.0s
    ✓ check  test   passed       0.0s

    2 jobs in 0.0s: 2 passed
    artifacts: .runner/artifacts
    ");
    assert_eq!(ran.stderr, "");
    assert!(!ran.stdout.contains('\x1b'), "no terminal, no escapes");
    assert_eq!(project.read(".runner/artifacts/build/out.txt").unwrap(), "hello\n");
    assert!(project.read(".runner/logs/check.log").unwrap().contains("hello\n"));
    assert_eq!(project.git(&["status", "--porcelain"]).unwrap(), "");
    assert_eq!(project.leftovers().unwrap(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_failure_ends_with_1_and_its_reason_in_one_line() {
    let project = Project::new(
        "bad:\n  script:\n    - echo before\n    - exit 7\n    - echo never\n\
         soft:\n  script: exit 3\n  allow_failure: true\n\
         after:\n  stage: deploy\n  script: echo deployed\n\
         by-hand:\n  stage: deploy\n  when: manual\n  script: echo hand\n",
    )
    .unwrap();
    let ran = project.exec(&["--jobs", "1"]).unwrap();
    assert_eq!(ran.status, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stdout.contains("│ never\n"), "{}", ran.stdout);
    let timeless = ran.timeless();
    let (_, summary) = timeless.split_once("\n\n").unwrap();
    insta::assert_snapshot!(
        summary,
        @r"
      Job      Stage   Status       Time
    ✗ bad      test    failed       0.0s
    ! soft     test    failed       0.0s  allowed to fail
    – after    deploy  skipped         –  `bad` failed
    – by-hand  deploy  skipped         –  `bad` failed

    bad: exit code 7 · log: .runner/logs/bad.log

    soft: exit code 3 · log: .runner/logs/soft.log

    4 jobs in 0.0s: 1 failed, 1 failed as allowed, 2 skipped
    "
    );
    assert_eq!(project.leftovers().unwrap(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn changes_that_are_not_committed_are_run_and_ignored_files_are_not() {
    let project =
        Project::new("show:\n  script:\n    - cat tracked.txt new.txt\n    - test ! -e ignored.txt\n")
            .unwrap();
    project.write("tracked.txt", "committed\n").unwrap();
    project.write(".gitignore", "ignored.txt\n").unwrap();
    project.commit().unwrap();
    project.write("tracked.txt", "changed\n").unwrap();
    project.write("new.txt", "new\n").unwrap();
    project.write("ignored.txt", "ignored\n").unwrap();
    let ran = project.exec(&[]).unwrap();
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("show │ changed\nshow │ new\n"), "{}", ran.stdout);
}

#[test]
fn a_cache_lasts_until_the_next_run_unless_it_is_not_wanted() {
    let project = Project::new(
        "job:\n  script:\n    - cat kept/file || echo nothing yet\n    - mkdir -p kept && echo from-cache > kept/file\n  \
         cache:\n    key: k\n    paths: [kept/]\n",
    )
    .unwrap();
    let first = project.exec(&["--no-cache"]).unwrap();
    assert!(first.stdout.contains("│ nothing yet"), "{}", first.stdout);
    let second = project.exec(&[]).unwrap();
    assert!(second.stdout.contains("│ nothing yet"), "{}", second.stdout);
    let third = project.exec(&[]).unwrap();
    assert!(third.stdout.contains("│ from-cache"), "{}", third.stdout);
}

#[test]
fn a_cache_that_cannot_be_read_stops_nothing() {
    let project = Project::new(
        "job:\n  script:\n    - mkdir -p kept && echo x > kept/file\n  cache:\n    key: k\n    paths: [kept/]\n",
    )
    .unwrap();
    assert_eq!(project.exec(&[]).unwrap().status, Some(0));
    let archives = files(&project.cache().join("runner/cache")).unwrap();
    assert!(!archives.is_empty());
    for archive in archives {
        std::fs::write(archive, "garbage").unwrap();
    }
    let ran = project.exec(&[]).unwrap();
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn named_jobs_run_with_what_they_need_and_nothing_else() {
    let project = Project::new(
        "a:\n  script: echo a\nb:\n  script: echo b\nc:\n  stage: deploy\n  needs: [a]\n  when: manual\n  script: echo c\n",
    )
    .unwrap();
    let (ran, document) = project.document(&["c"]).unwrap();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let names: Vec<_> =
        document["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "c"]);
}

#[test]
fn names_with_every_odd_letter_run_and_are_shown() {
    let project = Project::new(
        "\"a/../b: [x] *?'$HOME\":\n  script: echo $CI_JOB_NAME > out.txt\n  artifacts:\n    paths: [out.txt]\n\
         \"変な名前 😀\":\n  script: echo ok\n",
    )
    .unwrap();
    let (ran, document) = project.document(&[]).unwrap();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    for job in document["jobs"].as_array().unwrap() {
        let log = job["log"].as_str().unwrap();
        assert!(log.starts_with(".runner/logs/") && project.path().join(log).is_file(), "{log}");
    }
}

#[test]
fn artifacts_outside_of_the_work_tree_are_never_taken() {
    let project = Project::new(
        "job:\n  script: echo x > inside.txt\n  artifacts:\n    paths: [\"../../../../../../etc/passwd\", /etc/hostname, inside.txt]\n",
    )
    .unwrap();
    let ran = project.exec(&[]).unwrap();
    assert!(project.read(".runner/artifacts/job/inside.txt").is_ok(), "{}{}", ran.stdout, ran.stderr);
    let kept = files(&project.path().join(".runner/artifacts")).unwrap();
    assert!(kept.iter().all(|path| !path.ends_with("passwd") && !path.ends_with("hostname")), "{kept:?}");
    assert!(ran.stdout.contains("etc/passwd"), "what is left out is said: {}", ran.stdout);
}

#[test]
fn a_script_that_is_killed_is_a_failure() {
    let project = Project::new("job:\n  script:\n    - kill -KILL $$\n").unwrap();
    let (ran, document) = project.document(&[]).unwrap();
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert_eq!(document["jobs"][0]["failure_reason"], "script_failure");
    assert_eq!(document["jobs"][0]["exit_code"], 137);
}

#[test]
fn kept_directories_are_named_and_there() {
    let project = Project::new("job:\n  script: echo x > made-by-the-job.txt\n").unwrap();
    let ran = project.exec(&["--keep"]).unwrap();
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    let (_, place) = ran.stdout.split_once("job directories kept: ").unwrap();
    let kept = files(std::path::Path::new(place.trim())).unwrap();
    assert!(kept.iter().any(|path| path.ends_with("made-by-the-job.txt")), "{kept:?}");
}

#[test]
fn a_megabyte_without_a_newline_comes_out_whole() {
    let project = Project::new("job:\n  script:\n    - head -c 1000000 /dev/zero | tr '\\0' x\n").unwrap();
    let ran = project.exec(&[]).unwrap();
    assert_eq!(ran.status, Some(0));
    assert_eq!(ran.stdout.matches('x').count() / 1000, 1000);
    let log = project.read(".runner/logs/job.log").unwrap();
    assert!(log.lines().any(|line| line.len() == 1_000_000), "in the file the line is one");
}

#[test]
fn what_an_earlier_run_left_is_not_taken_for_what_this_one_made() {
    let project = Project::new(
        "job:\n  script:\n    - test -z \"$FAIL\"\n    - echo x > out.txt\n  artifacts:\n    paths: [out.txt]\n",
    )
    .unwrap();
    assert_eq!(project.exec(&[]).unwrap().status, Some(0));
    let (ran, document) = project.document(&["--variable", "FAIL=1"]).unwrap();
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert_eq!(document["jobs"][0]["artifacts"], serde_json::Value::Null);
    assert!(!project.path().join(".runner/artifacts/job").exists());
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let project = Project::new("job:\n  script:\n    - seq 100000\n    - echo to-the-end\n").unwrap();
    let mut child = project.command().arg("exec").stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert!(project.read(".runner/logs/job.log").unwrap().contains("\nto-the-end\n"));
}

#[test]
fn images_and_services_are_said_to_have_no_effect_once() {
    let project = Project::new(
        "image: alpine:3\nservices: [postgres:16]\na:\n  script: echo a\nb:\n  script: echo b\n",
    )
    .unwrap();
    let ran = project.exec(&[]).unwrap();
    assert_eq!(ran.status, Some(0));
    let notes: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("note:")).collect();
    insta::assert_snapshot!(notes.join("\n"), @r"
    note: image: has no effect here; jobs run with the tools of this machine, not with those of alpine:3 (a, b)
    note: services: are not started here: postgres:16 (a, b)
    ");
}
