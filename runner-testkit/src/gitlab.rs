//! A GitLab server for tests: the runner's side of its API, as far as a runner can tell.
//!
//! It keeps all state in memory, and its clock is tokio's, so that a test can pause it. A test queues jobs, lets a runner
//! take them, and judges afterwards what arrived:
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use runner_testkit::gitlab::{Endpoint, Fault, GitLab, JobPayload, JobState};
//!
//! let gitlab = GitLab::start().await?;
//! gitlab.fail(Endpoint::Trace, [Fault::ResetAfter]);
//! let job = gitlab.queue(JobPayload::new("build").script(["make"]));
//! // … a runner is started with `gitlab.url()` and `gitlab.runner_token()` …
//! let ended = gitlab.wait_until(job, JobState::Success).await;
//! assert_eq!(ended.runs, 1);
//! # Ok(())
//! # }
//! ```

mod answer;
mod artifacts;
mod fault;
mod git;
mod job;
mod listener;
mod payload;
mod record;
mod repository;
mod request;
mod runners;
mod server;
mod service;
mod settings;
mod shared;
mod store;
mod tls;
mod trace;
mod update;
mod world;

pub use fault::{Chaos, Fault};
pub use git::GitServer;
pub use job::{Artifact, Change, JobRecord, JobState};
pub use payload::JobPayload;
pub use record::{Endpoint, Request};
pub use repository::Repository;
pub use server::GitLab;
pub use settings::{Settings, Tls};
pub use tls::Identity;

/// TLS for a server at this address, by an authority that nobody knows.
#[cfg(feature = "kubelet")]
pub(crate) fn acceptor(address: std::net::IpAddr) -> std::io::Result<tokio_rustls::TlsAcceptor> {
    Ok(tls::acceptor(Tls::Server, vec![address.to_string()])?.0)
}
