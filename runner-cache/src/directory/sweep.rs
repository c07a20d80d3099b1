//! Removes what nobody needs.

use std::{
    fs::Metadata,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use runner_core::Result;

use super::{ENDING, PARTIAL};
use crate::{blocking::Interrupt, io_error};

/// A write that stood still for so long is nobody's any more, whatever entries are kept for.
const ABANDONED: Duration = Duration::from_hours(24);

/// Removes entries and writes that were not touched for `unused_for`, and folders that are empty then.
/// A file that vanishes meanwhile was removed by another process, which is as good.
pub(super) fn sweep(root: &Path, unused_for: Duration, interrupt: &Interrupt) -> Result<u64> {
    let failed = |cause| io_error("sweep the cache", cause);
    let scopes = match fs_err::read_dir(root) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(0),
        scopes => scopes.map_err(failed)?,
    };
    let mut freed = 0;
    for scope in scopes {
        let scope = scope.map_err(failed)?;
        if scope.file_type().map_err(failed)?.is_dir() {
            freed += sweep_scope(&scope.path(), unused_for, interrupt).map_err(failed)?;
        } else if is_named(&scope.path(), PARTIAL) {
            freed += remove_if_old(&scope.path(), unused_for.min(ABANDONED)).map_err(failed)?;
        }
    }
    Ok(freed)
}

fn sweep_scope(scope: &Path, unused_for: Duration, interrupt: &Interrupt) -> io::Result<u64> {
    let mut freed = 0;
    for file in fs_err::read_dir(scope)? {
        interrupt.check()?;
        let place = file?.path();
        if is_named(&place, ENDING) {
            freed += remove_if_old(&place, unused_for)?;
        } else if is_named(&place, PARTIAL) {
            freed += remove_if_old(&place, unused_for.min(ABANDONED))?;
        }
    }
    // Fails where something is left in it, as it should.
    drop(fs_err::remove_dir(scope));
    Ok(freed)
}

fn is_named(place: &Path, ending: &str) -> bool {
    place.as_os_str().to_string_lossy().ends_with(ending)
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
