//! Removes what nobody needs.

use std::{
    collections::HashSet,
    fs::Metadata,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use runner_core::Result;

use super::{HEADS, PACKS, PARTIAL, read_without_use};
use crate::{blocking::Interrupt, head::PackName, io_error};

/// A write that stood still for so long is nobody's any more, whatever entries are kept for.
const ABANDONED: Duration = Duration::from_hours(24);

/// Removes entries that were not used for `unused_for`, packs that no entry names any more and that are no longer young,
/// writes that stand still, and folders that are empty then. A file that vanishes meanwhile was removed by another process,
/// which is as good.
pub(super) fn sweep(root: &Path, unused_for: Duration, interrupt: &Interrupt) -> Result<u64> {
    let failed = |cause| io_error("sweep the cache", cause);
    let mut freed = 0;
    for scope in entries(root).map_err(failed)? {
        let scope = scope.map_err(failed)?;
        if scope.file_type().map_err(failed)?.is_dir() {
            freed += sweep_scope(&scope.path(), unused_for, interrupt).map_err(failed)?;
        } else if is_partial(&scope.path()) {
            freed += remove_if_old(&scope.path(), unused_for.min(ABANDONED)).map_err(failed)?;
        }
    }
    Ok(freed)
}

fn sweep_scope(scope: &Path, unused_for: Duration, interrupt: &Interrupt) -> io::Result<u64> {
    let (heads, packs) = (scope.join(HEADS), scope.join(PACKS));
    let (mut freed, mut named) = (0, HashSet::new());
    for file in entries(&heads)? {
        interrupt.check()?;
        let place = file?.path();
        let patience = if is_partial(&place) { unused_for.min(ABANDONED) } else { unused_for };
        freed += remove_if_old(&place, patience)?;
        let head = read_without_use(&place)?;
        named.extend(head.into_iter().flat_map(|head| head.packs).map(|pack| pack.name));
    }
    for file in entries(&packs)? {
        interrupt.check()?;
        let file = file?;
        let is_named =
            file.file_name().to_str().and_then(PackName::parse).is_some_and(|name| named.contains(&name));
        if !is_named {
            freed += remove_if_old(&file.path(), unused_for.min(ABANDONED))?;
        }
    }
    for folder in [&heads, &packs, &scope.to_owned()] {
        // Fails where something is left in it, as it should.
        drop(fs_err::remove_dir(folder));
    }
    Ok(freed)
}

fn entries(folder: &Path) -> io::Result<Box<dyn Iterator<Item = io::Result<fs_err::DirEntry>>>> {
    match fs_err::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Box::new(std::iter::empty())),
        entries => Ok(Box::new(entries?)),
    }
}

fn is_partial(place: &Path) -> bool {
    place.as_os_str().to_string_lossy().ends_with(PARTIAL)
}

fn remove_if_old(place: &Path, unused_for: Duration) -> io::Result<u64> {
    let removed = fs_err::symlink_metadata(place).and_then(|found| {
        if age(&found)? < unused_for {
            return Ok(0);
        }
        fs_err::remove_file(place)?;
        Ok(found.len())
    });
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(0),
        removed => removed,
    }
}

/// A time in the future, after a clock was set back, counts as now.
fn age(found: &Metadata) -> io::Result<Duration> {
    Ok(SystemTime::now().duration_since(found.modified()?).unwrap_or_default())
}
