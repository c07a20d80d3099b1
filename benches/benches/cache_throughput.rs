//! What a cache costs: save, restore, a save when nothing and when one percent of the files changed, beside `tar | zstd` with one
//! PUT and one GET against the same server in the same run; and what many connections gain where each is slow.
//!
//! `cargo bench -p benches --bench cache_throughput [-- --help]`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

use std::process::ExitCode;

use anyhow::Result;
use benches::cache_throughput::{self, Options, Output, ours};
use tokio::runtime;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    // This program measures itself in processes of their own, so that their memory is nobody else's.
    let done = if arguments.next_if_eq(ours::ARGUMENT).is_some() {
        blocking(ours::run(arguments))
    } else {
        match Options::parse(arguments) {
            Ok(Some(options)) => blocking(measure(options)),
            Ok(None) => {
                print!("{}", cache_throughput::HELP);
                return ExitCode::SUCCESS;
            }
            Err(error) => {
                eprintln!("cache_throughput: {error:#}; --help says what there is");
                return ExitCode::from(2);
            }
        }
    };
    match done {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cache_throughput: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn blocking(work: impl Future<Output = Result<String>>) -> Result<String> {
    runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}

async fn measure(options: Options) -> Result<String> {
    let report = cache_throughput::measure(&options).await?;
    Ok(match options.output {
        Output::Table => report.table(),
        Output::Json => serde_json::to_string(&report)? + "\n",
    })
}
