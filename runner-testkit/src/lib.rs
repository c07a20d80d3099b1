//! Fakes for the traits of `runner-core`, a conformance suite for each of them, and for tests a GitLab server and a
//! kubelet.
//!
//! A suite takes a *harness*: a few lines that make the thing to test. It runs one check for each promise of the
//! trait's documentation and returns every promise that was broken:
//!
//! ```no_run
//! # async fn example(harness: impl runner_testkit::executor_suite::Harness) {
//! runner_testkit::executor_suite::check(&harness).await.unwrap();
//! # }
//! ```

pub mod cache_suite;
pub mod executor_suite;
pub mod fake_executor;
#[cfg(feature = "s3")]
pub mod fault_proxy;
#[cfg(feature = "gitlab")]
pub mod gitlab;
#[cfg(feature = "kubelet")]
pub mod kubelet;
pub mod memory_artifacts;
pub mod recording_report;
pub mod report_suite;
#[cfg(feature = "s3")]
pub mod s3_server;
pub mod scripted_source;
pub mod source_suite;
pub mod verdict;

pub use fake_executor::{FakeExecutor, FakeJob};
pub use memory_artifacts::MemoryArtifacts;
pub use recording_report::{RecordingReport, ReportFault};
pub use scripted_source::ScriptedSource;
pub use verdict::{Broken, Verdict};
