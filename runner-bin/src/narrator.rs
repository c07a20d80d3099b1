//! Tells a run: takes what happens from all sides, in one order, and gives it to the screen, the ledger and the logs.
//!
//! Writing may block (a pager that waits, a slow disk), so it has a thread of its own. What jobs print is bounded on the
//! way there: a job that prints faster than anybody reads waits.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{Event, JobEvent, JobId, Phase};
use runner_pipeline::{JobProgress, JobStatus, PipelineOutput};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};

use crate::{
    hint::{self, Scene},
    ledger::{Ending, Ledger, Role, State},
    log_files::LogFiles,
    view::{Painter, Palette, Room, Screen},
};

/// How many bytes of logs may wait to be shown.
const MOST_UNSHOWN: usize = 1 << 20;
/// Lines are written when so many bytes of them have come, even if more wait.
const BATCH: usize = 64 << 10;
/// How often the area at the bottom moves.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// What happens.
enum Update {
    Log { job: String, bytes: Bytes, _room: Option<OwnedSemaphorePermit> },
    Changed(JobProgress),
    Event(Event),
    Note(String),
    Tick,
    Over,
}

/// Where things are told. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Narrator {
    updates: mpsc::UnboundedSender<(Instant, Update)>,
    room: Arc<Semaphore>,
    ticking: Arc<AtomicBool>,
}

/// What a narration is of.
pub(crate) struct Cast {
    /// The jobs of the run, stage by stage, each with its image.
    pub(crate) jobs: Vec<(Role, Option<String>)>,
    /// Where the logs go.
    pub(crate) logs: LogFiles,
    /// Where the text goes.
    pub(crate) painter: Painter,
    /// The terminal, if it is one.
    pub(crate) terminal: Option<console::Term>,
    /// Colours.
    pub(crate) palette: Palette,
    /// The jobs run on this machine, which is what hints explain.
    pub(crate) is_local: bool,
}

/// The state of a narration; [`run`](Self::run) is its thread.
pub(crate) struct Narration {
    updates: mpsc::UnboundedReceiver<(Instant, Update)>,
    ticking: Arc<AtomicBool>,
    ledger: Ledger,
    screen: Screen,
    logs: LogFiles,
    painter: Painter,
    terminal: Option<console::Term>,
    images: Vec<Option<String>>,
    indices: HashMap<String, usize>,
    ids: HashMap<JobId, usize>,
    notes: Vec<String>,
    is_local: bool,
}

/// What is left when all is told.
#[derive(Debug)]
pub(crate) struct Told {
    /// The account of all jobs.
    pub(crate) ledger: Ledger,
    /// Notes that were shown.
    pub(crate) notes: Vec<String>,
}

impl Narrator {
    /// A narrator and its narration.
    pub(crate) fn new(cast: Cast) -> (Self, Narration) {
        let (sender, updates) = mpsc::unbounded_channel();
        let ticking = Arc::new(AtomicBool::new(false));
        let names = || cast.jobs.iter().map(|(role, _)| &role.name);
        let screen =
            Screen::new(names().map(String::as_str), cast.palette, cast.terminal.is_some(), Instant::now());
        let narration = Narration {
            updates,
            ticking: Arc::clone(&ticking),
            indices: names().cloned().zip(0..).collect(),
            images: cast.jobs.iter().map(|(_, image)| image.clone()).collect(),
            ledger: Ledger::new(cast.jobs.into_iter().map(|(role, _)| role)),
            screen,
            logs: cast.logs,
            painter: cast.painter,
            terminal: cast.terminal,
            ids: HashMap::new(),
            notes: Vec::new(),
            is_local: cast.is_local,
        };
        (Self { updates: sender, room: Arc::new(Semaphore::new(MOST_UNSHOWN)), ticking }, narration)
    }

    /// One that nobody listens to.
    pub(crate) fn deaf() -> Self {
        let (updates, _) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(MOST_UNSHOWN));
        Self { updates, room, ticking: Arc::default() }
    }

    fn tell(&self, update: Update) {
        // A narration that is over needs to hear nothing.
        drop(self.updates.send((Instant::now(), update)));
    }

    /// Something happened in the run loop or in a job.
    pub(crate) fn event(&self, event: Event) {
        self.tell(Update::Event(event));
    }

    /// Something that a person should know.
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.tell(Update::Note(text.into()));
    }

    /// All is told: the narration ends.
    pub(crate) fn over(&self) {
        self.tell(Update::Over);
    }

    /// Moves the clock, for ever.
    pub(crate) async fn tick(&self) {
        let mut interval = tokio::time::interval(TICK);
        loop {
            interval.tick().await;
            // At most one tick waits, however long a terminal blocks.
            if !self.ticking.swap(true, Ordering::AcqRel) {
                self.tell(Update::Tick);
            }
        }
    }
}

impl Narration {
    /// Tells everything until it is [over](Narrator::over). Blocks: it belongs on a thread of its own.
    pub(crate) fn run(mut self) -> Told {
        while let Some((now, update)) = self.updates.blocking_recv() {
            let mut goes_on = self.apply(update, now);
            while goes_on && self.screen.lines().len() < BATCH {
                let Ok((now, update)) = self.updates.try_recv() else { break };
                goes_on = self.apply(update, now);
            }
            let area = if goes_on { self.area(now) } else { Vec::new() };
            self.painter.paint(self.screen.lines(), area);
            self.screen.forget_lines();
            if !goes_on {
                break;
            }
        }
        self.ledger.close();
        Told { ledger: self.ledger, notes: self.notes }
    }

