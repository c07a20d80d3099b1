//! What a test can choose of the server before it starts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// How the server is made. The defaults are those of a GitLab as it is installed, on a free port of the loopback.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one. It stands in every address that a job gets, so jobs on a cluster need one
    /// that they can reach.
    pub address: SocketAddr,
    /// Whether it speaks TLS, and with whom.
    pub tls: Tls,
    /// How long a request for a job is held while nothing is queued; zero answers at once.
    pub long_poll: Duration,
    /// How long a job that was handed out waits to be acknowledged before it is queued again.
    pub acknowledge_within: Duration,
    /// Seconds between two patches that the server asks for: GitLab says 60 while nobody watches a job, and 3 while
    /// somebody does. The default is 3.
    pub trace_interval: u64,
    /// The most bytes that a trace may have.
    pub trace_limit: usize,
    /// Whether a piece that the trace already ends with is taken as appended (202), as the source of GitLab reads, or
    /// refused with 416 like any other that does not begin at the end.
    pub accepts_repeated_pieces: bool,
    /// The most bytes that an artifact may have.
    pub artifact_limit: usize,
    /// Whether downloads may be redirected to an object store on another port.
    pub has_object_store: bool,
    /// Bare repositories to serve: `group/project.git` below this folder. None serves none.
    pub repositories: Option<PathBuf>,
    /// The id of the first job; each one after it has the next number.
    pub first_job: u64,
    /// How many requests are remembered; the oldest are forgotten first.
    pub remembered_requests: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: Tls::None,
            long_poll: Duration::from_secs(50),
            acknowledge_within: Duration::from_mins(2),
            trace_interval: 3,
            trace_limit: 100 << 20,
            accepts_repeated_pieces: false,
            artifact_limit: 100 << 20,
            has_object_store: false,
            repositories: None,
            first_job: 1001,
            remembered_requests: 10_000,
        }
    }
}

/// Whether the server speaks TLS, with certificates of an authority that is made when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP.
    None,
    /// The server shows a certificate.
    Server,
    /// The client must show one as well.
    Mutual,
}
