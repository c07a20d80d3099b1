//! From an entry to files.
//!
//! The index comes first, and tells what is to be made and whether that may and can be done. Then packs are fetched, several at
//! once, and while they come their frames are checked, unpacked and written into files in a folder of their own. Only when all
//! of them are there is that folder's content moved to where it belongs.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::SystemTime,
};

use runner_core::{CacheFormat, Error, ErrorKind, Location, ReadGrant, Result};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::JoinSet,
    time::sleep,
};

use crate::{
    blocking, ensure_space,
    head::{Head, PackName},
    index::Index,
    io_error,
    kept::{Kept, TICK},
    name,
    transfer::Transfer,
};

mod fetch;
mod place;
mod plan;
mod stage;
mod unpack;

use fetch::Arrived;
use plan::Plan;
use stage::Stage;
use unpack::Unpacker;

const OPERATION: &str = "restore the cache";
/// More threads than these would need more memory than a restore may have.
const MOST_THREADS: usize = 8;
/// So many frames wait for each thread.
const WAITING: usize = 2;

/// What was restored.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Files, folders and links.
    pub files: u64,
    /// Size of the files, in bytes.
    pub bytes: u64,
    /// Bytes that were received for it.
    pub received: u64,
    /// What a save in the same process needs to know; see [`SaveOptions`](crate::SaveOptions).
    pub kept: Kept,
}

/// Makes the files of the entry of `grant`, which has the format [`CacheFormat::Packs`], in `root`. Files that exist are
/// replaced, others are left alone.
///
/// # Cancellation
/// Dropping the future ends the work soon, and what was made until then is removed, unless it was whole and is being moved.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where the entry is damaged or not whole, [`ErrorKind::Exhausted`] where it does not fit,
/// [`ErrorKind::Invalid`] where it asks for something outside of `root`, and those of [`Body::next`](crate::transfer::Body::next):
/// in all these cases nothing was touched.
pub async fn restore(grant: &ReadGrant, root: &Path, transfer: &Transfer) -> Result<Restored> {
    if grant.format != CacheFormat::Packs {
        return Err(Error::new(ErrorKind::Unsupported, OPERATION).because("it has another format"));
    }
    let before = transfer.traffic().received;
    let head = Head::parse(grant.head.as_bytes())?;
    let locations = locations(&head, grant)?;
    let index = Arc::new(read_index(&head, grant, transfer).await?);
    let (made, gone) = prepare(Arc::clone(&index), root).await?;
    let made = match fill(&made, &locations, transfer).await {
        Ok(()) => finish(made).await,
        Err(error) => {
            drop(made);
            Err(error)
        }
    };
    // Where it failed, the folder is removed by whichever thread lets go of it last.
    drop(gone.await);
    let states = made?;
    // A change after this has another time than the files have now, so that those made last need not be read again either.
    sleep(TICK).await;
    Ok(Restored {
        files: index.count,
        bytes: index.bytes,
        received: transfer.traffic().received.saturating_sub(before),
        kept: Kept { head: grant.head.clone(), index, states, seen: SystemTime::now() },
    })
}

/// The index of an entry, checked by the digest that its head has.
pub(crate) async fn read_index(head: &Head, grant: &ReadGrant, transfer: &Transfer) -> Result<Index> {
    let place = head.index;
    let pack = head.packs.get(place.pack).ok_or_else(|| Error::new(ErrorKind::Corrupt, OPERATION))?;
    let location = location(&pack.name, grant)?;
    let bytes = transfer.read_all(location, place.offset..place.offset + place.length).await;
    let bytes = bytes.map_err(missing)?;
    let head = head.clone();
    blocking::run(move |_| {
        if blake3::hash(&bytes) != place.digest {
            return Err(damaged("its index is damaged"));
        }
        Index::parse(&bytes, &head).map_err(|cause| io_error(OPERATION, cause))
    })
    .await
}

