//! The area at the bottom of a terminal: what runs, what waits, and for what.

use console::{measure_text_width, pad_str, truncate_str};
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

/// The lines of the area, each no wider than the terminal. `typing` gives the unfinished line of a job.
pub(super) fn lines(
    ledger: &Ledger,
    began: Instant,
    now: Instant,
    room: Room,
    palette: Palette,
    typing: impl Fn(usize) -> String,
) -> Vec<String> {
    // A third of the terminal at most: the rest belongs to what the jobs print.
    let most = (room.height / 3).clamp(1, 12);
    let of = |is: fn(&State) -> bool| ledger.entries.iter().enumerate().filter(move |(_, it)| is(&it.state));
    let running: Vec<_> = of(|state| matches!(state, State::Running { .. })).collect();
    let waiting: Vec<_> = of(|state| matches!(state, State::Waiting | State::Ready)).collect();
    let done = ledger.entries.len() - running.len() - waiting.len();
    let widest =
        running.iter().chain(&waiting).map(|(_, entry)| measure_text_width(&tame(&entry.name))).max();
    let name_width = widest.unwrap_or(0).min(room.width / 3).min(30);
    let name = |index: usize, entry: &Entry| {
        let name = truncate_str(&tame(&entry.name), name_width, "…").into_owned();
        palette.paint(Color::Job(index), pad_str(&name, name_width, console::Alignment::Left, None))
    };

    let mut lines = Vec::new();
    for (index, entry) in &running {
        let what = doing(entry, now, palette);
        lines.push(format!(
            " {} {}  {what}  {}",
            mark(now, began, palette),
            name(*index, entry),
            typing(*index)
        ));
    }
    for (index, entry) in &waiting {
        let what = if entry.state == State::Ready { "a free slot".into() } else { ledger.waits_for(entry) };
        let what = if what.is_empty() { "waits".to_owned() } else { format!("waits for {}", tame(&what)) };
        lines.push(format!("   {}  {}", name(*index, entry), palette.paint(Color::Dim, what)));
    }
    if lines.len() > most {
        let left_out = lines.len() - most + 1;
        lines.truncate(most - 1);
        lines.push(palette.paint(Color::Dim, format!("   … and {left_out} more")));
    }
    lines.push(palette.paint(
        Color::Dim,
        format!(
            " {} running · {} waiting · {done} done · {} · Ctrl-C cancels",
            running.len(),
            waiting.len(),
            clock(now.duration_since(began))
        ),
    ));
    lines
        .iter()
        .map(|line| line.replace('\t', " "))
        .map(|line| truncate_str(line.trim_end(), room.width.saturating_sub(1), "…").into_owned())
        .collect()
}

/// Something that moves, so that a person sees that we live.
fn mark(now: Instant, began: Instant, palette: Palette) -> String {
    const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    let frame = usize::try_from(now.duration_since(began).as_millis() / 100).unwrap_or(0) % FRAMES.len();
    palette.paint(Color::Good, FRAMES.get(frame).copied().unwrap_or("·"))
}

fn doing(entry: &Entry, now: Instant, palette: Palette) -> String {
    let State::Running { phase, waits_for } = &entry.state else { return String::new() };
    let since = phase.map(|(_, since)| since).or(entry.started).unwrap_or(now);
    let what = match (waits_for, phase) {
        (Some(reason), _) => format!("waits for {reason}"),
        (None, Some((phase, _))) => phase_name(*phase).to_owned(),
        (None, None) => "starts".to_owned(),
    };
    format!("{what:<18} {}", palette.paint(Color::Dim, format!("{:>5}", clock(now.duration_since(since)))))
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
