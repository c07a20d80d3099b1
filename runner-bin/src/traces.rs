//! Traces of jobs, for a collector of OpenTelemetry: a span for each job, and in it one for each part of its way.
//!
//! They are made when a job has ended, of what was seen of it and of what its agent recorded: while a job runs nobody
//! waits for a collector. The names of attributes are those of the conventions for CI/CD.

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use runner_config::{config::Tls, registration::Server};
use runner_core::{Event, JobEnd, JobEvent, JobId, JobOutcome, PhaseRecord};

use crate::{cli::accounts::Variables, connection::connection};

mod post;

use post::Post;

/// Where the collector takes traces, as it is.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// Where the collector is; its traces have a path below that.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How long the last spans may take to be sent.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What makes the spans of jobs.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    jobs: Mutex<HashMap<JobId, Way>>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Traces").finish_non_exhaustive()
    }
}

/// What is known of a job on its way.
#[derive(Debug, Clone)]
struct Way {
    runner: String,
    name: String,
    project: u64,
    /// When it was made at its source, where that says so.
    made: Option<SystemTime>,
    /// When it came to this process.
    came: SystemTime,
    is_adopted: bool,
}

impl Traces {
    /// Traces for the collector that the environment names, as `OpenTelemetry` has it; `None` where it names none.
    ///
    /// # Errors
    /// The collector's address, or what reaching it takes, is wrong.
    pub(crate) fn from_environment(variables: &Variables, system_id: &str) -> anyhow::Result<Option<Self>> {
        let is_disabled =
            variables.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let Some(endpoint) = endpoint(variables).filter(|_| !is_disabled) else { return Ok(None) };
        let server = Server { url: endpoint.clone(), tls: Tls::default() };
        let client = runner_gitlab::http_client(&connection(&server, Path::new("/"), variables)?)?;
        // The library reads the rest of the environment: headers, time limits, attributes.
        let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint);
        let exporter = exporter.with_http_client(Post::new(client)).build()?;
        let resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", system_id.to_owned()));
        let resource = match variables.get("OTEL_SERVICE_NAME") {
            Some(_) => resource.build(),
            None => resource.with_service_name("runner").build(),
        };
        Ok(Some(Self::new(
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build(),
        )))
    }

    fn new(provider: SdkTracerProvider) -> Self {
        Self { tracer: provider.tracer("runner"), provider, jobs: Mutex::default() }
    }

    /// Takes note of an event.
    pub(crate) fn on_event(&self, event: &Event) {
        match event {
            Event::Received { runner, job, name, project, queued } => {
                let came = SystemTime::now();
                let made = queued.and_then(|queued| came.checked_sub(queued));
                self.add(job, Way { made, ..Way::new(runner, name, *project, came) });
            }
            Event::Adopted { runner, job, name, project } => {
                self.add(
                    job,
                    Way { is_adopted: true, ..Way::new(runner, name, *project, SystemTime::now()) },
                );
            }
            Event::Job { job, event: JobEvent::TakenOver } => drop(self.jobs().remove(job)),
            Event::Job { job, event: JobEvent::Ended(end) } => {
                let way = self.jobs().remove(job);
                if let Some(way) = way {
                    self.tell(job, &way, end, SystemTime::now());
                }
            }
            _ => {}
        }
    }

    fn add(&self, job: &JobId, way: Way) {
        self.jobs().insert(job.clone(), way);
    }

    /// Sends what is not sent yet. Blocks for a few seconds at most.
    pub(crate) fn close(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_WORD) {
            tracing::warn!(%error, "the last traces of jobs are not sent");
        }
    }

    /// Makes the spans of a job that ended.
    fn tell(&self, job: &JobId, way: &Way, end: &JobEnd, ended: SystemTime) {
        let first = end.phases.first().map(|phase| phase.began);
        let start = [way.made, Some(way.came), first.filter(|_| way.is_adopted)];
        let start = start.into_iter().flatten().min().unwrap_or(way.came);
        let mut attributes = vec![
            KeyValue::new("cicd.pipeline.task.name", way.name.clone()),
            KeyValue::new("cicd.pipeline.task.run.id", job.to_string()),
            KeyValue::new("cicd.pipeline.task.run.result", result(&end.outcome)),
            KeyValue::new("cicd.worker.name", way.runner.clone()),
            KeyValue::new("gitlab.project.id", i64::try_from(way.project).unwrap_or(i64::MAX)),
        ];
        if let JobOutcome::Failed(failure) = &end.outcome {
            attributes.push(KeyValue::new("error.type", failure.reason.as_str()));
        }
        let root = self.tracer.span_builder("job").with_kind(SpanKind::Consumer);
        let mut root = root.with_start_time(start).with_attributes(attributes).start(&self.tracer);
        if let JobOutcome::Failed(failure) = &end.outcome {
            root.set_status(Status::error(failure.message.clone()));
        }
        let within = Context::new().with_span(root);
        if let Some(made) = way.made {
            self.part("queued", (made, way.came), &within);
        }
        if let Some(first) = first.filter(|_| !way.is_adopted) {
            self.part("starting", (way.came, first), &within);
        }
        for PhaseRecord { phase, began, duration, .. } in &end.phases {
            self.part(phase.section(), (*began, *began + *duration), &within);
        }
        if let Some(last) = end.phases.last() {
            self.part("cleaning up", (last.began + last.duration, ended), &within);
        }
        within.span().end_with_timestamp(ended);
    }

    /// A part of a job's way. Clocks of two machines may differ: none ends before it begins.
    fn part(&self, name: &'static str, (start, end): (SystemTime, SystemTime), within: &Context) {
        let builder = self.tracer.span_builder(name).with_start_time(start);
        builder.start_with_context(&self.tracer, within).end_with_timestamp(end.max(start));
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, Way>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    fn new(runner: &str, name: &str, project: u64, came: SystemTime) -> Self {
        let (runner, name) = (runner.to_owned(), name.to_owned());
        Self { runner, name, project, made: None, came, is_adopted: false }
    }
}

fn endpoint(variables: &Variables) -> Option<String> {
    let value = |name| variables.get(name).filter(|value| !value.is_empty());
    let below = || value(ENDPOINT).map(|base| format!("{}/v1/traces", base.trim_end_matches('/')));
    value(TRACES_ENDPOINT).cloned().or_else(below)
}

/// An outcome, as the conventions call it.
fn result(outcome: &JobOutcome) -> &'static str {
    match outcome {
        JobOutcome::Succeeded => "success",
        JobOutcome::Canceled => "cancellation",
        JobOutcome::Failed(failure) if failure.exit_code.is_some() => "failure",
        JobOutcome::Failed(_) => "error",
    }
}

#[cfg(test)]
mod tests;
