//! Jobs from a .gitlab-ci.yml on disk.

pub mod diagnostic;
pub mod dotenv;
mod expand;
mod expansion;
mod expression;
pub mod pipeline;
pub mod predefined;
pub mod repository;
mod rules;
pub mod snapshot;
pub mod source;
mod syntax;
pub mod variables_file;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use pipeline::{AllowFailure, Context, JobWhen, Need, Pipeline, PipelineJob, Retry, TreeDigest, parse};
pub use predefined::{PipelineEvent, Predefined};
pub use repository::{Commit, Remote, Repository, RepositoryError};
pub use snapshot::{Shipment, Snapshot};
pub use source::{
    ArtifactFactory, JobProgress, JobStatus, PipelineOutput, PipelineRun, PipelineSource, SelectionError,
};
pub use variables_file::parse_variables;
