//! The binary that runs a job in a pod, and supervises processes of jobs; it does nothing for a person.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner_agent::supervise::run_if_asked();
    let mut words = std::env::args().skip(1);
    let (command, arguments) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>());
    if let Some(ended) = runner_agent::pod::run(&command, &arguments) {
        return ended;
    }
    #[expect(clippy::print_stderr, reason = "this is what the binary says to a person")]
    {
        eprintln!("runner-agent is started by a runner; it does nothing by itself");
    }
    ExitCode::from(2)
}
