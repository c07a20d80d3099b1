//! The host's end of a connection to a supervisor: it matches answers with calls, and hands out what processes print.

use std::{collections::HashMap, time::Duration};

use runner_core::{Error, ErrorKind, Result};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use super::{
    frame::{self, Frame, FrameReader},
    protocol::{self, Reply, Request},
    until,
};
use crate::host::{Command, FileAction, MemoryUse, ProcessDriver, ProcessEvent};

/// How long a supervisor may take to answer or to go, beyond what it needs to end processes. One that a job has
/// stopped never does.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// What a host asks its connection for. An answer that is dropped says that the supervisor is gone.
#[derive(Debug)]
pub(super) enum Call {
    Start { work: Work, driver: ProcessDriver, answer: oneshot::Sender<Result<()>> },
    Find { programs: Vec<String>, path: String, answer: oneshot::Sender<Option<String>> },
    EndAll { grace: Duration, answer: oneshot::Sender<usize> },
    Memory { answer: oneshot::Sender<Option<MemoryUse>> },
    Close { done: oneshot::Sender<()> },
}

/// What is started.
#[derive(Debug)]
pub(super) enum Work {
    Command(Command),
    /// Something with what is at the path of these bytes.
    Files(FileAction, Vec<u8>),
}

/// A connection to a supervisor.
#[derive(Debug)]
pub(super) struct Connection<R> {
    frames: FrameReader<R>,
    calls: mpsc::UnboundedReceiver<Call>,
    /// Without it nothing more is written, and the stream is closed.
    requests: Option<mpsc::UnboundedSender<Frame>>,
    writer: JoinSet<()>,
    last_number: u32,
    starting: HashMap<u32, (ProcessDriver, oneshot::Sender<Result<()>>)>,
    processes: HashMap<u32, mpsc::UnboundedSender<ProcessEvent>>,
    finds: HashMap<u32, oneshot::Sender<Option<String>>>,
    endings: HashMap<u32, oneshot::Sender<usize>>,
    memories: HashMap<u32, oneshot::Sender<Option<MemoryUse>>>,
    closing: Vec<oneshot::Sender<()>>,
    /// When a supervisor that was asked to go is given up.
    give_up: Option<Instant>,
    deliveries: JoinSet<()>,
}

