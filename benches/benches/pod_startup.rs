//! What a pod per job costs: how long until the script runs, alone and in a burst, beside bare pods of the same run, with
//! the requests to Kubernetes, memory and CPU time.
//!
//! `cargo bench -p benches --bench pod_startup [-- --help]`, on the cluster of `KUBECONFIG`.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::process::ExitCode;

use benches::{
    cluster_program,
    pod_startup::{self, Options, Output},
};

const PROGRAM: &str = "pod_startup";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", pod_startup::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => return cluster_program::wrong_use(PROGRAM, &error),
    };
    cluster_program::run(PROGRAM, &options.namespace(), async |bed| {
        let figures = pod_startup::measure(&bed, &options).await?;
        Ok(match options.output {
            Output::Json => format!("{}\n", figures.to_json()),
            Output::Table => pod_startup::table(&figures),
        })
    })
}
