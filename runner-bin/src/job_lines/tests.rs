use std::time::{Duration, SystemTime};

use runner_config::Surroundings;
use runner_core::{Phase, WaitClass, outcome::PhaseRecord};

use super::*;

/// Where a test reads what was written.
#[derive(Clone, Default)]
pub(super) struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    pub(super) fn lines(&self, level: LogLevel, format: LogFormat) -> JobLines {
        let lines = JobLines::new(level, format, Arc::new(Metrics::new("s_1")), self.clone());
        let token = "8cvaznryh".to_owned();
        let runner =
            RunnerFacts { key: "0".into(), token, name: "build".into(), executor: "shell", limit: 0 };
        lines.configure(level, format, &[runner]);
        lines
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn of(id: &str, event: JobEvent) -> Event {
    Event::Job { job: JobId::new(id), event }
}

fn ended(id: &str, outcome: JobOutcome) -> Event {
    let end = JobEnd { outcome, reported: true, script_begun: true, log: None, phases: Vec::new() };
    of(id, JobEvent::Ended(end))
}

fn received(id: &str) -> Event {
    let (job, name, queued) = (JobId::new(id), "unit tests".to_owned(), Some(Duration::from_secs(4)));
    Event::Received { runner: "0".into(), job, name, project: 75_488_734, queued }
}

async fn live(lines: &JobLines) {
    lines.on_event(&received("123"));
    lines.on_event(&of("123", JobEvent::Starting { slot: 0 }));
    let reason = "waiting for the scheduler".to_owned();
    lines.on_event(&of("123", JobEvent::Waiting { class: WaitClass::Scheduling, reason }));
    let usage = runner_core::Usage::default();
    let record = PhaseRecord {
        phase: Phase::Script,
        began: SystemTime::UNIX_EPOCH,
        duration: Duration::from_millis(1500),
        usage,
    };
    lines.on_event(&of("123", JobEvent::PhaseEnded(record)));
    tokio::time::advance(Duration::from_millis(202_960)).await;
    lines.on_event(&ended("123", JobOutcome::Succeeded));
    for (id, outcome) in [
        ("124", JobOutcome::script_failed(2)),
        ("125", JobOutcome::failed(FailureReason::RunnerSystemFailure, "the pod is gone")),
        ("126", JobOutcome::Canceled),
    ] {
        lines.on_event(&received(id));
        lines.on_event(&ended(id, outcome));
    }
    let (runner, error) = ("0".to_owned(), "ask for a job (status 502)".to_owned());
    lines.on_event(&Event::SourceFailed { runner, error, again_in: Duration::from_secs(2) });
    lines.on_event(&Event::Draining { running: 2 });
    lines.close();
}

#[tokio::test(start_paused = true)]
async fn people_find_the_lines_that_they_search_for() {
    let written = Written::default();
    live(&written.lines(LogLevel::Info, LogFormat::Text)).await;
    insta::assert_snapshot!(written.text(), @r#"
    Checking for jobs... received project=75488734 job=123 runner=8cvaznryh name="unit tests" queued_s=4
    Job waits: waiting for the scheduler project=75488734 job=123 runner=8cvaznryh reason=scheduling
    Job succeeded duration_s=202.96 project=75488734 job=123 job-status=success runner=8cvaznryh
    Checking for jobs... received project=75488734 job=124 runner=8cvaznryh name="unit tests" queued_s=4
    WARNING: Job failed: exit code 2 duration_s=0 project=75488734 job=124 job-status=failed failure_reason=script_failure exit_code=2 runner=8cvaznryh
    Checking for jobs... received project=75488734 job=125 runner=8cvaznryh name="unit tests" queued_s=4
    ERROR: Job failed (system failure): the pod is gone duration_s=0 project=75488734 job=125 job-status=failed failure_reason=runner_system_failure runner=8cvaznryh
    Checking for jobs... received project=75488734 job=126 runner=8cvaznryh name="unit tests" queued_s=4
    Job canceled duration_s=0 project=75488734 job=126 job-status=canceled runner=8cvaznryh
    WARNING: Checking for jobs... failed runner=8cvaznryh runner_name=build error="ask for a job (status 502)" again_in_s=2
    Draining: no more jobs are taken running=2
    "#);
}

#[tokio::test(start_paused = true)]
async fn lines_of_json_hold_the_same_as_values() {
    let written = Written::default();
    live(&written.lines(LogLevel::Debug, LogFormat::Json)).await;
    let text = written.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let succeeded = lines.iter().find(|line| line["msg"] == "Job succeeded").unwrap();
    assert_eq!((&succeeded["job"], &succeeded["duration_s"]), (&Value::from(123), &Value::from(202.96)));
    assert_eq!((&succeeded["level"], &succeeded["job-status"]), (&"info".into(), &"success".into()));
    let ended = lines.iter().find(|line| line["msg"] == "Phase ended").unwrap();
    assert_eq!((&ended["level"], &ended["stage"]), (&"debug".into(), &"step_script".into()));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_severe_enough_is_written_and_all_of_it_is_counted() {
    let written = Written::default();
    let lines = written.lines(LogLevel::Error, LogFormat::Text);
    live(&lines).await;
    assert_eq!(written.text().lines().count(), 1, "{}", written.text());
    let metrics = lines.metrics.text();
    for expected in ["{level=\"error\"} 1\n", "{level=\"warning\"} 2\n"] {
        assert!(metrics.contains(&format!("gitlab_runner_errors_total{expected}")), "{metrics}");
    }
}

#[test]
fn each_mistake_of_a_config_has_its_line() {
    let written = Written::default();
    let lines = written.lines(LogLevel::Info, LogFormat::Text);
    let text = "concurent = 4\n[[runners]]\nurl = \"https://g\"\ntoken = \"t\"\nexecutor = \"shel\"\n";
    let mistakes = runner_config::parse("config.toml", text).resolve(&Surroundings::default()).unwrap_err();
    lines.reload(&ReloadEvent::Refused(LoadError::Wrong(mistakes)));
    let (message, mend) = ("`user` has no effect".to_owned(), "take it out".to_owned());
    lines.finding(&Finding { severity: Severity::Warning, message, mend });
    lines.close();
    insta::assert_snapshot!(written.text(), @r#"
    ERROR: Failed to load config: config.toml:1:1: unknown key `concurent` help="did you mean `concurrent`?"
    ERROR: Failed to load config: config.toml:5:12: there is no "shel" help="did you mean \"shell\"?"
    WARNING: `user` has no effect help="take it out"
    "#);
}

/// Takes nothing before it may.
struct Stuck(std::sync::mpsc::Receiver<()>, Written);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Once the test has dropped its end, nothing is waited for any more.
        self.0.recv().ok();
        self.1.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_is_stuck_holds_up_nothing_and_is_told_what_was_lost() {
    let (release, may) = std::sync::mpsc::channel();
    let written = Written::default();
    let stuck = Stuck(may, written.clone());
    let lines = JobLines::new(LogLevel::Info, LogFormat::Text, Arc::new(Metrics::new("s_1")), stuck);
    // One more may be with the writer, and the others wait.
    for _ in 0..MOST_WAITING + 11 {
        lines.reload(&ReloadEvent::Unchanged);
    }
    let lost = lines.lost.load(Ordering::Relaxed);
    assert!((10..=11).contains(&lost), "{lost}");
    drop(release);
    lines.close();
    let text = written.text();
    let told = format!("\nWARNING: Lines were lost: nobody took them lines={lost}\n");
    assert!(text.ends_with(&told), "{text}");
    assert_eq!(text.lines().count() as u64, MOST_WAITING as u64 + 12 - lost);
}
