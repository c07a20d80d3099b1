//! The binary that supervises the processes of a job; on its own it does nothing for a person.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner_agent::supervise::run_if_asked();
    #[expect(clippy::print_stderr, reason = "this is what the binary says to a person")]
    {
        eprintln!("runner-agent is started by a runner; it does nothing by itself");
    }
    ExitCode::from(2)
}
