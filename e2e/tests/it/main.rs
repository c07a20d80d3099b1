//! Jobs on a real cluster.

mod adoption;
mod bad_input;
mod cache;
mod check;
mod config;
mod exec;
mod gitlab;
mod gitlab_kills;
mod jobs;
mod kill_points;
mod kills;
mod pipelines;
mod pods;
mod replicas;
mod run;
mod simulated_kills;
mod simulated_pods;
mod suite;
mod waits;
