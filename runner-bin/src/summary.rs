//! The table at the end of a run, for a person.

use std::{fmt::Write, iter, path::Path, time::Duration};

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use crate::{
    duration::human,
    ledger::{Ending, Entry, Ledger, State, shown_from},
    view::{Color, Palette, phase_name, tame},
};

/// Phases shorter than this are left out of the table.
const WORTH_TELLING: Duration = Duration::from_millis(100);

/// What the table says besides the jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// How long the run took.
    pub(crate) wall: Duration,
    /// Paths are shown as a person types them from here.
    pub(crate) directory: &'a Path,
    /// Where all artifacts are.
    pub(crate) artifacts: Option<&'a Path>,
    /// Where the jobs' directories are, if they are kept.
    pub(crate) kept: Option<&'a Path>,
}

/// The table, the reasons and the totals, each line with its end; nothing where there are no jobs.
pub(crate) fn summary(ledger: &Ledger, frame: Frame<'_>, palette: Palette) -> String {
    if ledger.entries.is_empty() {
        return String::new();
    }
    let mut text = table(ledger, palette);
    for entry in &ledger.entries {
        text.push_str(&reason(entry, frame.directory, palette));
    }
    let totals = totals(ledger, frame.wall);
    let color = if ledger.failed() { Color::Bad } else { Color::Good };
    line(&mut text, "");
    line(&mut text, &palette.paint(color, totals));
    for (what, path) in [("artifacts", frame.artifacts), ("job directories kept", frame.kept)] {
        if let Some(path) = path {
            line(&mut text, &format!("{what}: {}", shown_from(frame.directory, path)));
        }
    }
    text
}

fn table(ledger: &Ledger, palette: Palette) -> String {
    let width = |of: fn(&Entry) -> &str, least: usize| {
        let widths = ledger.entries.iter().map(|entry| measure_text_width(&tame(of(entry))));
        widths.max().unwrap_or(0).clamp(least, 40)
    };
    let (name_width, stage_width) = (width(|entry| &entry.name, 3), width(|entry| &entry.stage, 5));
    let cell = |text: &str, width| {
        pad_str(&truncate_str(&tame(text), width, "…"), width, Alignment::Left, None).into_owned()
    };
    let mut text = String::from("\n");
    let head = format!(
        "  {}  {}  {:<8}  {:>7}",
        cell("Job", name_width),
        cell("Stage", stage_width),
        "Status",
        "Time"
    );
    line(&mut text, &palette.paint(Color::Dim, head));
    for entry in &ledger.entries {
        let State::Ended(ending) = &entry.state else { continue };
        let (mark, color, status) = shown(ending);
        let row = format!(
            "{} {}  {}  {}  {:>7}  {}",
            palette.paint(color, mark),
            cell(&entry.name, name_width),
            palette.paint(Color::Dim, cell(&entry.stage, stage_width)),
            palette.paint(color, format!("{status:<8}")),
            entry.total.map_or_else(|| "–".to_owned(), human),
            palette.paint(Color::Dim, remark(entry, ending)),
        );
        line(&mut text, &row);
    }
    text
}

/// The mark, the colour and the word for an ending.
fn shown(ending: &Ending) -> (&'static str, Color, &'static str) {
    match ending {
        Ending::Succeeded => ("✓", Color::Good, "passed"),
        Ending::Failed { allowed: false, .. } => ("✗", Color::Bad, "failed"),
        Ending::Failed { allowed: true, .. } => ("!", Color::Warning, "failed"),
        Ending::Canceled => ("✗", Color::Warning, "canceled"),
        Ending::Skipped(_) => ("–", Color::Dim, "skipped"),
        Ending::Manual => ("▷", Color::Dim, "manual"),
    }
}

/// What the last column says.
fn remark(entry: &Entry, ending: &Ending) -> String {
    let tried = (entry.attempts > 1).then(|| format!("tried {} times", entry.attempts));
    let told: Vec<String> = match ending {
        Ending::Skipped(why) => vec![tame(why)],
        Ending::Manual => vec![format!("starts by hand: runner exec {}", quoted(&entry.name))],
        Ending::Canceled if entry.total.is_none() => vec!["not started".into()],
        Ending::Failed { allowed: true, .. } => iter::once("allowed to fail".into()).chain(tried).collect(),
        Ending::Succeeded | Ending::Failed { .. } | Ending::Canceled => {
            let phases = entry.phases.iter().filter(|record| record.duration >= WORTH_TELLING);
            let phases =
                phases.map(|record| format!("{} {}", phase_name(record.phase), human(record.duration)));
            tried.into_iter().chain(phases).collect()
        }
    };
    told.join(" · ")
}

/// Why a job failed, and where to read on.
fn reason(entry: &Entry, directory: &Path, palette: Palette) -> String {
    let State::Ended(Ending::Failed { failure, allowed }) = &entry.state else { return String::new() };
    let log = entry.log_from(directory).map(|log| format!(" · log: {log}")).unwrap_or_default();
    let color = if *allowed { Color::Warning } else { Color::Bad };
    let mut text = String::from("\n");
    line(&mut text, &format!("{}: {}{log}", palette.paint(color, tame(&entry.name)), tame(&failure.message)));
    if let Some(hint) = &entry.hint {
        line(&mut text, &format!("  {} {hint}", palette.paint(Color::Warning, "hint:")));
    }
    text
}

fn totals(ledger: &Ledger, wall: Duration) -> String {
    let mut counts = [
        ("passed", 0),
        ("failed", 0),
        ("failed as allowed", 0),
        ("canceled", 0),
        ("skipped", 0),
        ("manual", 0),
    ];
    for entry in &ledger.entries {
        let State::Ended(ending) = &entry.state else { continue };
        let word = match ending {
            Ending::Failed { allowed: true, .. } => "failed as allowed",
            ending => shown(ending).2,
        };
        if let Some((_, count)) = counts.iter_mut().find(|(name, _)| *name == word) {
            *count += 1;
        }
    }
    let told: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let jobs = ledger.entries.len();
    let noun = if jobs == 1 { "job" } else { "jobs" };
    format!("{jobs} {noun} in {}: {}", human(wall), told.join(", "))
}

/// `name` as one word of a shell.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.:/+,@%".contains(letter);
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    format!("'{}'", tame(name).replace('\'', r"'\''"))
}

fn line(text: &mut String, line: &str) {
    // Writing into a string does not fail.
    let _infallible = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests;
