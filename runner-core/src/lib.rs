//! The contracts and the domain of a CI job executor.
//!
//! A [`JobSource`] hands out jobs, an [`Executor`] runs each of them in an environment made for it alone, a
//! [`CacheBackend`] keeps dependencies between jobs, and [`Runner`] drives them. This crate knows no cluster, no
//! cloud, no HTTP and no file system: those are the business of the crates that implement its traits.

pub mod agent;
pub mod artifact;
pub mod cache;
pub mod error;
pub mod event;
pub mod executor;
pub mod finding;
pub mod go_duration;
pub mod job;
pub mod log;
pub mod outcome;
pub mod queue;
pub mod report;
pub mod run;
pub mod secret;
pub mod source;

pub use artifact::{ArtifactStore, ArtifactUpload};
pub use cache::{CacheBackend, CacheFormat, CacheScope, Location, ReadGrant, SignedUrl, WriteGrant};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, EventSink, JobEvent, WaitClass};
pub use executor::{Executor, JobContext, JobHandle, RunningJob};
pub use finding::{Finding, Severity};
pub use job::{JobId, JobSpec};
pub use outcome::{Failure, FailureReason, JobEnd, JobOutcome, Phase, PhaseRecord, Usage};
pub use queue::{JobQueue, QueuedJob};
pub use run::{Runner, RunnerBuilder};
pub use secret::Secret;
pub use source::{Capacity, JobLease, JobReport, JobSource, RemoteReport, SavedLease};
