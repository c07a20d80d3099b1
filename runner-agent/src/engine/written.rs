//! The file that a shell reads a script from, held so that it shows whether it was changed.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use runner_core::Result;

use super::files;

/// A script's file.
///
/// A shell reads its script piece by piece while it runs. One that is cut short meanwhile ends as if it had no more
/// commands, with success: that must not pass for a script that ran to its end. Removing the file or putting another one
/// in its place does no harm, since the shell goes on with the one that it has open, and so does this.
#[derive(Debug)]
pub(crate) struct Written {
    file: File,
    text: String,
}

impl Written {
    /// Writes `text` to `path`.
    pub(crate) async fn create(path: PathBuf, text: String) -> Result<Self> {
        let write = move || {
            files::write_private(&path, text.as_bytes())?;
            Ok(Self { file: open(&path)?, text })
        };
        files::blocking("write a script of the job", write).await
    }

    /// Whether the file still holds what was written.
    pub(crate) async fn unchanged(mut self) -> Result<bool> {
        files::blocking("look whether a script of the job was changed", move || {
            let mut now = Vec::with_capacity(self.text.len());
            self.file.rewind()?;
            let most = self.text.len() as u64 + 1;
            self.file.take(most).read_to_end(&mut now)?;
            Ok(now == self.text.as_bytes())
        })
        .await
    }
}

fn open(path: &Path) -> io::Result<File> {
    Ok(fs_err::File::open(path)?.into_file())
}
