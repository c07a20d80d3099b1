//! What was measured.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::trees::Made;

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    /// By tree.
    pub trees: Vec<Tree>,
    /// With slow connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capped: Option<Capped>,
}

/// A tree.
#[derive(Debug, Serialize)]
pub struct Tree {
    name: &'static str,
    bytes: u64,
    files: u64,
    ours: Figures,
    tar_zstd: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Figures>,
}

/// What one way of caching took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The first save.
    pub save_ms: f64,
    /// A restore into an empty folder.
    pub restore_ms: f64,
    /// A save when nothing changed since the restore.
    pub unchanged_ms: f64,
    /// A save when one percent of the files changed.
    pub changed_ms: f64,
    /// Bytes that the first save sent.
    pub saved_bytes: u64,
    /// Bytes that a save sent when nothing changed.
    pub unchanged_bytes: u64,
    /// Bytes that a save sent when one percent of the files changed.
    pub changed_bytes: u64,
    /// The peak of memory.
    pub peak_rss_kb: u64,
    /// Requests of the first save.
    pub requests: u64,
}

/// Incompressible data where each connection is slow.
#[derive(Debug, Serialize)]
pub struct Capped {
    /// One PUT.
    pub one_connection_save_mb_s: f64,
    /// One GET.
    pub one_connection_restore_mb_s: f64,
    /// Our save.
    pub save_mb_s: f64,
    /// Our restore.
    pub restore_mb_s: f64,
}

type Round = (Figures, Figures, Option<Figures>);

impl Tree {
    pub(crate) fn new(name: &'static str, made: Made, rounds: &[Round]) -> Self {
        let all = |pick: fn(&Round) -> Figures| median(&rounds.iter().map(pick).collect::<Vec<_>>());
        let has_peer = rounds.iter().any(|round| round.2.is_some());
        Self {
            name,
            bytes: made.bytes,
            files: made.files,
            ours: all(|round| round.0),
            tar_zstd: all(|round| round.1),
            peer: has_peer.then(|| all(|round| round.2.unwrap_or_default())),
        }
    }

    fn add(&self, text: &mut String) -> std::fmt::Result {
        let (megabytes, mib) = (self.bytes as f64 / 1e6, |bytes: u64| bytes as f64 / 1e6);
        writeln!(text, "{}: {} files, {megabytes:.0} MB", self.name, self.files)?;
        writeln!(
            text,
            "  {:10} {:>17} {:>17} {:>17} {:>17} {:>6} {:>8}",
            "", "save ms (MB/s)", "restore ms (MB/s)", "unchanged ms (MB)", "1 % ms (MB)", "PUTs", "peak MB"
        )?;
        let rows = [("ours", Some(self.ours)), ("tar|zstd", Some(self.tar_zstd)), ("peer", self.peer)];
        for (name, row) in rows.into_iter().filter_map(|(name, row)| Some((name, row?))) {
            let speed = |ms: f64| format!("{ms:.0} ({:.0})", megabytes * 1000.0 / ms);
            let sent = |ms: f64, bytes| format!("{ms:.0} ({:.1})", mib(bytes));
            writeln!(
                text,
                "  {name:10} {:>17} {:>17} {:>17} {:>17} {:>6} {:>8.0}   {:.1} MB stored",
                speed(row.save_ms),
                speed(row.restore_ms),
                sent(row.unchanged_ms, row.unchanged_bytes),
                sent(row.changed_ms, row.changed_bytes),
                row.requests,
                row.peak_rss_kb as f64 * 1.024 / 1000.0,
                mib(row.saved_bytes)
            )?;
        }
        self.add_verdicts(text)
    }

    fn add_verdicts(&self, text: &mut String) -> std::fmt::Result {
        let (ours, theirs) = (&self.ours, &self.tar_zstd);
        let of = |bytes: u64, all: u64| bytes as f64 / all as f64;
        for (what, ratio, goal) in [
            ("save, time of tar|zstd", ours.save_ms / theirs.save_ms, 0.67),
            ("restore, time of tar|zstd", ours.restore_ms / theirs.restore_ms, 0.6),
            ("save, bytes of tar|zstd", of(ours.saved_bytes, theirs.saved_bytes), 1.1),
            ("unchanged, time of its save", ours.unchanged_ms / theirs.save_ms, 0.15),
            ("unchanged, bytes of the save", of(ours.unchanged_bytes, ours.saved_bytes), 0.01),
            ("1 % changed, bytes of the save", of(ours.changed_bytes, ours.saved_bytes), 0.05),
            ("peak memory, of 96 MB", of(ours.peak_rss_kb, 96 * 1024), 1.0),
        ] {
            // Where a tree has fewer than a hundred files, one of them is more than a percent.
            if what.starts_with("1 %") && self.files < 100 {
                continue;
            }
            let verdict = if ratio <= goal { "reached" } else { "MISSED" };
            writeln!(text, "  {what}: {ratio:.3}, goal <= {goal}: {verdict}")?;
        }
        writeln!(text)
    }
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for tree in &self.trees {
            // Writing to a string does not fail.
            if tree.add(&mut text).is_err() {
                break;
            }
        }
        if let Some(Capped {
            one_connection_save_mb_s,
            one_connection_restore_mb_s,
            save_mb_s,
            restore_mb_s,
        }) = self.capped
        {
            for (what, one, all) in [
                ("save", one_connection_save_mb_s, save_mb_s),
                ("restore", one_connection_restore_mb_s, restore_mb_s),
            ] {
                let verdict = if all / one >= 6.0 { "reached" } else { "MISSED" };
                let line = format!(
                    "each connection at 15 MB/s, {what}: {all:.0} MB/s, one connection {one:.0} MB/s, {:.1} times, goal >= 6: {verdict}\n",
                    all / one
                );
                text.push_str(&line);
            }
        }
        text
    }
}

/// The median of each figure.
fn median(all: &[Figures]) -> Figures {
    let time = |pick: fn(&Figures) -> f64| {
        let mut values: Vec<_> = all.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let count = |pick: fn(&Figures) -> u64| {
        let mut values: Vec<_> = all.iter().map(pick).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Figures {
        save_ms: time(|of| of.save_ms),
        restore_ms: time(|of| of.restore_ms),
        unchanged_ms: time(|of| of.unchanged_ms),
        changed_ms: time(|of| of.changed_ms),
        saved_bytes: count(|of| of.saved_bytes),
        unchanged_bytes: count(|of| of.unchanged_bytes),
        changed_bytes: count(|of| of.changed_bytes),
        peak_rss_kb: all.iter().map(|of| of.peak_rss_kb).max().unwrap_or_default(),
        requests: count(|of| of.requests),
    }
}
