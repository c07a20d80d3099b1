//! Tests with real processes, shells, directories and git.

mod engine;
mod local;
mod supervise;
