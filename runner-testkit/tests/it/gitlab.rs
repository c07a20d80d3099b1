//! The fake GitLab, asked by a client that knows nothing but sockets.

#![expect(clippy::unwrap_used, reason = "what cannot be asked or read is a failure of the test")]

mod artifacts;
mod cancel;
mod client;
mod faults;
mod git;
mod requests;
mod tls;
mod trace;
mod updates;
