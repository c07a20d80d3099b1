//! Whether something fits before a byte of it is written.

use std::path::Path;

use runner_core::{Error, ErrorKind, Result};

/// Makes sure that `bytes` fit into the file system of `place`.
///
/// Where the file system does not tell how much is free, everything fits.
///
/// # Errors
/// [`ErrorKind::Exhausted`] with both figures where they do not.
pub fn ensure_space(place: &Path, bytes: u64, operation: &str) -> Result<()> {
    let Ok(system) = nix::sys::statvfs::statvfs(place) else { return Ok(()) };
    #[expect(clippy::useless_conversion, reason = "the type is another one on other systems")]
    let free = u64::from(system.blocks_available()).saturating_mul(system.fragment_size());
    if bytes <= free {
        return Ok(());
    }
    let cause = format!("it unpacks to {bytes} bytes, but only {free} are free in {}", place.display());
    Err(Error::new(ErrorKind::Exhausted, operation).because(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn petabytes_do_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ensure_space(folder.path(), 1, "unpack").is_ok());
        let error = ensure_space(folder.path(), u64::MAX, "unpack").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted);
    }
}
