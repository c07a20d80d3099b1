//! What a source is made of.

use std::time::Duration;

use runner_core::Secret;

use crate::{connection::Connection, request::RunnerInfo};

/// What a [`GitLabSource`](crate::GitLabSource) is made of.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The name of the runner, which stored leases carry.
    pub name: String,
    /// The server.
    pub connection: Connection,
    /// The token of the runner.
    pub token: Secret,
    /// What tells this machine from others with the same token.
    pub system_id: String,
    /// What the server is told of the runner.
    pub info: RunnerInfo,
    /// How long from one request to the next while there are no jobs. A request that the server holds needs no pause.
    /// Default 3 s.
    pub check_interval: Duration,
    /// Whether the interval is kept also after a request that brought a job.
    pub strict_check_interval: bool,
    /// After so many refusals in a row the server is left alone; 0: never. Default 3.
    pub unhealthy_requests_limit: u32,
    /// For so long. Default 1 h.
    pub unhealthy_interval: Duration,
    /// Where jobs clone from, in place of the address that the server gives: scheme, host, port and path before the
    /// project's.
    pub clone_url: Option<String>,
}

impl SourceSettings {
    /// Settings with GitLab Runner's defaults.
    pub fn new(
        name: impl Into<String>,
        connection: Connection,
        token: Secret,
        system_id: impl Into<String>,
        info: RunnerInfo,
    ) -> Self {
        Self {
            name: name.into(),
            connection,
            token,
            system_id: system_id.into(),
            info,
            check_interval: Duration::from_secs(3),
            strict_check_interval: false,
            unhealthy_requests_limit: 3,
            unhealthy_interval: Duration::from_hours(1),
            clone_url: None,
        }
    }
}
