//! What the benchmarks on a cluster do around what they measure.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

use std::process::ExitCode;

use anyhow::{Error, Result};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::pod_startup::{Access, Bed, access};

/// Says why the command line of `program` cannot be understood.
pub fn wrong_use(program: &str, error: &Error) -> ExitCode {
    eprintln!("{program}: {error}; --help says what there is");
    ExitCode::from(2)
}

/// Measures in a namespace of its own, which is removed whatever happens, and prints what `measure` makes of it.
///
/// `measure` gets the namespace, and the cluster for what it must remove by itself. Without a cluster that is said in one
/// sentence, with the exit status 2.
pub fn run<F>(program: &str, namespace: &str, measure: impl FnOnce(Bed) -> F) -> ExitCode
where
    F: Future<Output = Result<String>>,
{
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime
        .map_err(Error::from)
        .and_then(|runtime| runtime.block_on(run_or_fail(program, namespace, measure)));
    ended.unwrap_or_else(|error| {
        eprintln!("{program}: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run_or_fail<F>(program: &str, namespace: &str, measure: impl FnOnce(Bed) -> F) -> Result<ExitCode>
where
    F: Future<Output = Result<String>>,
{
    let access: Access = match access().await {
        Ok(access) => access,
        Err(error) => {
            eprintln!(
                "{program} needs a cluster, and there is none: {error:#}; set KUBECONFIG or run dev/setup"
            );
            return Ok(ExitCode::from(2));
        }
    };
    let measured = tokio::select! {
        measured = async { measure(Bed::new(&access, namespace).await?).await } => Some(measured),
        () = asked_to_stop() => None,
    };
    // Where the namespace is somebody else's, it stays: only one with our label is removed.
    let removed = access.remove_namespace(namespace).await;
    let Some(measured) = measured else {
        eprintln!("{program}: interrupted; the namespace {namespace} is being removed");
        return Ok(ExitCode::from(130));
    };
    let text = measured?;
    removed?;
    print!("{text}");
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
