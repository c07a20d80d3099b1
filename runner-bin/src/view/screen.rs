//! What a run looks like while it goes on: the lines of all jobs, each with the name of its job before it.

use std::{fmt::Write, time::Duration};

use console::{Alignment, measure_text_width, pad_str, truncate_str};
use tokio::time::Instant;

use super::{
    ansi,
    lines::{LogItem, LogLines},
    palette::{Color, Palette},
    status::{Room, Status},
};
use crate::{
    duration::human,
    ledger::{Ending, Ledger, State},
};

/// Names of jobs are shown up to this width.
const WIDEST_NAME: usize = 28;
/// How long a line without an end is held back where it cannot be shown in the area at the bottom.
const PATIENCE: Duration = Duration::from_millis(700);
/// Sections that took less are not worth a line.
const WORTH_TELLING: Duration = Duration::from_millis(50);
/// How much of the end of a log is kept to find out why a job failed.
const TAIL: usize = 8 << 10;

/// The lines of all jobs as they come. Nothing is written: [`lines`](Self::lines) gives what is to be.
#[derive(Debug)]
pub(crate) struct Screen {
    jobs: Vec<JobLines>,
    palette: Palette,
    /// There is an area at the bottom that shows unfinished lines.
    live: bool,
    began: Instant,
    lines: String,
}

#[derive(Debug)]
struct JobLines {
    /// The name, padded and coloured.
    name: String,
    log: LogLines,
    sections: Vec<Section>,
    /// When the line without an end last grew.
    grew: Option<Instant>,
    /// The last piece that was shown was not the end of its line.
    open: bool,
    /// Text for the log's file, since it was last taken.
    text: String,
    /// The end of the log.
    tail: String,
}

#[derive(Debug)]
struct Section {
    name: String,
    began: Instant,
    /// Its heading, until something is shown under it: a section with nothing to tell is not worth a line.
    heading: Option<String>,
}

impl Screen {
    /// A screen for jobs of these names. `live`: it is a terminal.
    pub(crate) fn new<'a>(
        names: impl IntoIterator<Item = &'a str>,
        palette: Palette,
        live: bool,
        now: Instant,
    ) -> Self {
        let names: Vec<String> =
            names.into_iter().map(|name| truncate_str(&tame(name), WIDEST_NAME, "…").into_owned()).collect();
        let width = names.iter().map(|name| measure_text_width(name)).max().unwrap_or(0);
        let job = |(index, name): (usize, &String)| JobLines {
            name: palette.paint(Color::Job(index), pad_str(name, width, Alignment::Left, None)),
            log: LogLines::default(),
            sections: Vec::new(),
            grew: None,
            open: false,
            text: String::new(),
            tail: String::new(),
        };
        let jobs = names.iter().enumerate().map(job).collect();
        Self { jobs, palette, live, began: now, lines: String::new() }
    }

    /// Takes bytes of a job's log.
    pub(crate) fn log(&mut self, job: usize, bytes: &[u8], now: Instant) {
        let Self { jobs, lines, palette, .. } = self;
        let Some(job) = jobs.get_mut(job) else { return };
        let mut log = std::mem::take(&mut job.log);
        log.push(bytes, &mut |item| job.show(item, now, *palette, lines));
        job.log = log;
        job.grew = Some(now);
    }

    /// Shows what was held back for too long.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Self { jobs, lines, palette, live, .. } = self;
        for job in jobs.iter_mut().filter(|_| !*live) {
            if job.grew.is_some_and(|grew| now.duration_since(grew) >= PATIENCE) {
                let mut log = std::mem::take(&mut job.log);
                log.flush(&mut |item| job.show(item, now, *palette, lines));
                job.log = log;
                job.grew = None;
            }
        }
    }

    /// Shows the rest of a job's log, and how the job ended.
    pub(crate) fn end(&mut self, index: usize, ending: &Ending, total: Option<Duration>, now: Instant) {
        let Self { jobs, lines, palette, .. } = self;
        let Some(job) = jobs.get_mut(index) else { return };
        let mut log = std::mem::take(&mut job.log);
        log.finish(&mut |item| job.show(item, now, *palette, lines));
        // The job may be retried: its next log begins anew.
        job.sections.clear();
        let Some(total) = total else { return };
        let (mark, color, text) = match ending {
            Ending::Succeeded => ("✓", Color::Good, "passed".to_owned()),
            Ending::Failed { failure, allowed: false } => {
                ("✗", Color::Bad, format!("failed: {}", failure.message))
            }
            Ending::Failed { failure, allowed: true } => {
                ("!", Color::Warning, format!("failed, as it may: {}", failure.message))
            }
            Ending::Canceled => ("✗", Color::Warning, "canceled".to_owned()),
            Ending::Skipped(_) | Ending::Manual => return,
        };
        let sign = palette.paint(color, format!("{mark} {text}"));
        let time = palette.paint(Color::Dim, format!("({})", human(total)));
        push_line(lines, format_args!("{} {sign} {time}", job.name));
    }

    /// One line of ours that belongs to a job.
    pub(crate) fn notice(&mut self, job: usize, text: &str) {
        let Self { jobs, lines, palette, .. } = self;
        if let Some(job) = jobs.get(job) {
            push_line(
                lines,
                format_args!("{} {}", job.name, palette.paint(Color::Warning, format!("! {}", tame(text)))),
            );
        }
    }

    /// One line of ours that belongs to no job.
    pub(crate) fn note(&mut self, text: &str) {
        let head = self.palette.paint(Color::Warning, "note:");
        push_line(&mut self.lines, format_args!("{head} {}", tame(text)));
    }

    /// The lines that came since they were last [forgotten](Self::forget_lines), each with its end.
    pub(crate) fn lines(&self) -> &str {
        &self.lines
    }

    /// The lines are written.
    pub(crate) fn forget_lines(&mut self) {
        self.lines.clear();
    }

    /// The text of each job's log that came since the last call.
    pub(crate) fn take_texts(&mut self, mut take: impl FnMut(usize, &str)) {
        for (index, job) in self.jobs.iter_mut().enumerate() {
            if !job.text.is_empty() {
                take(index, &job.text);
                job.tail.push_str(end_of(&job.text, TAIL));
                let surplus = job.tail.len() - end_of(&job.tail, TAIL).len();
                job.tail.drain(..surplus);
                job.text.clear();
            }
        }
    }

    /// The end of a job's log, without colours.
    pub(crate) fn tail(&self, job: usize) -> &str {
        self.jobs.get(job).map_or("", |job| &job.tail)
    }

    /// The area at the bottom of a terminal; nothing where there is none.
    pub(crate) fn area(&self, ledger: &Ledger, room: Room, now: Instant) -> Vec<String> {
        let ended = |state: &State| matches!(state, State::Ended(_));
        if !self.live || ledger.entries.iter().all(|entry| ended(&entry.state)) {
            return Vec::new();
        }
        let typing = |job: usize| self.jobs.get(job).map(|job| job.log.unfinished()).unwrap_or_default();
        let elapsed = now.duration_since(self.began);
        Status { ledger, now, elapsed, room, palette: self.palette }.lines(typing)
    }
}