    fn area(&self, now: Instant) -> Vec<String> {
        let Some(terminal) = &self.terminal else { return Vec::new() };
        let (height, width) = terminal.size();
        self.screen.area(&self.ledger, Room { width: width.into(), height: height.into() }, now)
    }

    /// Applies `update` and returns whether more will come.
    fn apply(&mut self, update: Update, now: Instant) -> bool {
        match update {
            Update::Log { job, bytes, .. } => self.log(&job, &bytes, now),
            Update::Changed(progress) => self.changed(progress, now),
            Update::Event(event) => self.event(event, now),
            Update::Note(note) => {
                self.screen.note(&note);
                self.notes.push(note);
            }
            Update::Tick => {
                self.ticking.store(false, Ordering::Release);
                self.screen.tick(now);
                self.write_logs();
            }
            Update::Over => {
                self.finish(now);
                return false;
            }
        }
        true
    }

    /// Takes a log piece by piece, so that little of it is held in more than one form.
    fn log(&mut self, job: &str, bytes: &[u8], now: Instant) {
        let Some(job) = self.index(job) else { return };
        for piece in bytes.chunks(BATCH) {
            if self.screen.lines().len() >= BATCH {
                self.painter.paint(self.screen.lines(), self.area(now));
                self.screen.forget_lines();
            }
            self.screen.log(job, piece, now);
            self.write_logs();
        }
    }

    fn index(&self, job: &str) -> Option<usize> {
        self.indices.get(job).copied()
    }

    fn changed(&mut self, progress: JobProgress, now: Instant) {
        let Some(index) = self.index(&progress.name) else { return };
        let Some(entry) = self.ledger.entries.get_mut(index) else { return };
        self.ids.insert(progress.id, index);
        entry.queued = progress.queued;
        entry.total = progress.ran;
        let ending = match progress.status {
            JobStatus::Waiting => {
                entry.state = State::Waiting;
                return;
            }
            JobStatus::Ready => {
                entry.state = State::Ready;
                if let Some(failure) = progress.previous.filter(|_| progress.attempt > 1) {
                    self.screen.end(index, &Ending::Canceled, None, now);
                    self.screen.notice(index, &format!("{}; it is tried again", failure.message));
                }
                return;
            }
            JobStatus::Running => return entry.start(now),
            JobStatus::Succeeded => Ending::Succeeded,
            JobStatus::Failed { failure, allowed } => Ending::Failed { failure, allowed },
            JobStatus::Canceled => Ending::Canceled,
            JobStatus::Skipped { because } => Ending::Skipped(because),
            JobStatus::Manual => Ending::Manual,
        };
        self.end(index, ending, progress.ran, now);
    }

    fn write_logs(&mut self) {
        let mut complaints = Vec::new();
        let logs = &mut self.logs;
        self.screen.take_texts(|job, text| complaints.extend(logs.append(job, text).map(|it| (job, it))));
        for (job, complaint) in complaints {
            self.screen.notice(job, &complaint);
        }
    }

    fn end(&mut self, index: usize, ending: Ending, ran: Option<Duration>, now: Instant) {
        self.screen.end(index, &ending, ran, now);
        self.write_logs();
        let (log, complaint) = self.logs.close(index);
        let image = self.images.get(index).and_then(Option::as_deref);
        if let Some(entry) = self.ledger.entries.get_mut(index) {
            entry.log = log;
            if self.is_local
                && let Ending::Failed { failure, .. } = &ending
            {
                let log = self.screen.tail(index);
                entry.hint = hint::hint(&Scene { log, exit_code: failure.exit_code, image });
            }
            entry.state = State::Ended(ending);
        }
        if let Some(complaint) = complaint {
            self.screen.notice(index, &complaint);
        }
    }

    /// Shows what is left of jobs of which no end was reported: they were stopped at once.
    fn finish(&mut self, now: Instant) {
        for index in 0..self.ledger.entries.len() {
            let Some(entry) = self.ledger.entries.get_mut(index) else { continue };
            if let (State::Running { .. }, Some(started)) = (&entry.state, entry.started) {
                let ran = now.duration_since(started);
                entry.total = Some(ran);
                self.end(index, Ending::Canceled, Some(ran), now);
            }
        }
    }

    fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Job { job, event } => {
                if let Some(index) = self.ids.get(&job).copied() {
                    self.job_event(index, event, now);
                }
            }
            Event::SourceFailed { error, .. } => self.screen.note(&error),
            _ => {}
        }
    }

    fn job_event(&mut self, index: usize, event: JobEvent, now: Instant) {
        let Some(entry) = self.ledger.entries.get_mut(index) else { return };
        match event {
            JobEvent::Starting { .. } => entry.enter(Phase::Prepare, now),
            JobEvent::Waiting { reason, .. } => entry.wait_for(reason),
            JobEvent::PhaseStarted(phase) => entry.enter(phase, now),
            JobEvent::Notice(text) => self.screen.notice(index, &text),
            JobEvent::Ended(end) => entry.measure(&end),
            _ => {}
        }
    }
}

impl fmt::Debug for Narrator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Narrator")
    }
}

#[async_trait]
impl PipelineOutput for Narrator {
    /// Waits where too much is not shown yet.
    async fn log(&self, job: &str, bytes: Bytes) {
        let size = u32::try_from(bytes.len().min(MOST_UNSHOWN)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(size).await.ok();
        self.tell(Update::Log { job: job.to_owned(), bytes, _room: room });
    }

    fn changed(&self, _: &str, progress: &JobProgress) {
        self.tell(Update::Changed(progress.clone()));
    }
}

#[cfg(test)]
mod tests;
