//! Reads a work tree through a host.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufReader, Read},
    os::unix::ffi::OsStringExt,
    path::Path,
    sync::Arc,
};

use bytes::{Buf, Bytes};
use runner_cache::reader::{Facts, Kind, TreeReader};
use tokio::runtime::Handle;

use super::{
    Exit, FileAction, Host, Process, ProcessEvent, ProcessSignal,
    files::{Told, kind},
};

/// So many names are taken of one folder: more would be a host that lies, and memory without bound.
const MOST_NAMES: usize = 1 << 20;

/// Facts are a few numbers, and where a link points to.
const LARGEST_FACTS: u64 = 64 << 10;

/// Reads files through a host.
///
/// What a host tells is believed as little as what a job has made: a name that is none, and an answer without end, are
/// errors.
#[derive(Debug, Clone)]
pub(crate) struct HostReader {
    host: Arc<dyn Host>,
    runtime: Handle,
}

impl HostReader {
    /// Reads through `host`, on threads that may block. Must be called within a runtime.
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        Self { host, runtime: Handle::current() }
    }

    fn begin(&self, action: FileAction, path: &Path) -> io::Result<Answer> {
        let process = self.runtime.block_on(self.host.files(action, path)).map_err(io::Error::other)?;
        Ok(Answer { process, rest: Bytes::new(), has_ended: false, runtime: self.runtime.clone() })
    }
}

impl TreeReader for HostReader {
    fn facts(&self, path: &Path) -> io::Result<Facts> {
        let mut text = Vec::new();
        self.begin(FileAction::Facts, path)?.take(LARGEST_FACTS).read_to_end(&mut text)?;
        Ok(serde_json::from_slice::<Told>(&text)?.into())
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<(OsString, Kind)>> {
        let mut told = BufReader::new(self.begin(FileAction::Entries, path)?);
        let mut entries = Vec::new();
        loop {
            let mut number = [0];
            if told.read(&mut number)? == 0 {
                return Ok(entries);
            }
            let mut length = [0; 2];
            told.read_exact(&mut length)?;
            let mut name = vec![0; usize::from(u16::from_le_bytes(length))];
            told.read_exact(&mut name)?;
            if !is_name(&name) || entries.len() == MOST_NAMES {
                let message = format!("{}: the names in it are not to be believed", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            entries.push((OsString::from_vec(name), kind(number[0])));
        }
    }

    fn content(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let mut told = self.begin(FileAction::Content, path)?;
        // An error at its very start is one of opening it.
        told.fill()?;
        Ok(Box::new(told))
    }

    fn file(&self, _path: &Path) -> io::Result<Option<fs::File>> {
        Ok(None)
    }
}

/// Whether `name` is that of something in a folder, and leads nowhere else.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

/// What a host tells, as it comes. Dropping it ends the telling.
#[derive(Debug)]
struct Answer {
    process: Process,
    rest: Bytes,
    has_ended: bool,
    runtime: Handle,
}

impl Answer {
    /// Waits until there is something to read, or nothing comes any more.
    fn fill(&mut self) -> io::Result<()> {
        while self.rest.is_empty() && !self.has_ended {
            match self.runtime.block_on(self.process.next()) {
                Some(ProcessEvent::Output(bytes)) => self.rest = bytes,
                Some(ProcessEvent::Ended(end)) => match end.exit {
                    Exit::Code(0) => self.has_ended = true,
                    Exit::Code(number) => return Err(io::Error::from_raw_os_error(number)),
                    Exit::Signal(_) => return Err(io::Error::other("reading it was stopped")),
                },
                None => return Err(io::Error::other("whoever may read it went away")),
            }
        }
        Ok(())
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let count = buffer.len().min(self.rest.len());
        self.rest.split_to(count).copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.has_ended {
            self.process.signal(ProcessSignal::Kill);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use async_trait::async_trait;
    use runner_core::{Result, Usage};
    use tokio::task::spawn_blocking;

    use super::*;
    use crate::host::{Command, MemoryUse, ProcessEnd, files};

    /// A host that does what is asked for, or tells something else.
    #[derive(Debug)]
    struct Telling(Option<Vec<u8>>);

    #[async_trait]
    impl Host for Telling {
        async fn files(&self, action: FileAction, path: &Path) -> Result<Process> {
            let mut told = Vec::new();
            let exit = match &self.0 {
                Some(lie) => {
                    told.clone_from(lie);
                    Exit::Code(0)
                }
                None => files::exit_of(&files::perform(action, path, &mut told)),
            };
            let (process, driver) = Process::new(told.len() + 2);
            for piece in told.chunks(7) {
                driver.events.send(ProcessEvent::Output(Bytes::copy_from_slice(piece))).await.unwrap();
            }
            let end = ProcessEnd { exit, usage: Usage::default() };
            driver.events.send(ProcessEvent::Ended(end)).await.unwrap();
            Ok(process)
        }

        async fn start(&self, _: Command) -> Result<Process> {
            unreachable!()
        }

        async fn find(&self, _: &[&str], _: &str) -> Result<Option<String>> {
            unreachable!()
        }

        async fn end_all(&self, _: Duration) -> Result<()> {
            unreachable!()
        }

        async fn environment(&self) -> Result<Option<Vec<(String, String)>>> {
            unreachable!()
        }

        async fn take_over(&self, _: &[PathBuf]) -> Result<()> {
            unreachable!()
        }

        async fn memory(&self) -> Result<Option<MemoryUse>> {
            unreachable!()
        }

        async fn close(&self) {}
    }

    async fn with<T: Send + 'static>(
        lie: Option<&[u8]>,
        read: impl FnOnce(&HostReader) -> T + Send + 'static,
    ) -> T {
        let reader = HostReader::new(Arc::new(Telling(lie.map(<[u8]>::to_vec))));
        spawn_blocking(move || read(&reader)).await.unwrap()
    }

    #[tokio::test]
    async fn a_host_sees_files_as_this_process_does() {
        use runner_cache::reader::OwnFiles;

        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_owned();
        fs_err::write(place.join("file"), "some content").unwrap();
        fs_err::os::unix::fs::symlink("file", place.join("a link \u{fc}")).unwrap();
        with(None, move |reader| {
            let names = |reader: &dyn TreeReader| {
                let mut entries = reader.entries(&place).unwrap();
                entries.sort_by(|one, other| one.0.cmp(&other.0));
                entries
            };
            assert_eq!(names(reader), names(&OwnFiles));
            for (name, _) in names(&OwnFiles) {
                let place = place.join(name);
                assert_eq!(reader.facts(&place).unwrap(), OwnFiles.facts(&place).unwrap());
            }
            let mut text = String::new();
            reader.content(&place.join("file")).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "some content");
            let missing = place.join("missing");
            for error in [reader.facts(&missing).map(drop), reader.content(&missing).map(drop)] {
                assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn names_that_lead_elsewhere_and_answers_without_end_are_refused() {
        let entry = |name: &[u8]| [&[0, u8::try_from(name.len()).unwrap(), 0], name].concat();
        for name in [&b".."[..], b".", b"", b"a/b", b"/etc", b"a\0b"] {
            let error = with(Some(&entry(name)), |reader| reader.entries(Path::new("/")).unwrap_err()).await;
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name:?}");
        }
        let cut = with(Some(b"\0\x09\0abc"), |reader| reader.entries(Path::new("/")).unwrap_err()).await;
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        let endless = vec![b' '; 100_000];
        with(Some(&endless), |reader| reader.facts(Path::new("/")).unwrap_err()).await;
    }
}