impl<R: AsyncRead + Unpin> Connection<R> {
    pub(super) fn new<W>(source: R, mut sink: W, calls: mpsc::UnboundedReceiver<Call>) -> Self
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (requests, mut queue) = mpsc::unbounded_channel();
        let mut writer = JoinSet::new();
        writer.spawn(async move {
            while let Some(frame) = queue.recv().await {
                // The reader sees that the other side is gone.
                if frame::write(&mut sink, frame).await.is_err() {
                    return;
                }
            }
        });
        Self {
            frames: FrameReader::new(source),
            calls,
            requests: Some(requests),
            writer,
            last_number: 0,
            starting: HashMap::new(),
            processes: HashMap::new(),
            finds: HashMap::new(),
            endings: HashMap::new(),
            memories: HashMap::new(),
            closing: Vec::new(),
            give_up: None,
            deliveries: JoinSet::new(),
        }
    }

    /// Serves calls until the supervisor is gone, or nobody can call any more.
    pub(super) async fn serve(&mut self) {
        loop {
            tokio::select! {
                call = self.calls.recv() => match call {
                    Some(call) => self.take_call(call),
                    None => return,
                },
                frame = self.frames.next() => match frame {
                    Ok(Some(Frame::Output(process, bytes))) => self.hand_on(process, ProcessEvent::Output(bytes)),
                    Ok(Some(Frame::Message(message))) => match protocol::decode(&message) {
                        Ok(reply) => self.take_reply(reply),
                        Err(error) => return tracing::warn!(%error, "a supervisor talks nonsense"),
                    },
                    Ok(None) => return,
                    Err(error) => return tracing::debug!(%error, "a supervisor is gone"),
                },
                () = until(self.give_up) => return tracing::warn!("a supervisor does not end when asked to"),
                Some(_) = self.deliveries.join_next() => {}
            }
        }
    }

    /// Closes the stream, at which a supervisor ends. Those who wait for an answer do not learn of it yet.
    pub(super) fn disconnect(&mut self) {
        self.requests = None;
        self.writer.abort_all();
    }

    /// Lets everybody know that there will be no more answers, then hands out the output that has come.
    pub(super) async fn finish(mut self) {
        let mut deliveries = std::mem::take(&mut self.deliveries);
        drop(self);
        while deliveries.join_next().await.is_some() {}
    }

    fn take_call(&mut self, call: Call) {
        self.last_number = self.last_number.wrapping_add(1);
        let number = self.last_number;
        match call {
            Call::Start { work, driver, answer } => {
                let wish = match work {
                    Work::Command(command) => Request::Start { process: number, command },
                    Work::Files(action, path) => Request::Files { process: number, action, path },
                };
                match request(&wish) {
                    Ok(frame) => {
                        self.starting.insert(number, (driver, answer));
                        self.send(frame);
                    }
                    // The caller may have gone.
                    Err(error) => drop(answer.send(Err(error))),
                }
            }
            Call::Find { programs, path, answer } => {
                if let Ok(frame) = request(&Request::Find { call: number, programs, path }) {
                    self.finds.insert(number, answer);
                    self.send(frame);
                }
            }
            Call::EndAll { grace, answer } => {
                if let Ok(frame) = request(&Request::EndAll { call: number, grace }) {
                    self.endings.insert(number, answer);
                    self.send(frame);
                }
            }
            Call::Memory { answer } => {
                if let Ok(frame) = request(&Request::Memory { call: number }) {
                    self.memories.insert(number, answer);
                    self.send(frame);
                }
            }
            Call::Close { done } => {
                self.closing.push(done);
                self.requests = None;
                self.give_up.get_or_insert(Instant::now() + PATIENCE);
            }
        }
    }

    fn send(&self, frame: Frame) {
        if let Some(requests) = &self.requests {
            // Where the writer has failed, the reader ends this connection.
            drop(requests.send(frame));
        }
    }

    fn take_reply(&mut self, reply: Reply) {
        match reply {
            Reply::Started { process } => self.started(process),
            Reply::Refused { process, refusal } => {
                if let Some((_, answer)) = self.starting.remove(&process) {
                    let error =
                        Error::new(refusal.condition.kind(), "start a process").because(refusal.message);
                    drop(answer.send(Err(error)));
                }
            }
            Reply::Ended { process, end } => self.hand_on(process, ProcessEvent::Ended(end)),
            Reply::Closed { process } => drop(self.processes.remove(&process)),
            Reply::Found { call, path } => {
                if let Some(answer) = self.finds.remove(&call) {
                    answer.send(path).ok();
                }
            }
            Reply::AllEnded { call, left } => {
                if let Some(answer) = self.endings.remove(&call) {
                    answer.send(left).ok();
                }
            }
            Reply::Memory { call, memory } => {
                if let Some(answer) = self.memories.remove(&call) {
                    answer.send(memory).ok();
                }
            }
        }
    }

    fn started(&mut self, process: u32) {
        let (Some((driver, answer)), Some(requests)) = (self.starting.remove(&process), &self.requests)
        else {
            return;
        };
        let (events, queue) = mpsc::unbounded_channel();
        self.processes.insert(process, events);
        self.deliveries.spawn(deliver(process, queue, driver, requests.downgrade()));
        // Who asked may have gone: then its output is thrown away, and it ends with all others.
        drop(answer.send(Ok(())));
    }

    fn hand_on(&self, process: u32, event: ProcessEvent) {
        if let Some(events) = self.processes.get(&process) {
            // It listens until this sender is dropped.
            drop(events.send(event));
        }
    }
}

fn request(request: &Request) -> Result<Frame> {
    protocol::encode(request)
        .map_err(|error| Error::new(ErrorKind::Invalid, "start a process").because(error))
}

/// Hands the events of one process to its holder, as fast as that takes them, and relays its signals.
///
/// Output whose holder is gone is thrown away, so that the process does not stop at a full pipe.
async fn deliver(
    process: u32,
    mut queue: mpsc::UnboundedReceiver<ProcessEvent>,
    driver: ProcessDriver,
    requests: mpsc::WeakUnboundedSender<Frame>,
) {
    let ProcessDriver { events, mut signals } = driver;
    let send = |message: &Request| -> Option<()> {
        let frame = protocol::encode(message).ok()?;
        requests.upgrade()?.send(frame).ok()
    };
    let hand_out = async {
        while let Some(event) = queue.recv().await {
            let taken = if let ProcessEvent::Output(bytes) = &event { bytes.len() } else { 0 };
            drop(events.send(event).await);
            if taken > 0 {
                send(&Request::Credit { process, cost: protocol::cost(taken) });
            }
        }
    };
    let relay = async {
        while let Some(signal) = signals.recv().await {
            send(&Request::Signal { process, signal });
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = hand_out => {}
        () = relay => {}
    }
}
