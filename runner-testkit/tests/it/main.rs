//! The run loop with fakes, the suites run over the fakes themselves, and the fake GitLab.

mod adoption;
#[cfg(feature = "gitlab")]
mod gitlab;
mod reconfigure;
mod run_loop;
mod suites;
