//! Process 1 of the build container: it runs what the helper tells it to.

use std::{env, fs, io};

use nix::unistd::{getgid, getuid};
use tokio::{net::UnixStream, runtime};

use super::{hello::Hello, paths};
use crate::supervise::run_over;

/// Serves the helper until it closes the connection.
pub(super) fn main() -> io::Result<()> {
    // What the job runs as the same user must not read this process's memory, nor its open files.
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve())
}

async fn serve() -> io::Result<()> {
    let nonce = fs::read_to_string(paths::NONCE).map_err(|error| explained(paths::NONCE, &error))?;
    let stream =
        UnixStream::connect(paths::SOCKET).await.map_err(|error| explained(paths::SOCKET, &error))?;
    let (source, mut sink) = stream.into_split();
    let hello = Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        nonce,
        user: getuid().as_raw(),
        group: getgid().as_raw(),
        environment: environment(),
    };
    hello.send(&mut sink).await?;
    run_over(source, sink).await
}

/// What the image and the pod set. A variable that is no text cannot travel.
fn environment() -> Vec<(String, String)> {
    env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn explained(path: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the helper container cannot be reached: {path}: {error}"))
}
