//! Tests of the executor that need no cluster.

mod statuses;
