//! The binary `runner`.

mod cli;
mod document;
mod duration;
mod environment;
mod exit_code;
mod fault;
mod graph;
mod hint;
mod ledger;
mod log_files;
mod narrator;
mod summary;
mod view;

fn main() {}
