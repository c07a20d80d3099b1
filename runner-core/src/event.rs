//! What happens, as data: an embedder picks what it does with it.

use std::{fmt, sync::Arc, time::Duration};

use crate::{JobEnd, JobId, Phase, PhaseRecord};

/// Something that happened in a [`Runner`](crate::Runner) or in a job of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A source gave a job.
    Received {
        /// The job.
        job: JobId,
        /// Its name.
        name: String,
    },
    /// Something happened within a job.
    Job {
        /// The job.
        job: JobId,
        /// What happened.
        event: JobEvent,
    },
    /// A source could not be asked; it is asked again after `again_in`.
    SourceFailed {
        /// The name of the runner whose source it is.
        runner: String,
        /// Why.
        error: String,
        /// How long until the next try.
        again_in: Duration,
    },
    /// The loop takes no more jobs.
    Draining {
        /// How many jobs still run.
        running: usize,
    },
}

/// Something that happened within a job.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum JobEvent {
    /// The environment is being made, in slot number `slot`.
    Starting {
        /// The number of the slot, from 0.
        slot: usize,
    },
    /// The job waits for something, such as an image; said again only when the reason changes.
    Waiting {
        /// For what, in one line.
        reason: String,
    },
    /// A phase began.
    PhaseStarted(Phase),
    /// A phase ended.
    PhaseEnded(PhaseRecord),
    /// Something a person should know that is no failure.
    Notice(String),
    /// The job ended and everything of it is removed.
    Ended(JobEnd),
}

/// Takes events. Cheap to clone; [`EventSink::default`] drops them.
///
/// The function is called from the task in which the event happens: it must return at once and must not block.
#[derive(Clone, Default)]
pub struct EventSink(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl EventSink {
    /// A sink that calls `take` for each event.
    pub fn new(take: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(take)))
    }

    /// Hands on `event`.
    pub fn send(&self, event: Event) {
        if let Some(take) = &self.0 {
            take(event);
        }
    }

    /// Hands on what happened within `job`.
    pub fn job(&self, job: &JobId, event: JobEvent) {
        self.send(Event::Job { job: job.clone(), event });
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EventSink")
    }
}
