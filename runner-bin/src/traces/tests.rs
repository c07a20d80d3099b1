use std::time::Duration;

use opentelemetry::Value;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use runner_core::{Failure, FailureReason, Phase, Usage};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

use super::*;

fn spans(events: &[Event]) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let traces = Traces::new(SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build());
    for event in events {
        traces.on_event(event);
    }
    exporter.get_finished_spans().unwrap()
}

fn received(queued: Option<Duration>) -> Event {
    let (runner, name) = ("8cvaznryh".into(), "build".into());
    Event::Received { runner, job: JobId::new("7"), name, project: 42, queued }
}

fn ended(outcome: JobOutcome) -> Event {
    let phase = |phase, began| PhaseRecord {
        phase,
        began: SystemTime::now() + Duration::from_secs(began),
        duration: Duration::from_secs(2),
        usage: Usage::default(),
    };
    let phases = vec![phase(Phase::GetSources, 1), phase(Phase::Script, 3)];
    let end = JobEnd { outcome, reported: true, script_begun: true, log: None, phases };
    Event::Job { job: JobId::new("7"), event: JobEvent::Ended(end) }
}

fn attribute(span: &SpanData, name: &str) -> Option<Value> {
    span.attributes.iter().find(|pair| pair.key.as_str() == name).map(|pair| pair.value.clone())
}

#[test]
fn a_job_is_a_span_with_one_for_each_part_of_its_way() {
    let spans = spans(&[received(Some(Duration::from_secs(5))), ended(JobOutcome::Succeeded)]);
    let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["queued", "starting", "get_sources", "step_script", "cleaning up", "job"]);
    let job = spans.last().unwrap();
    assert!(spans[..5].iter().all(|span| span.parent_span_id == job.span_context.span_id()));
    assert!(spans.iter().all(|span| span.start_time <= span.end_time && job.start_time <= span.start_time));
    assert_eq!(attribute(job, "cicd.pipeline.task.run.result"), Some("success".into()));
    assert_eq!(attribute(job, "cicd.pipeline.task.name"), Some("build".into()));
    assert_eq!(attribute(job, "gitlab.project.id"), Some(Value::I64(42)));
    let script = &spans[3];
    assert_eq!(script.end_time.duration_since(script.start_time).unwrap(), Duration::from_secs(2));
}

#[test]
fn a_failure_says_whose_it_is() {
    let failure =
        Failure { reason: FailureReason::ScriptFailure, exit_code: Some(2), message: "exit code 2".into() };
    let failed = spans(&[received(None), ended(JobOutcome::Failed(failure))]);
    let job = failed.last().unwrap();
    assert_eq!(attribute(job, "cicd.pipeline.task.run.result"), Some("failure".into()));
    assert_eq!(attribute(job, "error.type"), Some("script_failure".into()));
    assert_eq!(job.status, Status::error("exit code 2"));
    let lost = JobOutcome::failed(FailureReason::RunnerSystemFailure, "the pod is gone");
    let lost = spans(&[received(None), ended(lost)]);
    assert_eq!(attribute(lost.last().unwrap(), "cicd.pipeline.task.run.result"), Some("error".into()));
}

#[test]
fn a_job_that_another_manager_has_leaves_no_span() {
    let left = Event::Job { job: JobId::new("7"), event: JobEvent::TakenOver };
    assert!(spans(&[received(None), left, ended(JobOutcome::Succeeded)]).is_empty());
}

#[tokio::test]
async fn without_a_collector_there_are_none() {
    let variables = Variables::new();
    assert!(Traces::from_environment(&variables, "s_1").unwrap().is_none());
    let disabled = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_SDK_DISABLED", "true")];
    let disabled = disabled.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert!(Traces::from_environment(&disabled, "s_1").unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_posted_to_the_collector() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), address)].into();
    let mut collecting = JoinSet::new();
    collecting.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        // The body ends with a name that only the last span has.
        while !request.windows(8).any(|part| part == b"build-42") {
            let mut part = [0; 4096];
            let count = stream.read(&mut part).await.unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&part[..count]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request).into_owned()
    });
    let traces = Traces::from_environment(&variables, "s_1").unwrap().unwrap();
    let (runner, name) = ("8cvaznryh".into(), "build-42".into());
    traces.on_event(&Event::Received { runner, job: JobId::new("7"), name, project: 42, queued: None });
    traces.on_event(&ended(JobOutcome::Succeeded));
    tokio::task::spawn_blocking(move || traces.close()).await.unwrap();
    let request = collecting.join_next().await.unwrap().unwrap();
    assert!(request.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/x-protobuf"), "{request}");
}
