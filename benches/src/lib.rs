//! What the benchmarks share.

pub mod floor;
pub mod masking_corpus;
pub mod pod_startup;
pub mod project;
