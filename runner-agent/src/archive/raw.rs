//! One file as it is.

use std::io::{self, Write};

use runner_cache::blocking::Interrupt;

use super::pack::{Tree, copy};

pub(super) fn write(output: &mut impl Write, tree: Tree<'_>, interrupt: &Interrupt) -> io::Result<()> {
    let found = tree.regular_files().collect::<io::Result<Vec<_>>>()?;
    match found.as_slice() {
        [] => Ok(()),
        [(path, found)] => copy(tree.content(path)?, found.size, output, interrupt),
        _ => {
            let message = format!("{} files match, but only one can be sent as it is", found.len());
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }
}
