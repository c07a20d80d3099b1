//! The backends keep the promises of their trait, and whatever is saved is restored, or nothing is.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test makes must be made")]

mod damage;
mod directory;
mod faults;
mod granted;
mod incremental;
mod round_trip;
mod s3;
mod site;
mod tree;
