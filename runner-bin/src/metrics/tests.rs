use std::time::SystemTime;

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc, time::Duration};

use runner_core::{
    EventSink, FailureReason, JobId, JobSpec, Runner, SavedLease, Secret, Usage, WaitClass,
    outcome::PhaseRecord,
    run::{RunnerConfig, Shutdown, ShutdownLevel},
};
use runner_testkit::{FakeExecutor, FakeJob, ScriptedSource};

use super::*;

fn runners() -> Vec<RunnerFacts> {
    vec![RunnerFacts {
        key: "0".into(),
        token: "8cvaznryh".into(),
        name: "build \"fast\"".into(),
        executor: "kubernetes",
        limit: 3,
    }]
}

fn metrics() -> Metrics {
    let metrics = Metrics::new("s_0123456789ab");
    metrics.config_loaded(10, &runners());
    metrics
}

fn received(id: &str, project: u64) -> Event {
    let (job, name, queued) = (JobId::new(id), format!("job {id}"), Some(Duration::from_secs(7)));
    Event::Received { runner: "0".into(), job, name, project, queued }
}

fn of(id: &str, event: JobEvent) -> Event {
    Event::Job { job: JobId::new(id), event }
}

fn ended(id: &str, outcome: JobOutcome) -> Event {
    let usage = Usage::default();
    let phases = vec![PhaseRecord {
        phase: Phase::GetSources,
        began: SystemTime::UNIX_EPOCH,
        duration: Duration::from_millis(700),
        usage,
    }];
    of(id, JobEvent::Ended(JobEnd { outcome, reported: true, script_begun: true, log: None, phases }))
}

/// A day in the life of a manager, with one of everything.
async fn lived() -> Metrics {
    let metrics = metrics();
    metrics.config_failed();
    metrics.told(ErrorLevel::warning);
    let asking = Event::Asking { runner: "0".into() };
    metrics.on_event(&asking);
    metrics.on_event(&Event::Asked { runner: "0".into() });
    metrics.on_event(&received("1", 1));
    metrics.on_event(&of("1", JobEvent::Starting { slot: 0 }));
    let reason = "an image".to_owned();
    metrics.on_event(&of("1", JobEvent::Waiting { class: WaitClass::Image, reason }));
    tokio::time::advance(Duration::from_secs(4)).await;
    metrics.on_event(&of("1", JobEvent::PhaseStarted(Phase::Script)));
    tokio::time::advance(Duration::from_secs(40)).await;
    metrics.on_event(&ended("1", JobOutcome::failed(FailureReason::ImagePullFailure, "no")));
    metrics.on_event(&received("2", 2));
    metrics.on_event(&of("2", JobEvent::Starting { slot: 0 }));
    metrics.on_event(&of("2", JobEvent::PhaseStarted(Phase::GetSources)));
    metrics.on_event(&received("3", 3));
    let (job, name) = (JobId::new("4"), "old".to_owned());
    metrics.on_event(&Event::Adopted { runner: "0".into(), job, name, project: 4 });
    metrics.on_event(&ended("4", JobOutcome::Succeeded));
    metrics.on_event(&asking);
    metrics
}

#[tokio::test(start_paused = true)]
async fn a_real_run_loop_is_counted() {
    let metrics = Arc::new(metrics());
    let health = crate::health::Health::default();
    health.loaded(["0"]);
    let (counting, hearing) = (Arc::clone(&metrics), health.clone());
    let events = EventSink::new(move |event| {
        counting.on_event(&event);
        hearing.on_event(&event);
    });
    let plan = [("bad", FakeJob::Fails(3)), ("lost", FakeJob::NeverStarts)];
    let (source, executor) = (ScriptedSource::open("0"), FakeExecutor::new(plan));
    let stored = JobSpec::new("old", "old");
    executor.leave_behind(SavedLease { runner: "0".into(), job: Arc::new(stored), state: Secret::default() });
    for name in ["good", "bad", "lost"] {
        source.push(JobSpec::new(name, name));
    }
    let config = RunnerConfig::new("0", Arc::clone(&source) as _, executor as _);
    let runner = Runner::builder().concurrent(NonZeroUsize::MIN).runner(config).events(events).build();
    let shutdown = Shutdown::new();
    let judge = async {
        source.report("lost").ended().await;
        assert_eq!(health.readiness(), Ok(()));
        shutdown.raise(ShutdownLevel::Drain);
    };
    let (summary, ()) = tokio::join!(runner.run(&shutdown), judge);
    assert_eq!((summary.succeeded, summary.failed), (2, 2));
    assert!(health.readiness().unwrap_err().contains("draining"));
    let text = samples(&metrics.text(), "");
    for expected in [
        "gitlab_runner_jobs_total{RUNNER} 3",
        "gitlab_runner_failed_jobs_total{RUNNER,failure_reason=\"script_failure\"} 1",
        "gitlab_runner_failed_jobs_total{RUNNER,failure_reason=\"runner_system_failure\"} 1",
        "gitlab_runner_job_duration_seconds_count{RUNNER} 3",
        "gitlab_runner_request_concurrency{RUNNER} 0",
        "runner_adopted_jobs_total{RUNNER} 1",
    ] {
        assert!(text.lines().any(|line| line == expected), "no {expected} in {text}");
    }
    assert!(!text.contains("gitlab_runner_jobs{"), "no job runs any more: {text}");
}

/// The samples whose name begins with `prefix`, without those that every scrape has other values of.
fn samples(text: &str, prefix: &str) -> String {
    let wanted = |line: &&str| line.starts_with(prefix) && !line.contains("_bucket{");
    let mut lines: Vec<_> = text.lines().filter(wanted).collect();
    // The order of samples with other labels is any.
    lines.sort_unstable();
    lines.join("\n").replace(
        "runner=\"8cvaznryh\",runner_name=\"build \\\"fast\\\"\",system_id=\"s_0123456789ab\"",
        "RUNNER",
    )
}

