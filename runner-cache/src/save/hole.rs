//! Where a file has content.

use std::{fs::File, io, ops::Range};

use nix::{
    errno::Errno,
    unistd::{Whence, lseek},
};

/// The parts of `file` that are no holes, in order.
pub(super) fn data(file: &File, size: u64) -> io::Result<Vec<Range<u64>>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < size {
        let Some(begin) = seek(file, at, Whence::SeekData)? else { break };
        let end = seek(file, begin, Whence::SeekHole)?.unwrap_or(size).min(size);
        if begin >= size || end <= begin {
            break;
        }
        parts.push(begin..end);
        at = end;
    }
    Ok(parts)
}

/// `None`: there is no more.
fn seek(file: &File, at: u64, whence: Whence) -> io::Result<Option<u64>> {
    let at = i64::try_from(at).map_err(io::Error::other)?;
    match lseek(file, at, whence) {
        Ok(found) => Ok(u64::try_from(found).ok()),
        Err(Errno::ENXIO) => Ok(None),
        Err(cause) => Err(cause.into()),
    }
}
