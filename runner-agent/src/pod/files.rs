//! Files of one container's user that another one's needs.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use fs_err as fs;
use nix::unistd::{getegid, geteuid};

/// Lets `user` and `group` read and change everything at `path`: owned by them where this process may do that, else open
/// to everybody in the pod.
pub(super) fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let ours = geteuid().as_raw();
    if user == ours && (ours == 0 || group == getegid().as_raw()) {
        return Ok(());
    }
    let mut open = vec![path.to_owned()];
    while let Some(place) = open.pop() {
        let found = match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        give_one(&place, &found, (user, group))?;
        if !found.is_dir() {
            continue;
        }
        match fs::read_dir(&place) {
            Ok(entries) => {
                for entry in entries {
                    open.push(entry?.path());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // It is that user's already, and closed to this process.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && found.uid() != ours => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn give_one(place: &Path, found: &Metadata, (user, group): (u32, u32)) -> io::Result<()> {
    let ours = geteuid().as_raw();
    if (found.uid(), found.gid()) == (user, group) {
        return Ok(());
    }
    if ours == 0 {
        match fs::os::unix::fs::lchown(place, Some(user), Some(group)) {
            // A root without its powers.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            given => return given,
        }
    }
    if found.uid() != ours || found.is_symlink() {
        return Ok(());
    }
    let mode = found.mode() & 0o7777;
    let run = if found.is_dir() || mode & 0o100 != 0 { 0o111 } else { 0 };
    if mode | 0o666 | run != mode {
        fs::set_permissions(place, PermissionsExt::from_mode(mode | 0o666 | run))?;
    }
    Ok(())
}
