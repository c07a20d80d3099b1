//! What the server remembers of each request, and which endpoints there are.

use http::{HeaderMap, Method};
use tokio::time::Instant;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `POST runners/verify`.
    Verify,
    /// `POST runners`.
    Register,
    /// `DELETE runners`.
    Unregister,
    /// `DELETE runners/managers`.
    UnregisterManager,
    /// `POST jobs/request`.
    Request,
    /// `PUT jobs/:id`.
    Update,
    /// `PATCH jobs/:id/trace`.
    Trace,
    /// `POST jobs/:id/artifacts/authorize`.
    Authorize,
    /// `POST jobs/:id/artifacts`.
    Upload,
    /// `GET jobs/:id/artifacts`.
    Download,
    /// A download from the object store.
    Store,
    /// Anything that git asks for.
    Git,
    /// None of them: it is answered with 404.
    Unknown,
}

impl Endpoint {
    /// The endpoint of a request to the API, and the job that it is about.
    pub(super) fn of(method: &Method, path: &str) -> (Self, Option<u64>) {
        let Some(rest) = path.strip_prefix("/api/v4/") else {
            return (if path.contains(".git/") { Self::Git } else { Self::Unknown }, None);
        };
        let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        let job = parts.get(1).and_then(|id| id.parse().ok());
        let endpoint = match (method.as_str(), parts.as_slice(), job) {
            ("POST", ["runners", "verify"], _) => Self::Verify,
            ("POST", ["runners"], _) => Self::Register,
            ("DELETE", ["runners"], _) => Self::Unregister,
            ("DELETE", ["runners", "managers"], _) => Self::UnregisterManager,
            ("POST", ["jobs", "request"], _) => Self::Request,
            ("PUT", ["jobs", _], Some(_)) => Self::Update,
            ("PATCH", ["jobs", _, "trace"], Some(_)) => Self::Trace,
            ("POST", ["jobs", _, "artifacts", "authorize"], Some(_)) => Self::Authorize,
            ("POST", ["jobs", _, "artifacts"], Some(_)) => Self::Upload,
            ("GET", ["jobs", _, "artifacts"], Some(_)) => Self::Download,
            _ => Self::Unknown,
        };
        (endpoint, job)
    }
}

/// A request as it arrived, and what became of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// When its head had arrived.
    pub at: Instant,
    /// What it asked for.
    pub endpoint: Endpoint,
    /// The job in its path.
    pub job: Option<u64>,
    /// Path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, where that is JSON that could be read; otherwise null.
    pub body: serde_json::Value,
    /// The status of the answer; none while it is held, and where the connection was reset.
    pub status: Option<u16>,
    /// Whether a fault was put in the way.
    pub is_disturbed: bool,
}
