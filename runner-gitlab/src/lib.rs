//! Takes jobs from a GitLab server, and reports them to it: the runner's side of GitLab's API.
//!
//! [`GitLabSource`] is the [`JobSource`](runner_core::JobSource). What runs a job elsewhere, such as in a pod, makes its
//! report and its artifacts of the stored lease alone, with [`remote`]. [`register`] holds what is done once for a
//! runner.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use runner_gitlab::{Connection, GitLabSource, RunnerInfo, SourceSettings};
//! # fn example() -> runner_core::Result<Arc<dyn runner_core::JobSource>> {
//! let connection = Connection::new("https://gitlab.example");
//! let info = RunnerInfo::new("kubernetes");
//! let settings = SourceSettings::new("mine", connection, runner_core::Secret::new("glrt-…"), "s_1234", info);
//! # Ok(
//! Arc::new(GitLabSource::new(settings)?)
//! # )
//! # }
//! ```

mod answer;
mod artifacts;
mod client;
mod connection;
mod fault;
mod payload;
pub mod register;
mod remote;
mod report;
mod request;
mod retry;
mod source;
mod tls;

pub use artifacts::GitLabArtifacts;
pub use client::{Client, http_client};
pub use connection::{Connection, Identity, Proxies};
pub use remote::{KIND, RemoteJob, remote};
pub use report::GitLabReport;
pub use request::{COMPATIBLE_VERSION, Features, RunnerInfo};
pub use source::{GitLabSource, SourceSettings};
