//! Runs the phases of one CI job where the job runs, and the local executor on top of it.

pub mod archive;
pub mod engine;
pub mod host;
mod job_run;
mod kept_log;
pub mod local;
pub mod pod;
pub mod store;
pub mod supervise;
pub mod workspace;

pub use store::DirectoryArtifacts;
