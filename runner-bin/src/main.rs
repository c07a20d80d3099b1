//! The binary `runner`: a command line on top of the libraries.

mod cache_store;
mod cache_upkeep;
mod cli;
mod columns;
mod configured;
mod connection;
mod containers;
mod document;
mod duration;
mod environment;
mod exec;
mod exit_code;
mod fault;
mod gitlab_accounts;
mod graph;
mod health;
mod hint;
mod home;
mod job_lines;
mod jobs_seen;
mod kubernetes;
mod ledger;
mod log_files;
mod metrics;
mod monitor;
mod narrator;
mod plan;
mod registration;
mod run;
mod runner_list;
mod short_token;
mod signals;
mod stdio;
mod summary;
mod traces;
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
        Command::Run(options) => runtime.block_on(run::run(&options)).into(),
        Command::Register(options) => runtime.block_on(registration::register(&options)).into(),
        Command::Verify(options) => runtime.block_on(registration::verify(&options)).into(),
        Command::Unregister(options) => runtime.block_on(registration::unregister(&options)).into(),
        Command::Cache(options) => runtime.block_on(cache_upkeep::look_after(&options)).into(),
        Command::List(options) => runner_list::show(&options).into(),
    }
}
