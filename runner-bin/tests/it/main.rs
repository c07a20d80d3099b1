//! The real binary in real git repositories: what a person types, and what a person sees.

mod bad_input;
mod documents;
mod lists;
mod project;
mod registration;
mod runs;
mod secrets;
mod shell_jobs;
mod signals;
