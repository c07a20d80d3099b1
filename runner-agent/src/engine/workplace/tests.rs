use std::sync::Arc;

use async_trait::async_trait;
use runner_cache::reader::OwnFiles;
use runner_core::{
    Error, ErrorKind,
    executor::LogLimits,
    job::Variable,
    log::{LogSpool, Masks, MemorySpool},
};
use tempfile::TempDir;

use super::*;

/// A job's directory with a work tree in it, and a log that can be read.
pub(crate) struct Site {
    pub(crate) all: TempDir,
    pub(crate) variables: Variables,
    untracked: Listed,
    log: JobLog,
    spool: Arc<MemorySpool>,
}

#[derive(Debug, Default)]
struct Listed(Option<Vec<u8>>);

#[async_trait]
impl Untracked for Listed {
    async fn untracked(&self) -> Result<Vec<u8>> {
        self.0.clone().ok_or_else(|| Error::new(ErrorKind::Internal, "ask git"))
    }
}

impl Site {
    pub(crate) fn new(files: &[&str]) -> Self {
        let all = tempfile::tempdir().unwrap();
        let spool = Arc::new(MemorySpool::new());
        let limits = LogLimits { timestamps: false, ..LogLimits::default() };
        let masks = Masks::new(Vec::new(), Vec::new());
        let shared: Arc<dyn LogSpool> = Arc::<MemorySpool>::clone(&spool);
        let log = JobLog::new(&limits, masks, false, shared);
        let site = Self { all, variables: Variables::default(), untracked: Listed::default(), log, spool };
        fs_err::create_dir(site.project()).unwrap();
        for name in files {
            site.put(name, name);
        }
        site
    }

    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.variables.push(Variable::new(key, value));
        self
    }

    pub(crate) fn with_untracked(mut self, listed: &[u8]) -> Self {
        self.untracked = Listed(Some(listed.to_vec()));
        self
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.all.path().join("project")
    }

    pub(crate) fn place<'a>(&'a self, project: &'a Path) -> Workplace<'a> {
        Workplace {
            project,
            reader: Arc::new(OwnFiles),
            variables: &self.variables,
            untracked: &self.untracked,
            log: &self.log,
        }
    }

    pub(crate) fn put(&self, name: &str, content: &str) {
        let place = self.project().join(name);
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        fs_err::write(place, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs_err::read_to_string(self.project().join(name)).ok()
    }

    /// Empties the work tree.
    pub(crate) fn reset(&self) {
        fs_err::remove_dir_all(self.project()).unwrap();
        fs_err::create_dir(self.project()).unwrap();
    }

    /// The log so far.
    pub(crate) async fn said(&self) -> String {
        self.log.finish().await;
        String::from_utf8(self.spool.read(0, usize::MAX).await.unwrap().to_vec()).unwrap()
    }
}

#[test]
fn amounts_are_for_people() {
    assert_eq!(amount(1, 0), "1 file, 0 bytes");
    assert_eq!(amount(27, 1_234_567), "27 files, 1.2 MB");
    assert_eq!(size(999), "999 bytes");
    assert_eq!(size(1000), "1.0 kB");
    assert_eq!(size(u64::MAX), "18446.7 PB");
}

#[tokio::test]
async fn variables_are_expanded_and_untracked_files_may_be_unknown() {
    let site = Site::new(&["dist/a", "b"]).with("OUT", "dist");
    let project = site.project();
    let paths = ["$OUT/*".to_owned()];
    let files = site.place(&project).select(&paths, &["${OUT}/x".to_owned()], true).await.unwrap();
    assert_eq!(files, [PathBuf::from("dist/a")]);
    let said = site.said().await;
    assert!(said.contains("WARNING: untracked files are left out: failed to ask git"), "{said}");
    assert!(said.contains("dist/*: found 1 matching files and directories"), "{said}");
}
