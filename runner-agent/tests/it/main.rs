//! Tests with real processes, shells, directories and git.

mod archive;
mod engine;
mod local;
mod supervise;
