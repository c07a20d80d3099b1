//! What a manager costs that takes the jobs of a GitLab server: how long until a script runs and until its end is known,
//! alone and in a burst, beside bare pods of the same run, with its memory, its CPU time and its requests to Kubernetes.
//!
//! `cargo bench -p benches --bench manager [-- --help]`, on the cluster of `KUBECONFIG`.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::process::ExitCode;

use benches::{
    cluster_program,
    pod_startup::Output,
    runner_run::{self, Options},
};

const PROGRAM: &str = "manager";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", runner_run::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => return cluster_program::wrong_use(PROGRAM, &error),
    };
    cluster_program::run(PROGRAM, &options.pods.namespace(), async |bed| {
        let figures = runner_run::measure(&bed, &options).await?;
        Ok(match options.pods.output {
            Output::Json => format!("{}\n", figures.to_json()),
            Output::Table => runner_run::table(&figures),
        })
    })
}
