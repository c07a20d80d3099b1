//! Where a manager tells what it does: its log, its metrics and its health.

use std::{io, sync::Arc};

use runner_config::{Config, ReloadEvent};
use runner_core::EventSink;

use super::prepare::identity;
use crate::{
    fault::Fault, health::Health, job_lines::JobLines, jobs_seen::RunnerFacts, metrics::Metrics,
    monitor::Monitor, traces::Traces,
};

/// All of it.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) lines: Arc<JobLines>,
    metrics: Arc<Metrics>,
    health: Health,
    traces: Option<Arc<Traces>>,
}

impl Board {
    /// One for the manager that servers know as `system_id`.
    pub(super) fn new(system_id: &str, config: &Config, traces: Option<Traces>) -> Self {
        let metrics = Arc::new(Metrics::new(system_id));
        let lines = JobLines::new(config.log_level, config.log_format, Arc::clone(&metrics), io::stdout());
        let board =
            Self { lines: Arc::new(lines), metrics, health: Health::default(), traces: traces.map(Arc::new) };
        board.configured(config);
        board
    }

    /// Another config is used.
    pub(super) fn configured(&self, config: &Config) {
        let facts: Vec<_> =
            config.runners.iter().map(|runner| RunnerFacts::new(identity(runner), runner)).collect();
        self.lines.configure(config.log_level, config.log_format, &facts);
        self.metrics.config_loaded(config.concurrent, &facts);
        self.health.loaded(facts.iter().map(|runner| runner.key.as_str()));
    }

    /// Tells what became of a change of the config.
    pub(super) fn reloaded(&self, event: &ReloadEvent) {
        if matches!(event, ReloadEvent::Refused(_)) {
            self.metrics.config_failed();
        }
        self.lines.reload(event);
    }

    /// Takes what happens.
    pub(super) fn sink(&self) -> EventSink {
        let (lines, metrics, health) =
            (Arc::clone(&self.lines), Arc::clone(&self.metrics), self.health.clone());
        let traces = self.traces.clone();
        EventSink::new(move |event| {
            health.on_event(&event);
            metrics.on_event(&event);
            lines.on_event(&event);
            if let Some(traces) = &traces {
                traces.on_event(&event);
            }
        })
    }

    /// Sends and writes what is not yet.
    pub(super) async fn close(&self) {
        if let Some(traces) = self.traces.clone() {
            // It waits for the collector, on a thread that may wait.
            drop(tokio::task::spawn_blocking(move || traces.close()).await);
        }
        self.lines.close();
    }

    /// Listens where metrics and health are to be served, if anywhere.
    pub(super) async fn monitor(&self, address: Option<String>) -> Result<Option<Monitor>, Fault> {
        match address.filter(|address| !address.is_empty()) {
            Some(address) => {
                let monitor = Monitor::bind(&address, Arc::clone(&self.metrics), self.health.clone()).await?;
                if let Ok(address) = monitor.address() {
                    tracing::info!(%address, "metrics and health are served");
                }
                Ok(Some(monitor))
            }
            None => Ok(None),
        }
    }
}
