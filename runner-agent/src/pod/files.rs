//! Files of one container's user that another one's needs.

use std::{io, os::unix::fs::MetadataExt, os::unix::fs::PermissionsExt, path::Path};

use fs_err as fs;
use nix::unistd::{getegid, geteuid};
use walkdir::WalkDir;

/// Lets `user` and `group` read and change everything at `path`: owned by them where this process may do that, else open
/// to everybody in the pod.
pub(super) fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let ours = geteuid().as_raw();
    if user == ours && (ours == 0 || group == getegid().as_raw()) {
        return Ok(());
    }
    for entry in WalkDir::new(path) {
        let entry = entry?;
        let metadata = fs::symlink_metadata(entry.path())?;
        if ours == 0 {
            if (metadata.uid(), metadata.gid()) != (user, group) {
                fs::os::unix::fs::lchown(entry.path(), Some(user), Some(group))?;
            }
        } else if metadata.uid() == ours && !metadata.is_symlink() {
            let mode = metadata.mode() & 0o7777;
            let run = if metadata.is_dir() || mode & 0o100 != 0 { 0o111 } else { 0 };
            if mode | 0o666 | run != mode {
                fs::set_permissions(entry.path(), PermissionsExt::from_mode(mode | 0o666 | run))?;
            }
        }
    }
    Ok(())
}
