//! The supervisor: one small process per job that starts, watches and ends all processes of the job.
//!
//! It is a child subreaper (or process 1 of a container): whatever a job's process leaves behind becomes its child, also
//! what left its group, its session and its environment. So it can end all of them, and it does so by itself when the
//! other side of its connection goes away, as when the runner is killed.
//!
//! Where a job kills the supervisor itself, its host ends what it finds by session and by descent. What had left its
//! session *and* lost its parent before cannot be found then. As process 1 of a container it cannot be killed by a job.
//!
//! The layers know nothing of each other: `frame` carries bytes over any stream, `protocol` says what they mean,
//! `server` and its parts handle processes, [`SupervisedHost`] is the other end.

use std::{
    env,
    path::PathBuf,
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tokio::{
    runtime::{self, Handle},
    time::{Instant, sleep_until},
};

mod client;
mod connection;
mod descendants;
mod frame;
mod memory;
mod output;
mod program;
mod protocol;
mod reaper;
mod server;
mod session;

pub use client::SupervisedHost;
pub(crate) use server::run_over;

/// The first argument of a program that shall be a supervisor. It starts with a letter that no command line starts with.
const MARK: &str = "@job-supervisor";

/// Must be set as well, to the version of the protocol: an argument alone may be a person's, and a variable alone would
/// be inherited by programs that were never asked.
const VARIABLE: &str = "RUNNER_AGENT_SUPERVISOR";

/// The version of the protocol: a supervisor of another build is refused and not misunderstood.
const VERSION: &str = "1";

/// Whether this process can be started again as a supervisor.
static CAN_SUPERVISE: AtomicBool = AtomicBool::new(false);

/// The program that supervisors are started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupervisorProgram {
    /// The program that runs now. Its `main` must call [`run_if_asked`] before anything else.
    ThisProgram,
    /// The binary `runner-agent`, or another one whose `main` calls [`run_if_asked`].
    Path(PathBuf),
}

/// Becomes a supervisor and never returns, if this process was started as one; else returns at once.
///
/// Call it first in `main`, before command lines are read and threads are started.
pub fn run_if_asked() {
    CAN_SUPERVISE.store(true, Ordering::Relaxed);
    if env::args_os().nth(1).is_none_or(|argument| argument != MARK) {
        return;
    }
    if env::var_os(VARIABLE).is_none_or(|version| version != VERSION) {
        return;
    }
    // A `main` of tokio's is inside a runtime already, which cannot hold another one on the same thread.
    let result = if Handle::try_current().is_ok() {
        thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|_| Err("it panicked".into())))
    } else {
        run()
    };
    #[expect(clippy::exit, reason = "the caller's `main` must not go on in a supervisor")]
    match result {
        Ok(()) => process::exit(0),
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the other end reads it and puts it into its error")]
            {
                eprintln!("{error}");
            }
            process::exit(1)
        }
    }
}

fn run() -> Result<(), String> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("failed to start the event loop: {error}"))?;
    runtime.block_on(server::run()).map_err(|error| error.to_string())
}

/// Whether [`SupervisorProgram::ThisProgram`] is possible.
fn can_supervise() -> bool {
    CAN_SUPERVISE.load(Ordering::Relaxed)
}

/// Waits until `time`, or for ever.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
