//! What a host does with files, with the rights of its processes, and how it tells of it.

use std::{
    io::{self, BufWriter, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use nix::errno::Errno;
use runner_cache::reader::{Facts, Kind, OwnFiles, TreeReader};
use serde::{Deserialize, Serialize};

use super::{Exit, FileAction};
use crate::workspace::removal;

/// Facts as they travel, in JSON: numbers have no names there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told(u8, u32, (u64, u64), [(i64, i64); 2], (u64, u64), u64, Vec<u8>);

impl From<Facts> for Told {
    fn from(facts: Facts) -> Self {
        let Facts { kind, mode, size, allocated, modified, changed, identity, names, target } = facts;
        Self(number(kind), mode, (size, allocated), [modified, changed], identity, names, target)
    }
}

impl From<Told> for Facts {
    fn from(told: Told) -> Self {
        let Told(number, mode, (size, allocated), [modified, changed], identity, names, target) = told;
        Self {
            kind: kind(number),
            mode: mode & 0o777,
            size,
            allocated,
            modified,
            changed,
            identity,
            names,
            target,
        }
    }
}

/// Does what is asked for, with the rights of this process. What it tells goes to `sink`.
///
/// # Errors
/// Those of the file system, and of the sink.
pub(crate) fn perform(action: FileAction, path: &Path, sink: impl Write) -> io::Result<()> {
    let mut sink = BufWriter::new(sink);
    match action {
        FileAction::Facts => serde_json::to_writer(&mut sink, &Told::from(OwnFiles.facts(path)?))?,
        FileAction::Entries => {
            for (name, kind) in OwnFiles.entries(path)? {
                let name = name.as_bytes();
                let length = u16::try_from(name.len()).map_err(io::Error::other)?;
                sink.write_all(&[number(kind)])?;
                sink.write_all(&length.to_le_bytes())?;
                sink.write_all(name)?;
            }
        }
        FileAction::Content => {
            io::copy(&mut OwnFiles.content(path)?, &mut sink)?;
        }
        FileAction::Clear if OwnFiles.facts(path)?.kind == Kind::Folder => removal::empty(path)?,
        FileAction::Clear => return Err(io::ErrorKind::NotADirectory.into()),
    }
    sink.flush()
}

/// How an action ended, as the end of a process.
pub(crate) fn exit_of(done: &io::Result<()>) -> Exit {
    let Err(cause) = done else { return Exit::Code(0) };
    let number = match cause.kind() {
        io::ErrorKind::NotFound => Errno::ENOENT,
        io::ErrorKind::PermissionDenied => Errno::EACCES,
        io::ErrorKind::NotADirectory => Errno::ENOTDIR,
        io::ErrorKind::InvalidInput => Errno::EINVAL,
        _ => cause.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
    };
    Exit::Code(number as i32)
}

fn number(kind: Kind) -> u8 {
    match kind {
        Kind::File => 0,
        Kind::Folder => 1,
        Kind::Link => 2,
        Kind::Other => 3,
    }
}

pub(super) fn kind(number: u8) -> Kind {
    match number {
        0 => Kind::File,
        1 => Kind::Folder,
        2 => Kind::Link,
        _ => Kind::Other,
    }
}
