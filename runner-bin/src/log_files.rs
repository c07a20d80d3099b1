//! The logs of jobs as files, one per job, without colours.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use fs_err::File;
use runner_cache::name;

/// One file per job. A file that cannot be written is said once, and stops nothing.
#[derive(Debug)]
pub(crate) struct LogFiles {
    files: Vec<LogFile>,
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    writer: Option<BufWriter<File>>,
    failed: bool,
}

impl LogFiles {
    /// Files in `directory`, named for the jobs.
    pub(crate) fn new<'a>(directory: &Path, names: impl IntoIterator<Item = &'a str>) -> Self {
        let file = |name: &str| LogFile {
            path: directory.join(format!("{}.log", name::folder(name))),
            writer: None,
            failed: false,
        };
        Self { files: names.into_iter().map(file).collect() }
    }

    /// Appends to the log of `job`, which is made anew at the first call. What is returned is to be told to the user.
    pub(crate) fn append(&mut self, job: usize, text: &str) -> Option<String> {
        let file = self.files.get_mut(job).filter(|file| !file.failed)?;
        let error = file.write(text).err()?;
        file.failed = true;
        file.writer = None;
        Some(format!("the rest of this log is not kept: {error}"))
    }

    /// Everything of the log of `job` is on its way to the disk. Returns the path, if there is a log.
    pub(crate) fn close(&mut self, job: usize) -> (Option<PathBuf>, Option<String>) {
        let Some(file) = self.files.get_mut(job) else { return (None, None) };
        let flushed = file.writer.as_mut().map(BufWriter::flush);
        let exists = flushed.is_some() || file.failed;
        let complaint = flushed.and_then(Result::err).map(|error| {
            file.failed = true;
            file.writer = None;
            format!("the rest of this log is not kept: {error}")
        });
        (exists.then(|| file.path.clone()), complaint)
    }
}

impl LogFile {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(BufWriter::new(File::create(&self.path)?)),
        };
        writer.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_written_is_said_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = LogFiles::new(&directory.path().join("missing"), ["a"]);
        let complaint = files.append(0, "text").unwrap();
        assert!(
            complaint.starts_with("the rest of this log is not kept: failed to create file"),
            "{complaint}"
        );
        assert_eq!(files.append(0, "text"), None);
    }

    #[test]
    fn a_log_is_made_anew_in_each_run() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["a long first text\n", "second\n"] {
            let mut files = LogFiles::new(directory.path(), ["a"]);
            assert_eq!(files.append(0, text), None);
            let (path, complaint) = files.close(0);
            assert_eq!((fs_err::read_to_string(path.unwrap()).unwrap().as_str(), complaint), (text, None));
        }
    }
}
