//! Carries a job's log and end to its source.
