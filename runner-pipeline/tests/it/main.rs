//! What pipelines of files and repositories come to.

mod fake_run;
mod language;
mod promises;
mod repository;
mod shipment;
mod snapshot;
mod source;
mod work_tree;
