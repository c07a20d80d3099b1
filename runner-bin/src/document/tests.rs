use std::time::SystemTime;

use runner_core::{Failure, FailureReason, PhaseRecord, Usage};
use tokio::time::Instant;

use super::*;
use crate::ledger::Role;

fn ledger() -> Ledger {
    let start = Instant::now();
    let role = |name: &str, stage: &str| Role { name: name.into(), stage: stage.into(), needs: None };
    let mut ledger = Ledger::new([role("unit", "test"), role("deploy", "deploy")]);
    let unit = &mut ledger.entries[0];
    unit.start(start);
    unit.queued = Duration::from_millis(3);
    unit.total = Some(Duration::from_millis(1080));
    let phase = |phase, milliseconds| PhaseRecord {
        phase,
        began: SystemTime::UNIX_EPOCH,
        duration: Duration::from_millis(milliseconds),
        usage: Usage::default(),
    };
    unit.phases =
        vec![phase(Phase::RestoreCache, 30), phase(Phase::Script, 900), phase(Phase::SaveCache, 100)];
    let failure =
        Failure { reason: FailureReason::ScriptFailure, exit_code: Some(2), message: "exit code 2".into() };
    unit.state = State::Ended(Ending::Failed { failure, allowed: false });
    unit.log = Some("/p/.runner/logs/unit.log".into());
    ledger.entries[1].state = State::Ended(Ending::Skipped("unit failed".into()));
    ledger
}

#[test]
fn a_run_is_one_document_with_all_that_is_known_of_each_job() {
    let (wall, directory) = (Duration::from_millis(1090), Path::new("/p"));
    let document = Document::of_run(&ledger(), ExitStatus::JobFailed, wall, directory);
    let document = document.with(vec!["a note".into()], None);
    insta::assert_json_snapshot!(document, @r#"
    {
      "version": 1,
      "status": "failed",
      "exit_status": 1,
      "milliseconds": 1090,
      "error": null,
      "notes": [
        "a note"
      ],
      "artifacts": null,
      "jobs": [
        {
          "name": "unit",
          "stage": "test",
          "status": "failed",
          "exit_code": 2,
          "failure_reason": "script_failure",
          "message": "exit code 2",
          "hint": null,
          "allow_failure": false,
          "attempts": 1,
          "milliseconds": {
            "queued": 3,
            "prepare": 0,
            "get_sources": 0,
            "cache": 130,
            "artifacts": 0,
            "script": 900,
            "total": 1080
          },
          "log": ".runner/logs/unit.log",
          "artifacts": null
        },
        {
          "name": "deploy",
          "stage": "deploy",
          "status": "skipped",
          "exit_code": null,
          "failure_reason": null,
          "message": "unit failed",
          "hint": null,
          "allow_failure": false,
          "attempts": 0,
          "milliseconds": null,
          "log": null,
          "artifacts": null
        }
      ]
    }
    "#);
}
