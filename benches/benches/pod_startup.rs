//! What a pod per job costs: how long until the script runs, alone and in a burst, beside bare pods of the same run, with
//! the requests to Kubernetes, memory and CPU time.
//!
//! `cargo bench -p benches --bench pod_startup [-- --help]`, on the cluster of `KUBECONFIG`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

use std::process::ExitCode;

use anyhow::Result;
use benches::pod_startup::{self, Bed, Options, Output};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", pod_startup::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("pod_startup: {error}; --help says what there is");
            return ExitCode::from(2);
        }
    };
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(&options))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pod_startup: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures in a namespace of its own, which is removed whatever happens.
async fn run(options: &Options) -> Result<ExitCode> {
    let access = match pod_startup::access().await {
        Ok(access) => access,
        Err(error) => {
            eprintln!(
                "pod_startup needs a cluster, and there is none: {error:#}; set KUBECONFIG or run dev/setup"
            );
            return Ok(ExitCode::from(2));
        }
    };
    let name = options.namespace();
    let measured = tokio::select! {
        measured = async {
            let bed = Bed::new(&access, &name).await?;
            pod_startup::measure(&bed, options).await
        } => Some(measured),
        () = asked_to_stop() => None,
    };
    // Where the namespace is somebody else's, it stays: only one with our label is removed.
    let removed = access.remove_namespace(&name).await;
    let Some(measured) = measured else {
        eprintln!("pod_startup: interrupted; the namespace {name} is being removed");
        return Ok(ExitCode::from(130));
    };
    let figures = measured?;
    removed?;
    match options.output {
        Output::Json => println!("{}", figures.to_json()),
        Output::Table => print!("{}", pod_startup::table(&figures)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for Ctrl-C or a polite kill. Where neither can be heard, they end the process, as they always do.
async fn asked_to_stop() {
    let heard = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = heard else { return std::future::pending().await };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
