//! Tests with real processes, shells, directories and git.

mod archive;
mod engine;
mod faults;
mod local;
mod supervise;
