use std::time::SystemTime;

use runner_core::{Failure, FailureReason, Phase, PhaseRecord, Usage};
use tokio::time::Instant;

use super::*;
use crate::ledger::Role;

fn phase(phase: Phase, milliseconds: u64) -> PhaseRecord {
    PhaseRecord {
        phase,
        began: SystemTime::UNIX_EPOCH,
        duration: Duration::from_millis(milliseconds),
        usage: Usage::default(),
    }
}

fn failed(code: i32, allowed: bool) -> Ending {
    let failure = Failure {
        reason: FailureReason::ScriptFailure,
        exit_code: Some(code),
        message: format!("exit code {code}"),
    };
    Ending::Failed { failure, allowed }
}

fn ledger() -> Ledger {
    let start = Instant::now();
    let jobs = ["lint", "unit: [3.12]", "flaky", "build", "deploy", "release it"];
    let stages = ["test", "test", "test", "build", "deploy", "deploy"];
    let role = |(job, stage): (&str, &str)| Role { name: job.into(), stage: stage.into(), needs: None };
    let mut ledger = Ledger::new(jobs.into_iter().zip(stages).map(role));
    let end = |entry: &mut Entry, ending, milliseconds| {
        entry.start(start);
        entry.phases = vec![phase(Phase::GetSources, 20), phase(Phase::Script, milliseconds - 20)];
        entry.total = Some(Duration::from_millis(milliseconds));
        entry.state = State::Ended(ending);
    };
    let [lint, unit, flaky, build, deploy, release] = &mut ledger.entries[..] else { panic!() };
    lint.start(start);
    end(lint, Ending::Succeeded, 1200);
    end(unit, failed(127, false), 65_000);
    unit.log = Some("/project/.runner/logs/unit-3.12.log".into());
    unit.hint = Some("pytest is not on this machine".into());
    flaky.start(start);
    flaky.start(start);
    end(flaky, failed(3, true), 40);
    end(build, Ending::Canceled, 400);
    deploy.state = State::Ended(Ending::Skipped("unit: [3.12] failed".into()));
    release.state = State::Ended(Ending::Manual);
    ledger
}

#[test]
fn there_is_no_table_of_no_jobs() {
    let frame = Frame { wall: Duration::ZERO, directory: Path::new("/project"), artifacts: None, kept: None };
    assert_eq!(summary(&Ledger::new([]), frame, Palette::new(false)), "");
}

#[test]
fn every_job_has_its_line_and_every_failure_its_reason() {
    let frame = Frame {
        wall: Duration::from_millis(65_100),
        directory: Path::new("/project"),
        artifacts: Some(Path::new("/project/.runner/artifacts")),
        kept: None,
    };
    insta::assert_snapshot!(summary(&ledger(), frame, Palette::new(false)), @r"

      Job           Stage   Status       Time
    ✓ lint          test    passed       1.2s  tried 2 times · script 1.2s
    ✗ unit: [3.12]  test    failed     1m 05s  script 1m 04s
    ! flaky         test    failed       0.0s  allowed to fail · tried 3 times
    ✗ build         build   canceled     0.4s  script 0.4s
    – deploy        deploy  skipped         –  unit: [3.12] failed
    ▷ release it    deploy  manual          –  starts by hand: runner exec 'release it'

    unit: [3.12]: exit code 127 · log: .runner/logs/unit-3.12.log
      hint: pytest is not on this machine

    flaky: exit code 3

    6 jobs in 1m 05s: 1 passed, 1 failed, 1 failed as allowed, 1 canceled, 1 skipped, 1 manual
    artifacts: .runner/artifacts
    ");
}
