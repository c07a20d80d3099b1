//! What a cache costs, beside what everybody has.

#![expect(clippy::cast_precision_loss, reason = "what is printed needs no more than 52 bits")]

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use runner_testkit::{
    fault_proxy::{Fault, FaultProxy},
    s3_server::S3Server,
};
use tempfile::TempDir;

mod options;
pub mod ours;
mod report;
mod store;
mod theirs;
mod trees;

pub use options::{HELP, Options, Output};
pub use report::{Capped, Figures, Report, Tree};
use store::Store;
use trees::Kind;

/// So many bytes a second pass a connection that is slow.
const SLOW: u64 = 15_000_000;

/// Where trees and the store are: in memory, so that no disk is measured.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Measures everything.
///
/// # Errors
/// Where something could not be measured, or was not restored as it was saved.
pub async fn measure(options: &Options) -> Result<Report> {
    let place = tempfile::Builder::new().prefix("cache-throughput-").tempdir_in(memory())?;
    fs_err::create_dir(place.path().join("store"))?;
    tempfile::env::override_temp_dir(&place.path().join("store")).ok();
    let mut report = Report { trees: Vec::new(), capped: None };
    for kind in [Kind::Many, Kind::Large, Kind::Noise] {
        if options.only.as_deref().is_none_or(|only| only == kind.name()) {
            report.trees.push(measure_tree(kind, options, &place).await.context(kind.name())?);
        }
    }
    if options.only.as_deref().is_none_or(|only| only == "capped") {
        report.capped = Some(measure_capped(options, &place).await.context("slow connections")?);
    }
    Ok(report)
}

/// The store of a tree: the one that was named, or one of its own.
async fn store(options: &Options) -> Result<(Store, Option<S3Server>)> {
    if let Some(endpoint) = &options.endpoint {
        return Ok((Store::named(endpoint.clone()), None));
    }
    let server = S3Server::start().await?;
    Ok((Store::embedded(&server.address().to_string()), Some(server)))
}

async fn measure_tree(kind: Kind, options: &Options, place: &TempDir) -> Result<Tree> {
    let tree = place.path().join("tree");
    let made = trees::make(kind, &tree, options.scale())?;
    let mut rounds = Vec::new();
    for round in 0..options.rounds() {
        let (store, _server) = store(options).await?;
        store.prepare().await?;
        let places =
            Places { tree: tree.clone(), to: place.path().join("to"), archive: place.path().join("archive") };
        let project = format!("{}-{}-{round}", kind.name(), std::process::id());
        // In turn, so that what else the machine does hits all alike.
        let tar = theirs::measure(theirs::TAR, &store, &project, &places).await.context("tar | zstd")?;
        let peer = match &options.peer {
            Some(command) => Some(
                theirs::measure(command, &store, &format!("{project}-peer"), &places)
                    .await
                    .context("the peer")?,
            ),
            None => None,
        };
        let ours = ours::measure(&store, &project, &places).await.context("ours")?;
        rounds.push((ours, tar, peer));
    }
    fs_err::remove_dir_all(&tree)?;
    Ok(Tree::new(kind.name(), made, &rounds))
}

/// Where things are.
#[derive(Debug)]
pub(crate) struct Places {
    tree: PathBuf,
    to: PathBuf,
    archive: PathBuf,
}

impl Places {
    /// An empty folder to restore to.
    fn empty(&self) -> Result<&Path> {
        if self.to.exists() {
            fs_err::remove_dir_all(&self.to)?;
        }
        fs_err::create_dir(&self.to)?;
        Ok(&self.to)
    }

    /// Makes sure that what was restored is what was saved.
    async fn check(&self) -> Result<()> {
        let mut compare = tokio::process::Command::new("diff");
        let done = compare.args(["-r", "--no-dereference"]).arg(&self.tree).arg(&self.to).output().await?;
        ensure!(done.status.success(), "it is not what was saved: {}", String::from_utf8_lossy(&done.stdout));
        Ok(())
    }
}

async fn measure_capped(options: &Options, place: &TempDir) -> Result<Capped> {
    let tree = place.path().join("tree");
    let made = trees::make(Kind::Noise, &tree, options.scale().max(0.2))?;
    let (store, _server) = store(options).await?;
    store.prepare().await?;
    let proxy = FaultProxy::start("127.0.0.1:0", &store.address, |_| Fault::Rate(SLOW)).await?;
    let store = store.through(&proxy.address().to_string());
    let places =
        Places { tree: tree.clone(), to: place.path().join("to"), archive: place.path().join("archive") };
    let project = format!("capped-{}", std::process::id());
    let one = theirs::one_connection(&store, &project, &places).await.context("one connection")?;
    let many = ours::measure(&store, &project, &places).await.context("ours")?;
    fs_err::remove_dir_all(&tree)?;
    let speed = |ms: f64| made.bytes as f64 / 1000.0 / ms;
    Ok(Capped {
        one_connection_save_mb_s: speed(one.save_ms),
        one_connection_restore_mb_s: speed(one.restore_ms),
        save_mb_s: speed(many.save_ms),
        restore_mb_s: speed(many.restore_ms),
    })
}
