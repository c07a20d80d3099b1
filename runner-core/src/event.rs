//! What happens, as data: an embedder picks what it does with it.

use std::{fmt, sync::Arc, time::Duration};

use crate::{JobEnd, JobId, Phase, PhaseRecord};

/// Something that happened in a [`Runner`](crate::Runner) or in a job of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A source is asked for a job, now or as soon as it wants to be asked.
    Asking {
        /// The name of the runner whose source it is.
        runner: String,
    },
    /// That is over, and nothing failed: the source answered, or it was told that no job is wanted any more.
    Asked {
        /// The name of the runner whose source it is.
        runner: String,
    },
    /// A source gave a job.
    Received {
        /// The name of the runner whose source it is.
        runner: String,
        /// The job.
        job: JobId,
        /// Its name.
        name: String,
        /// The number of its project.
        project: u64,
        /// How long it waited at the source, where the source says so.
        queued: Option<Duration>,
    },
    /// A job of an earlier process is taken over.
    Adopted {
        /// The name of the runner that it is of.
        runner: String,
        /// The job.
        job: JobId,
        /// Its name.
        name: String,
        /// The number of its project.
        project: u64,
    },
    /// Something happened within a job.
    Job {
        /// The job.
        job: JobId,
        /// What happened.
        event: JobEvent,
    },
    /// A source could not be asked, which ends that [`Asking`](Self::Asking); it is asked again after `again_in`.
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
        /// The class of the reason.
        class: WaitClass,
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
    /// The job is left to another process, or was taken over by one: nothing more is heard of it here.
    TakenOver,
}

/// What a job waits for before its script, in classes that are few enough to count each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitClass {
    /// A place to run.
    Scheduling,
    /// The start of its environment, about which nothing is known to be wrong.
    Starting,
    /// An image that cannot be had now.
    Image,
    /// An environment that cannot be started now.
    Trouble,
    /// A quota or a rule that lets no environment be made now.
    Refused,
}

impl WaitClass {
    /// The name, such as for a label of a metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduling => "scheduling",
            Self::Starting => "starting",
            Self::Image => "image",
            Self::Trouble => "trouble",
            Self::Refused => "refused",
        }
    }
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
