//! The audit log of an API server, where it can be read.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::PathBuf,
    process::Command,
};

use serde::Deserialize;

use super::requests::Counts;

/// The audit log from some moment on.
#[derive(Debug)]
pub(crate) struct AuditLog {
    path: PathBuf,
    from: u64,
}

/// What is of interest in an entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "auditID")]
    audit_id: String,
    verb: String,
    user: User,
    object_ref: Option<Object>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct Object {
    resource: String,
    subresource: Option<String>,
}

impl AuditLog {
    /// The log from now on. `None` where none can be read.
    pub(crate) fn from_now() -> Option<Self> {
        let path = std::env::var_os("RUNNER_AUDIT_LOG").map(PathBuf::from).or_else(of_dev_cluster)?;
        let from = File::open(&path).ok()?.metadata().ok()?.len();
        Some(Self { path, from })
    }

    /// What `user` has asked for. `None` where nothing is known of that user: it is the log of another cluster.
    pub(crate) fn requests_of(&self, user: &str) -> Option<Counts> {
        let mut file = File::open(&self.path).ok()?;
        file.seek(SeekFrom::Start(self.from)).ok()?;
        let (mut counts, mut known) = (Counts::new(), HashSet::new());
        for line in BufReader::new(file).lines() {
            let line = line.ok()?;
            // Most lines are somebody else's, and the last one may not be whole.
            if !line.contains(user) {
                continue;
            }
            let Ok(entry) = serde_json::from_str::<Entry>(&line) else { continue };
            // A watch and a stream have two entries, one for the begin and one for the end.
            if entry.user.username == user && known.insert(entry.audit_id) {
                *counts.entry(kind(&entry.verb, entry.object_ref)).or_default() += 1;
            }
        }
        (!counts.is_empty()).then_some(counts)
    }
}

fn kind(verb: &str, object: Option<Object>) -> String {
    match object {
        Some(Object { resource, subresource: Some(below) }) => format!("{verb} {resource}/{below}"),
        Some(Object { resource, subresource: None }) => format!("{verb} {resource}"),
        None => format!("{verb} others"),
    }
}

fn of_dev_cluster() -> Option<PathBuf> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../dev/cluster");
    let output = Command::new(program).arg("audit").output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}
