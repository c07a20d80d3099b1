use std::time::SystemTime;

use std::{
    io::{self, Write},
    sync::Mutex,
    thread,
};

use runner_core::{Failure, FailureReason, JobEnd, JobOutcome, PhaseRecord, Usage, outcome::LogDigest};

use super::*;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn progress(job: &str, status: JobStatus, attempt: u32) -> JobProgress {
    let ran = status.is_final().then_some(Duration::from_secs(2));
    JobProgress {
        name: job.into(),
        stage: "test".into(),
        id: JobId::new(format!("{job}-{attempt}")),
        attempt,
        status,
        previous: (attempt > 1).then(failure),
        queued: Duration::from_millis(5),
        ran,
    }
}

fn failure() -> Failure {
    Failure { reason: FailureReason::ScriptFailure, exit_code: Some(127), message: "exit code 127".into() }
}

/// What is told of a job `a` (with an image) and a job `b`, and where the logs are.
async fn tell(story: impl AsyncFnOnce(&Narrator)) -> (String, Told, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let out = Shared::default();
    let role = |name: &str| Role { name: name.into(), stage: "test".into(), needs: None };
    let (narrator, narration) = Narrator::new(Cast {
        jobs: vec![(role("a"), Some("alpine:3".into())), (role("b"), None)],
        logs: LogFiles::new(directory.path(), ["a", "b"]),
        painter: Painter::new(Box::new(out.clone())),
        terminal: None,
        palette: Palette::new(false),
        is_local: true,
    });
    let telling = thread::spawn(move || narration.run());
    story(&narrator).await;
    narrator.over();
    let told = telling.join().unwrap();
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    (text, told, directory)
}

#[tokio::test]
async fn a_job_that_fails_is_told_with_its_log_its_phases_and_a_hint() {
    let (text, told, directory) = tell(async |narrator| {
        narrator.note("something to know");
        narrator.changed("a", &progress("a", JobStatus::Running, 1));
        narrator.log("a", Bytes::from_static(b"sh: 1: helm: not found\n")).await;
        let ended = JobStatus::Failed { failure: failure(), allowed: false };
        narrator.changed("a", &progress("a", ended, 1));
        let script = PhaseRecord {
            phase: Phase::Script,
            began: SystemTime::UNIX_EPOCH,
            duration: Duration::from_secs(1),
            usage: Usage::default(),
        };
        let end = JobEnd {
            outcome: JobOutcome::script_failed(127),
            reported: true,
            script_begun: true,
            log: Some(LogDigest::default()),
            phases: vec![script],
        };
        narrator.event(Event::Job { job: JobId::new("a-1"), event: JobEvent::Ended(end) });
        let skipped = JobStatus::Skipped { because: "`a` failed".into() };
        narrator.changed("b", &JobProgress { ran: None, ..progress("b", skipped, 1) });
    })
    .await;
    insta::assert_snapshot!(text, @r"
    note: something to know
    a │ sh: 1: helm: not found
    a ✗ failed: exit code 127 (2.0s)
    ");
    let [a, b] = &told.ledger.entries[..] else { panic!() };
    assert_eq!(a.phases.len(), 1);
    assert!(a.hint.as_ref().unwrap().contains("alpine:3"));
    assert_eq!(a.log.as_deref(), Some(&*directory.path().join("a.log")));
    assert_eq!(fs_err::read_to_string(directory.path().join("a.log")).unwrap(), "sh: 1: helm: not found\n");
    assert_eq!(b.state, State::Ended(Ending::Skipped("`a` failed".into())));
    assert_eq!((b.log.as_ref(), b.total), (None, None));
    assert_eq!(told.notes, ["something to know"]);
    assert!(told.ledger.failed());
}

#[tokio::test]
async fn a_job_that_is_tried_again_says_so_and_keeps_one_log() {
    let (text, told, directory) = tell(async |narrator| {
        for attempt in [1, 2] {
            narrator.changed("a", &progress("a", JobStatus::Ready, attempt));
            narrator.changed("a", &progress("a", JobStatus::Running, attempt));
            narrator.log("a", Bytes::from(format!("try {attempt}"))).await;
        }
        narrator.changed("a", &progress("a", JobStatus::Succeeded, 2));
    })
    .await;
    insta::assert_snapshot!(text, @r"
    a │ try 1
    a ! exit code 127; it is tried again
    a │ try 2
    a ✓ passed (2.0s)
    ");
    let entry = &told.ledger.entries[0];
    assert_eq!((&entry.state, entry.attempts), (&State::Ended(Ending::Succeeded), 2));
    assert_eq!(fs_err::read_to_string(directory.path().join("a.log")).unwrap(), "try 1\ntry 2\n");
}

#[tokio::test]
async fn more_than_fits_waits_until_it_is_shown() {
    let (text, _, _directory) = tell(async |narrator| {
        narrator.changed("a", &progress("a", JobStatus::Running, 1));
        let line = Bytes::from(vec![b'x'; MOST_UNSHOWN * 2]);
        narrator.log("a", line).await;
        narrator.log("b", Bytes::from_static(b"after\n")).await;
        assert!(narrator.room.available_permits() <= MOST_UNSHOWN);
    })
    .await;
    assert_eq!(text.matches('x').count(), MOST_UNSHOWN * 2);
}
