//! The standard output of the helper: frames, in order, and nothing else.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use runner_core::agent::{AgentEvent, EndRecord, FrameWriter};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// What is written.
enum Item {
    Log { offset: u64, bytes: Bytes },
    Event(AgentEvent),
    End(Box<EndRecord>),
}

type Queue = mpsc::UnboundedSender<(Item, Option<oneshot::Sender<bool>>)>;

/// Writes frames. Cheap to clone; all clones write one stream.
#[derive(Clone)]
pub(super) struct Output(Arc<Shared>);

struct Shared {
    queue: Queue,
    /// Owned so that it ends with the last clone.
    _writer: JoinSet<()>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Output")
    }
}

impl Output {
    /// Frames to `sink`, which may block. Must be called within a runtime.
    pub(super) fn new(mut sink: impl Write + Send + 'static) -> Self {
        let (queue, mut items): (Queue, _) = mpsc::unbounded_channel();
        let mut writer = JoinSet::new();
        writer.spawn_blocking(move || {
            let mut frames = FrameWriter::default();
            while let Some((item, done)) = items.blocking_recv() {
                let text = encode(&mut frames, item);
                let written = sink.write_all(&text).and_then(|()| sink.flush()).is_ok();
                if let Some(done) = done {
                    // Who waits for it may have gone.
                    done.send(written).ok();
                }
            }
        });
        Self(Arc::new(Shared { queue, _writer: writer }))
    }

    /// Writes a part of the log, and returns when it is written.
    pub(super) async fn log(&self, offset: u64, bytes: Bytes) -> io::Result<()> {
        self.write(Item::Log { offset, bytes }).await
    }

    /// Writes an event, some time.
    pub(super) fn event(&self, event: AgentEvent) {
        // Without a writer nobody reads events.
        self.0.queue.send((Item::Event(event), None)).ok();
    }

    /// Writes the end, and returns when everything is written.
    pub(super) async fn end(&self, record: EndRecord) -> io::Result<()> {
        self.write(Item::End(Box::new(record))).await
    }

    async fn write(&self, item: Item) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.0.queue.send((item, Some(done))).ok();
        match written.await {
            Ok(true) => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

fn encode(frames: &mut FrameWriter, item: Item) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    match item {
        Item::Log { offset, bytes } => frames.log(offset, &bytes, now),
        Item::Event(event) => frames.event(&event, now),
        Item::End(record) => frames.end(&record, now),
    }
}
