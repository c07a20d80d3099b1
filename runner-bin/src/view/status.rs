//! The area at the bottom of a terminal: what runs, what waits, and for what.

use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str, truncate_str};
use runner_core::Phase;
use tokio::time::Instant;

use super::{
    palette::{Color, Palette},
    screen::tame,
};
use crate::{
    duration::clock,
    ledger::{Entry, Ledger, State},
};

/// The room that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Columns.
    pub(crate) width: usize,
    /// Lines.
    pub(crate) height: usize,
}

/// What the area is drawn from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) now: Instant,
    /// How long the run has gone on.
    pub(super) elapsed: Duration,
    pub(super) room: Room,
    pub(super) palette: Palette,
}

impl Status<'_> {
    /// The lines of the area, each no wider than the terminal. `typing` gives the unfinished line of a job.
    pub(super) fn lines(self, typing: impl Fn(usize) -> String) -> Vec<String> {
        // A third of the terminal at most: the rest belongs to what the jobs print.
        let most = (self.room.height / 3).clamp(1, 12);
        let running = self.of(|state| matches!(state, State::Running { .. }));
        let waiting = self.of(|state| matches!(state, State::Waiting | State::Ready));
        let widest = running.iter().chain(&waiting).map(|(_, entry)| measure_text_width(&tame(&entry.name)));
        let width = widest.max().unwrap_or(0).min(self.room.width / 3).min(30);

        let mut lines = Vec::new();
        for (index, entry) in &running {
            let name = self.name(*index, entry, width);
            lines.push(format!(" {} {name}  {}  {}", self.mark(), self.doing(entry), typing(*index)));
        }
        for (index, entry) in &waiting {
            let what = self.palette.paint(Color::Dim, self.waiting(entry));
            lines.push(format!("   {}  {what}", self.name(*index, entry, width)));
        }
        if lines.len() > most {
            let left_out = lines.len() - most + 1;
            lines.truncate(most - 1);
            lines.push(self.palette.paint(Color::Dim, format!("   … and {left_out} more")));
        }
        let done = self.ledger.entries.len() - running.len() - waiting.len();
        let (running, waiting, time) = (running.len(), waiting.len(), clock(self.elapsed));
        let totals =
            format!(" {running} running · {waiting} waiting · {done} done · {time} · Ctrl-C cancels");
        lines.push(self.palette.paint(Color::Dim, totals));
        let fit = |line: &String| {
            let line = line.replace('\t', " ");
            truncate_str(line.trim_end(), self.room.width.saturating_sub(1), "…").into_owned()
        };
        lines.iter().map(fit).collect()
    }

    fn of(&self, is: fn(&State) -> bool) -> Vec<(usize, &Entry)> {
        self.ledger.entries.iter().enumerate().filter(|(_, entry)| is(&entry.state)).collect()
    }

    fn name(&self, index: usize, entry: &Entry, width: usize) -> String {
        let name = truncate_str(&tame(&entry.name), width, "…").into_owned();
        self.palette.paint(Color::Job(index), pad_str(&name, width, Alignment::Left, None))
    }

    /// Something that moves, so that a person sees that we live.
    fn mark(&self) -> String {
        const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
        let frame = usize::try_from(self.elapsed.as_millis() / 100).unwrap_or(0) % FRAMES.len();
        self.palette.paint(Color::Good, FRAMES.get(frame).copied().unwrap_or("·"))
    }

    fn doing(&self, entry: &Entry) -> String {
        let State::Running { phase, waits_for } = &entry.state else { return String::new() };
        let since = phase.map(|(_, since)| since).or(entry.started).unwrap_or(self.now);
        let what = match (waits_for, phase) {
            (Some(reason), _) => format!("waits for {}", tame(reason)),
            (None, Some((phase, _))) => phase_name(*phase).to_owned(),
            (None, None) => "starts".to_owned(),
        };
        let time = format!("{:>5}", clock(self.now.duration_since(since)));
        format!("{what:<18} {}", self.palette.paint(Color::Dim, time))
    }

    fn waiting(&self, entry: &Entry) -> String {
        let what = match entry.state {
            State::Ready => "a free slot".to_owned(),
            _ => tame(&self.ledger.waits_for(entry)),
        };
        if what.is_empty() { "waits".to_owned() } else { format!("waits for {what}") }
    }
}

/// What a person calls a phase.
pub(crate) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Prepare => "prepare",
        Phase::GetSources => "get sources",
        Phase::RestoreCache => "restore cache",
        Phase::DownloadArtifacts => "download artifacts",
        Phase::Script => "script",
        Phase::AfterScript => "after_script",
        Phase::SaveCache => "save cache",
        Phase::UploadArtifacts => "upload artifacts",
        Phase::Cleanup => "cleanup",
    }
}
