//! Tests against a GitLab server, and against one that behaves badly.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod artifacts;
mod bench;
mod end_to_end;
mod raw;
mod registration;
mod report;
mod second_server;
mod source;
mod suites;
mod tls;
