//! What the libraries trace, as lines of the log.

use std::{fmt, sync::Arc};

use runner_config::config::LogLevel;
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use super::{JobLines, line::Line};

/// How the names of our modules begin. What others trace is for whoever looks for a fault in them.
const OURS: [&str; 2] = ["runner_", "runner::"];

impl JobLines {
    /// Takes what our libraries trace as well. Where something else listens already, it stays so.
    pub(crate) fn listen(self: &Arc<Self>) {
        let registry = tracing_subscriber::registry().with(Traced(Arc::clone(self)));
        drop(registry.try_init());
    }
}

#[derive(Debug)]
struct Traced(Arc<JobLines>);

impl<S: Subscriber> Layer<S> for Traced {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warning,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => return,
        };
        if !OURS.iter().any(|ours| event.metadata().target().starts_with(ours)) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = Line::new(level, &fields.message);
        self.0.write(&fields.others.into_iter().fold(line, |line, (key, value)| line.with(key, value)));
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" { self.message = value } else { self.others.push((field.name(), value)) }
    }
}

#[cfg(test)]
mod tests {
    use runner_config::config::LogFormat;

    use super::{super::tests::Written, *};

    #[test]
    fn what_our_libraries_trace_is_in_the_log_and_nothing_of_others() {
        let written = Written::default();
        let lines = Arc::new(written.lines(LogLevel::Info, LogFormat::Text));
        let subscriber = tracing_subscriber::registry().with(Traced(Arc::clone(&lines)));
        tracing::subscriber::with_default(subscriber, || {
            let (job, error) = ("7", "read the list");
            tracing::warn!(target: "runner_core::run", job, error, count = 2, "cannot adopt a job yet");
            tracing::debug!(target: "runner_core::run", "hidden");
            tracing::error!(target: "hyper::proto", "hidden");
        });
        lines.close();
        assert_eq!(written.text(), "WARNING: cannot adopt a job yet job=7 error=\"read the list\" count=2\n");
    }
}