#[tokio::test(start_paused = true)]
async fn dashboards_find_the_names_and_labels_that_they_know() {
    let text = lived().await.text();
    insta::assert_snapshot!(samples(&text, "gitlab_runner_").replace(env!("CARGO_PKG_VERSION"), "VERSION").replace(std::env::consts::ARCH, "ARCH"), @r#"
    gitlab_runner_concurrent 10
    gitlab_runner_configuration_loaded_total 1
    gitlab_runner_configuration_loading_error_total 1
    gitlab_runner_errors_total{level="error"} 0
    gitlab_runner_errors_total{level="warning"} 1
    gitlab_runner_failed_jobs_total{RUNNER,failure_reason="image_pull_failure"} 1
    gitlab_runner_job_duration_seconds_count{RUNNER} 1
    gitlab_runner_job_duration_seconds_sum{RUNNER} 44.0
    gitlab_runner_job_queue_duration_seconds_count{RUNNER} 3
    gitlab_runner_job_queue_duration_seconds_sum{RUNNER} 21.0
    gitlab_runner_jobs_total{RUNNER} 3
    gitlab_runner_jobs{RUNNER,executor="kubernetes",state="pending",stage=""} 1
    gitlab_runner_jobs{RUNNER,executor="kubernetes",state="running",stage="get_sources"} 1
    gitlab_runner_limit{RUNNER} 3
    gitlab_runner_request_concurrency{RUNNER} 1
    gitlab_runner_version_info{name="runner",version="VERSION",compatible_version="19.4.0",os="linux",architecture="ARCH"} 1
    "#);
    insta::assert_snapshot!(samples(&text, "runner_"), @r#"
    runner_adopted_jobs_total{RUNNER} 1
    runner_job_phase_duration_seconds_count{phase="get_sources"} 2
    runner_job_phase_duration_seconds_sum{phase="get_sources"} 1.4
    runner_job_startup_duration_seconds_count 1
    runner_job_startup_duration_seconds_sum 4.0
    runner_job_waits_total{reason="image"} 1
    "#);
    assert!(text.contains("gitlab_runner_job_duration_seconds_bucket{runner=\"8cvaznryh\""));
    assert!(text.contains("le=\"30\"} 0\n") && text.contains("le=\"60\"} 1\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_process_is_measured() {
    let text = metrics().text();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse::<f64>().unwrap()
    };
    assert!(value("process_resident_memory_bytes") > f64::from(1 << 20));
    assert!(value("process_start_time_seconds") > 1e9 && value("process_open_fds") >= 3.0);
    assert!(value("process_cpu_seconds_total") >= 0.0);
}

#[tokio::test(start_paused = true)]
async fn more_jobs_and_projects_make_no_more_lines() {
    let metrics = metrics();
    let mut lines = Vec::new();
    for number in 0..1000 {
        let id = number.to_string();
        metrics.on_event(&received(&id, number));
        metrics.on_event(&of(&id, JobEvent::Starting { slot: 0 }));
        metrics.on_event(&ended(&id, JobOutcome::script_failed(1)));
        if number % 500 == 1 {
            lines.push(metrics.text().lines().count());
        }
    }
    assert_eq!(lines[0], lines[1]);
}

#[test]
fn a_runner_that_the_config_has_no_more_has_no_limit() {
    let metrics = metrics();
    metrics.config_loaded(2, &[]);
    let text = metrics.text();
    assert!(
        text.contains("\ngitlab_runner_concurrent 2\n") && !text.contains("\ngitlab_runner_limit{"),
        "{text}"
    );
}

#[test]
fn a_request_ends_also_where_its_runner_got_another_token_meanwhile() {
    let metrics = metrics();
    let requests = || samples(&metrics.text(), "gitlab_runner_request_concurrency{");
    metrics.on_event(&Event::Asking { runner: "0".into() });
    assert!(requests().ends_with("} 1"), "{}", requests());
    metrics.config_loaded(10, &[RunnerFacts { token: "another".into(), ..runners().remove(0) }]);
    metrics.on_event(&Event::Asking { runner: "0".into() });
    metrics.on_event(&Event::Asked { runner: "0".into() });
    assert!(requests().ends_with("} 1") && requests().lines().count() == 1, "{}", requests());
    let error = "no".to_owned();
    metrics.on_event(&Event::SourceFailed { runner: "0".into(), error, again_in: Duration::ZERO });
    assert!(requests().ends_with("} 0") && requests().lines().count() == 1, "{}", requests());
}

/// Writes the text where `just metrics` has promtool read it.
#[tokio::test(start_paused = true)]
async fn the_text_is_in_the_format_of_prometheus() {
    let text = lived().await.text();
    if let Some(path) = std::env::var_os("METRICS_TEXT") {
        fs_err::write(path, &text).unwrap();
    }
    let mut kinds = HashMap::new();
    let mut helped = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(!help.is_empty(), "{line}");
            helped.push(name.to_owned());
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            assert_eq!(helped.last().map(String::as_str), Some(name), "the help comes first");
            assert_eq!(kinds.insert(name.to_owned(), kind.to_owned()), None, "{name} is there twice");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = name.split('{').next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = of_histogram.filter(|name| kinds.get(*name).is_some_and(|kind| kind == "histogram"));
            let kind = kinds.get(family.unwrap_or(name)).unwrap_or_else(|| panic!("{name} has no type"));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        }
    }
    let document = include_str!("../../../docs/monitoring.md");
    for name in kinds.keys() {
        assert!(document.contains(&format!("`{name}`")), "docs/monitoring.md does not tell of {name}");
    }
}
