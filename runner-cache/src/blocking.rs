//! Work on files, away from the threads that wait for the network.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use runner_core::{Error, ErrorKind, Result};

/// Tells work on another thread that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Ends the work at its next [`check`](Self::check).
    pub fn trigger(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`Stopped`] once it was triggered.
    pub fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(io::Error::other(Stopped)) } else { Ok(()) }
    }
}

/// The work was asked to stop. It is not [`io::ErrorKind::Interrupted`], after which `std` tries again.
#[derive(Debug, thiserror::Error)]
#[error("it was asked to stop")]
pub struct Stopped;

/// Triggers the interrupt when the caller's future is dropped, or done.
struct OnDrop(Interrupt);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.trigger();
    }
}

/// Runs `work` on a thread where it may block.
///
/// # Cancellation
/// Dropping the future triggers the work's [`Interrupt`]; it ends within one buffer of bytes, and is not awaited.
///
/// # Errors
/// Those of the work; [`ErrorKind::Internal`] where it panicked.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce(&Interrupt) -> Result<T> + Send + 'static,
) -> Result<T> {
    let interrupt = Interrupt::default();
    let watched = interrupt.clone();
    let guard = OnDrop(interrupt);
    let result = tokio::task::spawn_blocking(move || work(&watched)).await;
    drop(guard);
    result.unwrap_or_else(|cause| Err(Error::new(ErrorKind::Internal, "work on files").because(cause)))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_dropped_future_interrupts_the_work() {
        let (started, is_started) = tokio::sync::oneshot::channel();
        let (ended, has_ended) = mpsc::channel();
        let work = run(move |interrupt| {
            started.send(()).unwrap();
            while interrupt.check().is_ok() {
                std::thread::yield_now();
            }
            ended.send(()).unwrap();
            Ok(())
        });
        tokio::select! {
            _ = work => panic!("it cannot end by itself"),
            begun = is_started => begun.unwrap(),
        }
        has_ended.recv().unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let result: Result<()> = run(|_| panic!("no")).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal);
    }
}
