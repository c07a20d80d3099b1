//! The run loop with fakes, and the suites run over the fakes themselves.

mod run_loop;
mod suites;
