//! `--output json`: one document on stdout, the text on stderr.

use crate::project::Project;

#[test]
fn each_job_has_its_status_and_its_times() {
    let project = Project::new(
        "good:\n  script: echo fine\n  artifacts:\n    paths: [.gitlab-ci.yml]\nbad:\n  stage: test\n  script: exit 4\n\
         later:\n  stage: deploy\n  script: echo later\n",
    )
    .unwrap();
    let (ran, document) = project.document(&[]).unwrap();
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("│ fine"), "{}", ran.stderr);
    assert!(!ran.stderr.contains('\x1b'));
    assert_eq!((&document["status"], &document["exit_status"]), (&"failed".into(), &1.into()));
    let job = |name: &str| {
        document["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name).unwrap().clone()
    };
    let (good, bad, later) = (job("good"), job("bad"), job("later"));
    assert_eq!((&good["status"], &good["exit_code"]), (&"success".into(), &0.into()));
    assert_eq!(good["artifacts"], ".runner/artifacts/good");
    for time in ["queued", "prepare", "get_sources", "cache", "script", "total"] {
        assert!(good["milliseconds"][time].is_u64(), "{time}: {good}");
    }
    assert!(good["milliseconds"]["total"].as_u64() >= good["milliseconds"]["script"].as_u64());
    assert_eq!((&bad["status"], &bad["exit_code"]), (&"failed".into(), &4.into()));
    assert_eq!(bad["failure_reason"], "script_failure");
    assert_eq!((&later["status"], &later["milliseconds"]), (&"skipped".into(), &serde_json::Value::Null));
}
