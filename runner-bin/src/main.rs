//! The binary `runner`: a command line on top of the libraries.

mod cli;
mod containers;
mod document;
mod duration;
mod environment;
mod exec;
mod exit_code;
mod fault;
mod graph;
mod hint;
mod home;
mod kubernetes;
mod ledger;
mod log_files;
mod narrator;
mod plan;
mod signals;
mod stdio;
mod summary;
mod view;
mod wire;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use exit_code::ExitStatus;
use fault::Fault;
use stdio::Stdio;

fn main() -> ExitCode {
    // Must come first: a job's supervisor is this program, started again.
    runner_agent::supervise::run_if_asked();
    let cli = Cli::parse();
    wire::listen_to_tracing();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Stdio::error(&Fault::ours(error).text(false));
            return ExitStatus::OurFault.into();
        }
    };
    match cli.command {
        Command::Exec(options) => runtime.block_on(exec::exec(&options)).into(),
    }
}
