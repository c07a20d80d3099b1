//! Packs files into an entry of a cache, and unpacks them again.
//!
//! An entry is one file: a tar stream, compressed by zstd, and at its end a *seal* with the number of files, their
//! size and a digest of all bytes before it. The seal is a frame that zstd skips, so `tar --zstd -xf` reads an
//! entry as it is. The digest is checked before a file is touched: reading the compressed bytes twice costs far less
//! than unpacking beside the work tree, which would double the space and the number of files made. Where an entry is
//! damaged, cut short or empty, or where it would not fit, the work tree therefore stays as it was.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use runner_core::{Error, ErrorKind, Location, ReadGrant, Result, WriteGrant, cache::Object};

use crate::{blocking, io_error, reader::TreeReader};

mod read;
mod seal;
mod space;
mod write;

pub use space::ensure_space;

/// The name of the one object of an entry.
pub(crate) const OBJECT: &str = "archive.tar.zst";

/// What was saved or restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files, folders and links.
    pub files: u64,
    /// Size of the files, in bytes.
    pub bytes: u64,
    /// Size of the archive, in bytes.
    pub archive_bytes: u64,
    /// Selected, but not stored: sockets, pipes and devices, and files that vanished meanwhile.
    pub left_out: u64,
}

/// Writes `files`, paths relative to `root` and read by `reader`, as the entry of `grant`. It becomes readable when the backend publishes it;
/// after an error the caller aborts the grant.
///
/// Symbolic links are stored as links; a folder is stored without what is in it.
///
/// # Cancellation
/// Dropping the future ends the work soon, and removes what was written.
///
/// # Errors
/// Where a file cannot be read ([`ErrorKind::Unauthorized`] and others, with its name), or the store is full
/// ([`ErrorKind::Exhausted`]).
pub async fn save(
    grant: &WriteGrant,
    root: &Path,
    files: Vec<PathBuf>,
    reader: Arc<dyn TreeReader>,
) -> Result<Summary> {
    let mut half = Half(Some(place_of(&grant.objects)?));
    let (place, root) = (place_of(&grant.objects)?, root.to_owned());
    let saved = blocking::run(move |interrupt| {
        let failed = |cause| io_error("save the cache", cause);
        let output = fs_err::File::create(&place).map_err(failed)?;
        let mut half = Half(Some(place));
        let saved = write::write(output, &root, &files, &*reader, interrupt).map_err(failed)?;
        half.keep();
        Ok(saved)
    })
    .await?;
    half.keep();
    Ok(saved)
}

/// An archive that nobody may need: removed when dropped. A caller that is gone aborts nothing, and a full disk should
/// not stay full. The thread that packs has one and so has the future that waits for it, since either may end first.
struct Half(Option<PathBuf>);

impl Half {
    fn keep(&mut self) {
        self.0 = None;
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some(place) = self.0.take().filter(|place| place.is_file()) {
            // Where the other one was faster, there is nothing to remove.
            drop(fs_err::remove_file(place));
        }
    }
}

/// Writes what the entry of `grant` holds into `root`. Files that exist are replaced, others are left alone.
///
/// # Cancellation
/// Dropping the future ends the work soon; what was written until then stays.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where the entry is damaged, [`ErrorKind::Exhausted`] where it does not fit: in both cases
/// nothing was touched. [`ErrorKind::Invalid`] where it asks for something outside of `root`. The message names the
/// entry's file and what to do.
pub async fn restore(grant: &ReadGrant, root: &Path) -> Result<Summary> {
    let place = place_of(&grant.objects)?;
    let root = root.to_owned();
    blocking::run(move |interrupt| read::read(&place, &root, interrupt)).await
}

fn place_of(objects: &[Object]) -> Result<PathBuf> {
    let object = objects.iter().find(|object| object.name == OBJECT);
    match object.map(|object| &object.location) {
        Some(Location::Path(path)) => Ok(PathBuf::from(path)),
        _ => Err(Error::new(ErrorKind::Unsupported, "reach the cache's archive")),
    }
}

#[cfg(test)]
mod tests;
