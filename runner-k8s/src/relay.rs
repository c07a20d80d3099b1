//! Reads the frames of an agent from the log of its container, also again where the stream breaks.

use std::time::Duration;

use futures_util::AsyncReadExt;
use runner_core::agent::{Damage, Frame, FrameReader, Read};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::api::{Cluster, LogWanted, passes};

/// How many frames wait for the journal.
const WAITING: usize = 16;

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// Where a stream breaks, how long until it is read again; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A stream that lived this long was a good one.
const GOOD: Duration = Duration::from_secs(30);

/// What comes of an agent's stream.
#[derive(Debug)]
pub(crate) enum Relayed {
    /// The next frame.
    Frame(Frame),
    /// The stream came to its end. It is read again unless this is dropped.
    Ended,
    /// The stream broke off, or is not to be had now. It is read again.
    Broke,
}

/// Reads the frames of one container until it is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    frames: mpsc::Receiver<Relayed>,
    _task: JoinSet<()>,
}

impl Relay {
    /// Follows the log of `container`. Must be called within a runtime.
    pub(crate) fn follow(cluster: Cluster, namespace: String, pod: String, container: &'static str) -> Self {
        let (sender, frames) = mpsc::channel(WAITING);
        let mut task = JoinSet::new();
        task.spawn(async move {
            Follower {
                cluster,
                namespace,
                pod,
                container,
                reader: FrameReader::default(),
                last: None,
                sender,
            }
            .run()
            .await;
        });
        Self { frames, _task: task }
    }

    /// One of which nothing comes.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Self {
        let (_, frames) = mpsc::channel(WAITING);
        Self { frames, _task: JoinSet::new() }
    }

    /// The next thing; `None` when there will be nothing more. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Relayed> {
        self.frames.recv().await
    }
}

struct Follower {
    cluster: Cluster,
    namespace: String,
    pod: String,
    container: &'static str,
    reader: FrameReader,
    /// The time of the last frame.
    last: Option<u64>,
    sender: mpsc::Sender<Relayed>,
}

impl Follower {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let start = Instant::now();
            let Some(how) = self.read_once().await else { return };
            if self.sender.send(how).await.is_err() {
                return;
            }
            if start.elapsed() > GOOD {
                pause = FIRST_PAUSE;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads until the stream ends, and tells how. `None` where nobody takes the frames any more, or there is no such pod.
    async fn read_once(&mut self) -> Option<Relayed> {
        self.reader.restart();
        // The time of a line is that of its beginning, cut to a second.
        let since = self.last.map(|last| last.saturating_sub(1));
        let wanted = LogWanted { container: self.container, follow: true, since, tail: None };
        let mut stream = match self.cluster.log(&self.namespace, &self.pod, wanted).await {
            Ok(stream) => stream,
            Err(kube::Error::Api(status)) if status.is_not_found() => return None,
            Err(error) => {
                // 400 is the kubelet's word for a container that it does not know of yet.
                if !passes(&error) {
                    tracing::debug!(pod = self.pod, %error, "the log of an agent is not to be had yet");
                }
                return Some(Relayed::Broke);
            }
        };
        let mut piece = vec![0; PIECE];
        let mut found = Vec::new();
        loop {
            let length = match stream.read(&mut piece).await {
                Ok(0) => return Some(Relayed::Ended),
                Ok(length) => length,
                Err(error) => {
                    tracing::debug!(pod = self.pod, %error, "the log of an agent broke off");
                    return Some(Relayed::Broke);
                }
            };
            self.reader.push(piece.get(..length).unwrap_or_default(), &mut found);
            for read in found.drain(..) {
                match read {
                    Read::Frame(frame) => {
                        self.last = Some(frame.time);
                        self.sender.send(Relayed::Frame(frame)).await.ok()?;
                    }
                    // The offsets of what follows tell what is missing of the log.
                    Read::Damage(Damage::Missing(count)) => {
                        tracing::warn!(pod = self.pod, count, "frames of an agent are missing");
                    }
                    Read::Damage(Damage::Stray(text)) => {
                        tracing::warn!(pod = self.pod, text, "the helper printed what is no frame");
                    }
                }
            }
        }
    }
}
