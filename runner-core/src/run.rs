//! The run loop.

/// Keeps slots busy.
#[derive(Debug)]
pub struct Runner;
/// Makes a [`Runner`].
#[derive(Debug)]
pub struct RunnerBuilder;