impl JobLines {
    fn show(&mut self, item: LogItem, now: Instant, palette: Palette, lines: &mut String) {
        match item {
            LogItem::Line { text, ended } => {
                let plain = ansi::plain(&text);
                self.text.push_str(&plain);
                if ended {
                    self.text.push('\n');
                }
                let is_rest_of_nothing = self.open && plain.is_empty();
                let says_the_end = ended && self.sections.is_empty() && says_the_end(&plain);
                self.open = !ended;
                if !is_rest_of_nothing && !says_the_end {
                    self.push(if palette.is_on() { &text } else { &plain }, palette, lines);
                }
            }
            LogItem::SectionStarted { name, heading } => {
                self.text.push_str(&heading);
                self.text.push('\n');
                let heading = palette.paint(Color::Strong, format!("▸ {heading}"));
                self.sections.push(Section { name, began: now, heading: Some(heading) });
            }
            LogItem::SectionEnded { name } => {
                let Some(at) = self.sections.iter().rposition(|section| section.name == name) else { return };
                let took = now.duration_since(self.sections.get(at).map_or(now, |section| section.began));
                if took >= WORTH_TELLING {
                    let text = format!("◂ {} {}", section_name(&name), human(took));
                    self.push(&palette.paint(Color::Dim, text), palette, lines);
                }
                self.sections.truncate(at);
            }
        }
    }

    /// Shows a line, after the headings of the sections that it is the first line of.
    fn push(&mut self, text: &str, palette: Palette, lines: &mut String) {
        let headings = self.sections.iter_mut().filter_map(|section| section.heading.take());
        for heading in headings {
            push_line(lines, format_args!("{} {} {heading}", self.name, palette.paint(Color::Dim, "│")));
        }
        push_line(lines, format_args!("{} {} {text}", self.name, palette.paint(Color::Dim, "│")));
    }
}

fn push_line(lines: &mut String, line: std::fmt::Arguments<'_>) {
    let start = lines.len();
    // Writing into a string does not fail.
    let _infallible = lines.write_fmt(line);
    let end = start + lines.get(start..).unwrap_or_default().trim_end_matches(' ').len();
    lines.truncate(end);
    lines.push('\n');
}

/// Whether a line of a log says what ours after it says too.
fn says_the_end(line: &str) -> bool {
    line == "Job succeeded" || line.starts_with("ERROR: Job failed")
}

/// What a person calls a section.
fn section_name(name: &str) -> String {
    match name {
        "prepare_executor" => "prepare".into(),
        "step_script" => "script".into(),
        "after_script" => "after_script".into(),
        "archive_cache" | "archive_cache_on_failure" => "save cache".into(),
        "upload_artifacts_on_success" | "upload_artifacts_on_failure" => "upload artifacts".into(),
        "cleanup_file_variables" => "cleanup".into(),
        other => other.replace('_', " "),
    }
}

/// Text of somebody else's in one line that steers no terminal.
pub(crate) fn tame(text: &str) -> String {
    ansi::plain(&text.replace(['\n', '\r', '\t'], " ")).into_owned()
}

/// The last `size` bytes of `text`, or a few less.
fn end_of(text: &str, size: usize) -> &str {
    let from = text.len().saturating_sub(size);
    let cut = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(from);
    text.get(cut..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
