//! What the benchmarks share.

pub mod cache_throughput;
pub mod cluster_program;
pub mod floor;
pub mod masking_corpus;
pub mod pod_startup;
pub mod project;
pub mod runner_run;
