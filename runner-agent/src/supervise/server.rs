//! The supervisor's own loop: it takes requests, and starts, signals and ends processes.

use std::{
    collections::HashMap,
    ffi::OsString,
    io::{self, PipeReader},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, setsid},
};
use runner_core::Usage;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::{
    descendants::{self, Descendants},
    frame::{self, Frame, FrameReader},
    memory,
    output::{Output, widen},
    program,
    protocol::{self, Condition, Refusal, Reply, Request, WINDOW},
    reaper::Reaper,
    until,
};
use crate::host::{
    Command, FileAction, ProcessEnd, ProcessSignal,
    files::{exit_of, perform},
};

/// How many frames of output wait for the stream, of all processes together.
const WAITING: usize = 4;

/// How long what is killed may take to go. A process that is stuck in the kernel, or that belongs to another user, may
/// never go.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long between two rounds of killing.
const ROUND: Duration = Duration::from_millis(2);

/// Signals that this process must neither die of nor pass on as ignored: a handler does both.
const HANDLED: [SignalKind; 7] = [
    SignalKind::alarm(),
    SignalKind::hangup(),
    SignalKind::interrupt(),
    SignalKind::quit(),
    SignalKind::terminate(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
];

/// Serves one host over standard input and output, until it goes away.
pub(super) async fn run() -> io::Result<()> {
    let source = own(io::stdin())?;
    let sink = own(io::stdout())?;
    widen(&source);
    widen(&sink);
    run_over(pipe::Receiver::from_owned_fd(source)?, pipe::Sender::from_owned_fd(sink)?).await
}

/// Makes this process a supervisor that serves one host over a pair of streams, until it goes away.
pub(crate) async fn run_over<R, W>(source: R, sink: W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    // Fails where this process leads a group already, as process 1 does: then it is apart already.
    setsid().ok();
    // A directory that somebody wants to remove must not be in use.
    std::env::set_current_dir("/").ok();
    become_reaper()?;
    let _handlers = HANDLED.map(signal);
    serve(source, sink).await
}

fn own(stream: impl std::os::fd::AsFd) -> io::Result<std::os::fd::OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

#[cfg(target_os = "linux")]
fn become_reaper() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    // Started from `/proc/self/exe` it would be called `exe`.
    nix::sys::prctl::set_name(c"job-supervisor")?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn become_reaper() -> io::Result<()> {
    Ok(())
}

/// Serves one host over any pair of streams. Kills everything when it goes away.
pub(super) async fn serve<R, W>(source: R, mut sink: W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (answers, mut answer_queue) = mpsc::unbounded_channel();
    let (frames, mut frame_queue) = mpsc::channel(WAITING);
    let mut server = Server::new(answers, frames);
    let mut children = signal(SignalKind::child())?;
    let write = async {
        loop {
            // Answers first: what a process prints must not come before it is said to have started.
            let frame = tokio::select! {
                biased;
                Some(answer) = answer_queue.recv() => answer,
                Some(frame) = frame_queue.recv() => frame,
            };
            frame::write(&mut sink, frame).await?;
        }
    };
    let mut requests = FrameReader::new(source);
    let work = async {
        loop {
            let round = server.next_round();
            tokio::select! {
                frame = requests.next() => match frame? {
                    Some(Frame::Message(message)) => server.take(protocol::decode(&message)?)?,
                    Some(Frame::Output(..)) => return Err(io::ErrorKind::InvalidData.into()),
                    None => return Ok(()),
                },
                _ = children.recv() => server.step(),
                () = until(round) => server.step(),
                Some(Ok(process)) = server.outputs.join_next() => server.forget(process),
            }
        }
    };
    let result: io::Result<()> = tokio::select! { result = work => result, result = write => result };
    server.outputs.abort_all();
    server.end_all(None, Duration::ZERO);
    while server.ending.is_some() {
        tokio::select! {
            _ = children.recv() => server.step(),
            () = until(server.next_round()) => server.step(),
        }
    }
    match result {
        // The host went away without a farewell.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The processes of a job.
#[derive(Debug)]
struct Server {
    descendants: Descendants,
    reaper: Reaper,
    processes: HashMap<u32, Running>,
    outputs: JoinSet<u32>,
    ending: Option<Ending>,
    answers: mpsc::UnboundedSender<Frame>,
    frames: mpsc::Sender<Frame>,
}

/// A process whose output is still carried.
#[derive(Debug)]
struct Running {
    /// Its number at the kernel, and that of its group; `None` for work on files.
    pid: Option<u32>,
    credit: Arc<Semaphore>,
    output: AbortHandle,
}

/// All processes are being ended.
#[derive(Debug)]
struct Ending {
    /// Who wants to know.
    calls: Vec<u32>,
    /// When asking becomes killing.
    kill_at: Instant,
    /// When to look again.
    next: Instant,
}

impl Server {
    fn new(answers: mpsc::UnboundedSender<Frame>, frames: mpsc::Sender<Frame>) -> Self {
        Self {
            descendants: Descendants::new(),
            reaper: Reaper::default(),
            processes: HashMap::new(),
            outputs: JoinSet::new(),
            ending: None,
            answers,
            frames,
        }
    }

    fn take(&mut self, request: Request) -> io::Result<()> {
        match request {
            Request::Start { process, command } => {
                let reply = self.start(process, &command);
                self.answer(&reply)
            }
            Request::Files { process, action, path } => {
                let reply = self.begin(process, action, OsString::from_vec(path).into());
                self.answer(&reply)
            }
            Request::Credit { process, cost } => {
                if let Some(running) = self.processes.get(&process) {
                    running.credit.add_permits(cost as usize);
                }
                Ok(())
            }
            Request::Signal { process, signal } => self.signal(process, signal),
            Request::Find { call, programs, path } => {
                self.answer(&Reply::Found { call, path: program::find(&programs, &path) })
            }
            Request::EndAll { call, grace } => {
                self.end_all(Some(call), grace);
                Ok(())
            }
            Request::Memory { call } => self.answer(&Reply::Memory { call, memory: memory::read() }),
        }
    }

    fn answer(&self, reply: &Reply) -> io::Result<()> {
        self.answers.send(protocol::encode(reply)?).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn start(&mut self, process: u32, command: &Command) -> Reply {
        let (child, source) = match program::start(command) {
            Ok(started) => started,
            Err(refusal) => return Reply::Refused { process, refusal },
        };
        let pid = child.id();
        let end = self.reaper.track(pid);
        self.carry(process, Some(pid), (source, end));
        Reply::Started { process }
    }

    /// Begins work on files, on a thread of its own: a file system that does not answer holds neither this loop nor the
    /// end of this process.
    fn begin(&mut self, process: u32, action: FileAction, path: PathBuf) -> Reply {
        let (done, end) = oneshot::channel();
        let began = io::pipe().and_then(|(source, sink)| {
            let work = move || {
                let exit = exit_of(&perform(action, &path, sink));
                // Nobody wants to know any more where it was ended early.
                done.send(ProcessEnd { exit, usage: Usage::default() }).ok();
            };
            thread::Builder::new().name("files".into()).spawn(work).map(|_detached| source)
        });
        match began {
            Ok(source) => {
                self.carry(process, None, (source, end));
                Reply::Started { process }
            }
            Err(error) => {
                let refusal = Refusal { condition: Condition::Exhausted, message: error.to_string() };
                Reply::Refused { process, refusal }
            }
        }
    }

    fn carry(&mut self, process: u32, pid: Option<u32>, from: (PipeReader, oneshot::Receiver<ProcessEnd>)) {
        let credit = Arc::new(Semaphore::new(WINDOW as usize));
        let output = Output { process, credit: Arc::clone(&credit), frames: self.frames.clone() };
        let output = self.outputs.spawn(async move {
            // It stops early only when the host is gone, which the loop sees by itself.
            output.carry(from.0, from.1).await;
            process
        });
        self.processes.insert(process, Running { pid, credit, output });
    }

    fn signal(&mut self, process: u32, signal: ProcessSignal) -> io::Result<()> {
        if self.processes.get(&process).is_some_and(|running| running.pid.is_none()) {
            // Its thread ends at a pipe that nobody reads.
            if let Some(running) = self.processes.remove(&process) {
                running.output.abort();
            }
            return self.answer(&Reply::Closed { process });
        }
        let signal = match signal {
            ProcessSignal::Terminate => Signal::SIGTERM,
            ProcessSignal::Kill => Signal::SIGKILL,
        };
        // Only while it is not reaped does its number surely mean its own group.
        let pid = self.processes.get(&process).and_then(|running| running.pid);
        let pid = pid.filter(|pid| self.reaper.holds(*pid));
        if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
            killpg(Pid::from_raw(pid), signal).ok();
            killpg(Pid::from_raw(pid), Signal::SIGCONT).ok();
        }
        Ok(())
    }

    fn forget(&mut self, process: u32) {
        self.processes.remove(&process);
    }

    /// Begins to end all processes, or makes it sharper.
    fn end_all(&mut self, call: Option<u32>, grace: Duration) {
        let now = Instant::now();
        if !grace.is_zero() {
            self.descendants.terminate(&self.reaper.children());
        }
        let ending = self.ending.get_or_insert(Ending { calls: Vec::new(), kill_at: now + grace, next: now });
        ending.calls.extend(call);
        ending.kill_at = ending.kill_at.min(now + grace);
        ending.next = now;
        self.step();
    }

    /// When it is time for the next [`step`](Self::step), where anything is being ended.
    fn next_round(&self) -> Option<Instant> {
        self.ending.as_ref().map(|ending| ending.next)
    }

    /// Reaps, and goes on with ending all processes.
    fn step(&mut self) {
        let others = self.reaper.reap();
        let Some(ending) = &mut self.ending else { return };
        let now = Instant::now();
        let mut left = 0;
        if others {
            if now < ending.kill_at {
                ending.next = ending.kill_at;
                return;
            }
            if now < ending.kill_at + PATIENCE {
                self.descendants.kill(&self.reaper.children());
                ending.next = now + ROUND;
                return;
            }
            left = descendants::find(&[]).len();
        }
        for call in self.ending.take().into_iter().flat_map(|ending| ending.calls) {
            // The host is gone where nobody takes the answer; the loop sees that by itself.
            drop(self.answer(&Reply::AllEnded { call, left }));
        }
    }
}
