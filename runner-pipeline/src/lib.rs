//! Jobs from a .gitlab-ci.yml on disk.

pub mod diagnostic;
pub mod pipeline;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use pipeline::{AllowFailure, Context, JobWhen, Need, Pipeline, PipelineJob, Retry, TreeDigest, parse};
