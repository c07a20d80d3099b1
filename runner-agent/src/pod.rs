//! The agent in a pod: one binary that is the helper container, and process 1 of the build container.
//!
//! The helper copies the binary into a volume that the build container runs it from, and then runs the job's phases: git,
//! caches and artifacts itself, scripts through a socket in that volume. It accepts one connection there and removes the
//! socket, so that nothing that the job runs can reach it. What happens travels as frames on the standard output.

use std::process::ExitCode;

mod build;
mod build_host;
mod channel;
mod files;
mod hello;
mod helper;
mod output;
mod paths;
mod report;
mod reporting;
mod services;
mod telling;

/// Does what `command` says, as a container of a pod: `helper`, `await`, `channel` or `build`. `None` where it is none of these.
pub fn run(command: &str, arguments: &[String]) -> Option<ExitCode> {
    let done = match command {
        "helper" => helper::main(arguments),
        "await" => helper::await_installed(),
        "channel" => channel::main(),
        "build" => build::main(),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "it is read in the log of the container")]
            {
                eprintln!("runner-agent {command}: {error}");
            }
            ExitCode::FAILURE
        }
    })
}
