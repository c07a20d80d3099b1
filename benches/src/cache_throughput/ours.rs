//! Our own caches, each step in a process as that of a job.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use runner_cache::{SaveOptions, Saved, Source, Transfer, reader::OwnFiles};
use runner_core::{CacheBackend, CacheFormat};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    Places,
    report::Figures,
    store::{Store, scope},
    theirs::milliseconds,
    trees,
};

/// Says to this program that it is one of these processes.
pub const ARGUMENT: &str = "--ours";
const KEY: &str = "key";

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    store: Store,
    project: String,
    tree: String,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// Saves the tree, for the first time.
    Save,
    /// Restores the tree, saves it as it is, changes some of it, and saves that.
    Job,
    /// Restores it.
    Restore,
}

/// Measures a save, and a job that restores, saves, changes, and saves again.
pub(crate) async fn measure(store: &Store, project: &str, places: &Places) -> Result<Figures> {
    let saved = step(store, project, &places.tree, Step::Save).await?;
    let to = places.empty()?;
    let restored = step(store, project, to, Step::Restore).await?;
    places.check().await?;
    let job = step(store, project, places.empty()?, Step::Job).await?;
    Ok(Figures {
        save_ms: saved.save_ms,
        restore_ms: restored.restore_ms,
        saved_bytes: saved.saved_bytes,
        requests: saved.requests,
        peak_rss_kb: [saved.peak_rss_kb, restored.peak_rss_kb, job.peak_rss_kb]
            .into_iter()
            .max()
            .unwrap_or(0),
        ..job
    })
}

async fn step(store: &Store, project: &str, tree: &Path, step: Step) -> Result<Figures> {
    let tree = tree.to_str().context("a path is not in UTF-8")?.to_owned();
    let order = Order { store: store.clone(), project: project.to_owned(), tree, step };
    let program = std::env::current_exe()?;
    let order = serde_json::to_string(&order)?;
    let done = tokio::process::Command::new(program).args([ARGUMENT, &order]).output().await?;
    ensure!(done.status.success(), "{step:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(serde_json::from_slice(&done.stdout)?)
}

/// Does what the arguments say, and tells what it took.
///
/// # Errors
/// Where it fails.
pub async fn run(mut arguments: impl Iterator<Item = String>) -> Result<String> {
    let order: Order = serde_json::from_str(&arguments.next().context("there is nothing to do")?)?;
    let mut figures = Figures::default();
    match order.step {
        Step::Save => (figures.save_ms, figures.saved_bytes, figures.requests) = save(&order, None).await?,
        Step::Restore => (_, figures.restore_ms) = restore(&order).await?,
        Step::Job => {
            let kept;
            (kept, figures.restore_ms) = restore(&order).await?;
            let kept = Some(Arc::new(kept));
            (figures.unchanged_ms, figures.unchanged_bytes, _) = save(&order, kept.clone()).await?;
            trees::change(Path::new(&order.tree))?;
            (figures.changed_ms, figures.changed_bytes, _) = save(&order, kept).await?;
        }
    }
    figures.peak_rss_kb = peak()?;
    Ok(serde_json::to_string(&figures)?)
}

async fn restore(order: &Order) -> Result<(runner_cache::Kept, f64)> {
    let begun = Instant::now();
    let grant = order.store.cache(CacheFormat::Packs)?.lookup(&scope(&order.project), KEY, &[]).await?;
    let grant = grant.context("there is nothing to restore")?;
    let restored = runner_cache::restore(&grant, Path::new(&order.tree), &Transfer::default()).await?;
    Ok((restored.kept, milliseconds(begun.elapsed())))
}

/// Returns milliseconds, bytes and requests.
async fn save(order: &Order, kept: Option<Arc<runner_cache::Kept>>) -> Result<(f64, u64, u64)> {
    let root = Path::new(&order.tree);
    // A runner finds the files by patterns, which costs all alike and is not measured.
    let files = paths(root)?;
    let begun = Instant::now();
    let cache = order.store.cache(CacheFormat::Packs)?;
    let grant = cache.begin(&scope(&order.project), KEY, &[]).await?;
    let source = Source { root: root.to_owned(), files, reader: Arc::new(OwnFiles) };
    let transfer = Transfer::default();
    let Saved { sent, .. } =
        runner_cache::save(&grant, source, SaveOptions { kept, ..SaveOptions::default() }, &transfer).await?;
    cache.publish(&grant).await?;
    let elapsed = milliseconds(begun.elapsed());
    Ok((elapsed, sent, transfer.traffic().requests))
}

fn paths(root: &Path) -> Result<Vec<std::path::PathBuf>> {
    let (mut paths, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
            paths.push(entry.path().strip_prefix(root)?.to_owned());
        }
    }
    Ok(paths)
}

/// The most memory that this process had, in kilobytes.
fn peak() -> Result<u64> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the system does not tell")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
