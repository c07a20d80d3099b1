//! From files to an entry.
//!
//! One thread walks over the files, cuts what it reads into chunks, and collects those that are not there yet into frames;
//! some compress them, and fill packs; and the packs are sent while that goes on. The head comes last.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use runner_core::{
    CacheFormat, Error, ErrorKind, Result, WriteGrant,
    cache::{HEAD, Object},
};
use tokio::{
    sync::mpsc::{self, Receiver},
    task::JoinSet,
};

use crate::{
    blocking,
    head::Head,
    io_error,
    kept::Kept,
    reader::TreeReader,
    transfer::{Content, Transfer},
};

mod base;
mod cut;
mod hole;
mod pack;
mod produce;
mod table;
mod walk;

use base::Base;
use pack::Full;
use produce::Made;

const OPERATION: &str = "save the cache";
/// A pack that is older counts as not there, so that a store may remove what is twice as old.
const OLD: u32 = 15;

/// What is to be saved.
#[derive(Debug, Clone)]
pub struct Source {
    /// The work tree.
    pub root: PathBuf,
    /// Files, folders and links, relative to it. A folder is saved without what is in it.
    pub files: Vec<PathBuf>,
    /// What reads them.
    pub reader: Arc<dyn TreeReader>,
}

/// How hard it is tried to make it small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    /// In the least time.
    Fastest,
    /// In little time.
    Fast,
    /// Where time and size are in balance.
    #[default]
    Default,
    /// Smaller, in several times the time.
    Slow,
    /// As small as it gets, in many times the time.
    Slowest,
}

impl Level {
    /// What zstd calls it.
    fn of_zstd(self) -> i32 {
        match self {
            Self::Fastest => -1,
            Self::Fast => 1,
            Self::Default => 2,
            Self::Slow => 6,
            Self::Slowest => 12,
        }
    }
}

/// How something is saved.
#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    /// How hard it is tried to make it small.
    pub level: Level,
    /// An entry that needs more bytes in the store than this is not saved.
    pub limit: Option<u64>,
    /// What was restored into the same work tree by this process, so that what did not change since is not read.
    pub kept: Option<Arc<Kept>>,
}

/// What was saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// Files, folders and links.
    pub files: u64,
    /// Size of the files, in bytes.
    pub bytes: u64,
    /// Bytes that the entry needs in the store.
    pub stored: u64,
    /// Bytes that were sent for it; the rest was there. Nothing: the entry is as it was.
    pub sent: u64,
    /// Selected, but not stored: sockets, pipes and devices, and files that vanished meanwhile.
    pub left_out: u64,
}

/// Writes `source` as the entry of `grant`, in the format [`CacheFormat::Packs`]. It becomes readable when the backend
/// publishes it; after an error the caller aborts the grant.
///
/// A base that cannot be read costs what it would have saved, and is no error.
///
/// # Cancellation
/// Dropping the future ends the work soon. Packs may have been written; no head names them.
///
/// # Errors
/// Where a file cannot be read ([`ErrorKind::Unauthorized`] and others, with its name), the store is full or the entry larger
/// than the limit ([`ErrorKind::Exhausted`]), or those of [`Transfer::write`].
pub async fn save(
    grant: &WriteGrant,
    source: Source,
    options: SaveOptions,
    transfer: &Transfer,
) -> Result<Saved> {
    if grant.format != CacheFormat::Packs {
        return Err(Error::new(ErrorKind::Unsupported, OPERATION).because("it is to be another format"));
    }
    let today = day(SystemTime::now());
    let base = Base::load(grant, options.kept.as_deref(), today, transfer).await;
    let (packs, full) = mpsc::channel(1);
    let (id, room) = (grant.id.clone(), grant.objects.len().saturating_sub(1));
    let work = blocking::run(move |interrupt| {
        let job = produce::Job { source, options, base, id, room, today };
        produce::produce(job, packs, interrupt).map_err(|cause| io_error(OPERATION, cause))
    });
    let (made, sent) = tokio::try_join!(work, send(full, &grant.objects, transfer))?;
    let Made { head, mut saved } = made;
    if let Some(head) = head {
        saved.stored = head.stored();
        saved.sent = sent + publish(&head, grant, transfer).await?;
    }
    Ok(saved)
}

/// Sends packs as they come, several at once. Returns how many bytes.
async fn send(mut full: Receiver<Full>, objects: &[Object], transfer: &Transfer) -> Result<u64> {
    let mut sending = JoinSet::new();
    let mut sent = 0;
    loop {
        while sending.len() >= transfer.connections() {
            sent += joined(sending.join_next().await)?;
        }
        let pack = tokio::select! {
            pack = full.recv() => pack,
            done = sending.join_next(), if !sending.is_empty() => {
                sent += joined(done)?;
                continue;
            }
        };
        let Some(Full { number, content }) = pack else { break };
        let object = objects.get(number).ok_or_else(|| Error::new(ErrorKind::Internal, OPERATION))?;
        let (transfer, location) = (transfer.clone(), object.location.clone());
        sending.spawn(async move { transfer.write(&location, &content).await.map(|()| content.size()) });
    }
    while let Some(done) = sending.join_next().await {
        sent += joined(Some(done))?;
    }
    Ok(sent)
}

fn joined(done: Option<std::result::Result<Result<u64>, tokio::task::JoinError>>) -> Result<u64> {
    match done {
        Some(Ok(sent)) => sent,
        Some(Err(cause)) => Err(Error::new(ErrorKind::Internal, OPERATION).because(cause)),
        None => Ok(0),
    }
}

async fn publish(head: &Head, grant: &WriteGrant, transfer: &Transfer) -> Result<u64> {
    let object = grant.objects.iter().find(|object| object.name == HEAD);
    let object = object
        .ok_or_else(|| Error::new(ErrorKind::Invalid, OPERATION).because("there is no place for its head"))?;
    let text = head.to_text();
    let size = text.len() as u64;
    transfer.write(&object.location, &Content::Bytes(Bytes::from(text))).await?;
    Ok(size)
}

/// The day of a time, since 1970.
fn day(time: SystemTime) -> u32 {
    const DAY: Duration = Duration::from_hours(24);
    let days = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY.as_secs();
    u32::try_from(days).unwrap_or(u32::MAX)
}
