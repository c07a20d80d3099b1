//! A job's log.
