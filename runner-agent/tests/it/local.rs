//! The local executor.
