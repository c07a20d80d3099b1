//! Jobs on a real cluster.

mod bad_input;
mod check;
mod config;
mod exec;
mod jobs;
mod kill_points;
mod kills;
mod pods;
mod suite;
mod waits;