fn locations(head: &Head, grant: &ReadGrant) -> Result<Vec<Location>> {
    head.packs.iter().map(|pack| location(&pack.name, grant).cloned()).collect()
}

fn location<'a>(name: &PackName, grant: &'a ReadGrant) -> Result<&'a Location> {
    let object = grant.objects.iter().find(|object| object.name == name.as_str());
    let object = object.ok_or_else(|| Error::new(ErrorKind::Corrupt, OPERATION).with("pack", name));
    object.map(|object| &object.location)
}

fn damaged(what: &'static str) -> Error {
    let cause = format!("{what}; the next job that saves it replaces it");
    Error::new(ErrorKind::Corrupt, OPERATION).because(cause)
}

/// That a pack is not there, or is too short, means that the entry is not whole.
fn missing(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Corrupt => {
            let cause = format!(
                "a part of it is not there ({}); the next job that saves it replaces it",
                error.chain()
            );
            Error::new(ErrorKind::Corrupt, OPERATION).because(cause)
        }
        _ => error,
    }
}

/// What all threads of a restore share.
#[derive(Debug)]
struct Making {
    plan: Plan,
    stage: Stage,
}

/// Checks that it may and can be made, and makes the folder in which it will be. The receiver tells when that is gone.
async fn prepare(index: Arc<Index>, root: &Path) -> Result<(Arc<Making>, oneshot::Receiver<()>)> {
    let (root, id) = (root.to_owned(), name::write_id()?);
    blocking::run(move |interrupt| {
        let plan = Plan::new(&index).map_err(|cause| io_error(OPERATION, cause))?;
        ensure_space(&root, plan.content(), OPERATION)?;
        let root = fs_err::canonicalize(root).map_err(|cause| io_error(OPERATION, cause))?;
        place::check(&plan.index, &root, interrupt).map_err(|error| error.during(OPERATION))?;
        let (stage, gone) = Stage::new(root, &id).map_err(|cause| io_error(OPERATION, cause))?;
        stage.folders(&plan, interrupt).map_err(|cause| io_error(OPERATION, cause))?;
        Ok((Arc::new(Making { plan, stage }), gone))
    })
    .await
}

/// Fetches all content, and writes it into files.
async fn fill(making: &Arc<Making>, locations: &[Location], transfer: &Transfer) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(MOST_THREADS));
    let (arrived, waiting) = channel();
    let waiting = Arc::new(Mutex::new(waiting));
    let room = Arc::new(Semaphore::new(threads * WAITING));
    let mut working = JoinSet::new();
    for _ in 0..threads {
        let (making, waiting) = (Arc::clone(making), Arc::clone(&waiting));
        working.spawn(blocking::run(move |interrupt| {
            let mut unpacker = Unpacker::new(&making.plan, &making.stage, interrupt)?;
            unpack_all(&waiting, &mut unpacker)
        }));
    }
    drop(waiting);
    let fetching = fetch::all(&making.plan, locations, transfer, fetch::Output { arrived, room });
    let working = async {
        while let Some(done) = working.join_next().await {
            done.unwrap_or_else(|cause| Err(Error::new(ErrorKind::Internal, OPERATION).because(cause)))?;
        }
        Ok(())
    };
    tokio::try_join!(fetching, working).map(drop)
}

fn unpack_all(
    waiting: &Mutex<Receiver<(Arrived, OwnedSemaphorePermit)>>,
    unpacker: &mut Unpacker<'_>,
) -> Result<()> {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((frame, permit)) = next else { return Ok(()) };
        unpacker.take(&frame)?;
        drop(permit);
    }
}

/// Moves everything to its place.
async fn finish(making: Arc<Making>) -> Result<Vec<crate::kept::State>> {
    blocking::run(move |interrupt| {
        let Making { plan, stage } = &*making;
        stage.links(plan, interrupt).map_err(|cause| io_error(OPERATION, cause))?;
        place::move_all(plan, stage).map_err(|error| error.during(OPERATION))
    })
    .await
}

#[cfg(test)]
mod tests;
