//! One file as it is.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use runner_cache::blocking::Interrupt;

use super::pack::{copy, regular_files};

pub(super) fn write(
    output: &mut impl Write,
    folder: &Path,
    files: &[PathBuf],
    interrupt: &Interrupt,
) -> io::Result<()> {
    let found = regular_files(folder, files).collect::<io::Result<Vec<_>>>()?;
    match found.as_slice() {
        [] => Ok(()),
        [(path, found)] => copy(fs_err::File::open(folder.join(path))?, found.len(), output, interrupt),
        _ => {
            let message = format!("{} files match, but only one can be sent as it is", found.len());
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }
}
