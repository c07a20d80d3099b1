//! The work tree as git sees it, in a form that jobs fetch: what is tracked, with all changes, and what is neither
//! tracked nor ignored.
//!
//! The user's repository is only read. A bare repository in a scratch directory borrows its objects, holds what is
//! new, and has the refs that a job needs; it costs about as much as `git status`, however large the history is.
//! The job checks out the real commit and lays the changes over it, so that `git log` and `git diff` in a job tell
//! what they tell the user.

use std::{io, path::Path};

use runner_core::job::{GitInfo, RefKind};

use crate::{
    predefined::{MERGE_REQUEST_REF, Predefined},
    repository::{Repository, RepositoryError},
};

mod bare;
mod scratch;
mod shipment;
mod tree;

use bare::Bare;
pub use shipment::Shipment;
use shipment::Shipments;
use tree::Changes;

/// The ref of the changes that are not committed.
const OVERLAY_REF: &str = "refs/runner/overlay";

/// How many commits a job gets where it does not say; GitLab's default for a project.
const DEFAULT_DEPTH: u32 = 20;

/// A copy of the work tree for jobs to fetch. It is removed when this is dropped: not before the last job has its
/// sources.
#[derive(Debug)]
pub struct Snapshot {
    bare: Bare,
    sha: String,
    overlay: Option<String>,
    before: String,
    reference: String,
    kind: RefKind,
    refspec: Option<String>,
    pipeline_ref: String,
    partial: bool,
    protected: bool,
    object_format: String,
    home_url: Option<String>,
    notes: Vec<String>,
    shipments: Shipments,
}

impl Snapshot {
    /// Takes a snapshot of the work tree now, in a new directory within `scratch`, for the pipeline of `predefined`.
    ///
    /// # Cancellation
    /// Dropping the future removes what was written.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`](runner_core::ErrorKind::Exhausted) where the disk is full. A file that cannot be read
    /// is no error but a [note](Self::notes).
    pub async fn take(
        repository: &Repository,
        predefined: &Predefined,
        scratch: &Path,
    ) -> runner_core::Result<Self> {
        let taken = Self::try_take(repository, predefined, scratch).await;
        taken.map_err(|error| error.during("take a snapshot of the work tree", repository.root()))
    }

    async fn try_take(
        repository: &Repository,
        predefined: &Predefined,
        scratch: &Path,
    ) -> Result<Self, RepositoryError> {
        let mut bare = Bare::create(repository, scratch)?;
        let (changes, refs) = tokio::join!(Changes::store(repository, bare.path()), bare::refs(repository));
        let (changes, mut refs) = (changes?, refs?);
        let head = repository.head().map(|commit| commit.sha.clone());
        let (sha, overlay) = match head {
            Some(sha) => (sha, changes.commit),
            None => (changes.commit.unwrap_or_default(), None),
        };
        let reference = &predefined.reference;
        let ref_name = match reference.kind {
            _ if !reference.is_named => None,
            RefKind::Tag => Some(format!("refs/tags/{}", reference.name)),
            RefKind::Branch | RefKind::MergeRequest => Some(format!("refs/heads/{}", reference.name)),
        };
        let pipeline_ref = format!("refs/pipelines/{}", predefined.pipeline_id);
        refs.insert(pipeline_ref.clone(), sha.clone());
        // A tag of the repository is there already, and may be one with a message.
        let is_there = reference.kind == RefKind::Tag && repository.within().is_none();
        if let Some(name) = ref_name.as_ref().filter(|_| !is_there) {
            refs.insert(name.clone(), sha.clone());
        }
        if reference.kind == RefKind::MergeRequest {
            refs.insert(MERGE_REQUEST_REF.to_owned(), sha.clone());
        }
        if let Some(overlay) = &overlay {
            refs.insert(OVERLAY_REF.to_owned(), overlay.clone());
        }
        bare.publish(&refs, ref_name.as_deref().filter(|name| name.starts_with("refs/heads/")), &sha)?;
        Ok(Self {
            bare,
            sha,
            overlay,
            before: reference.before.clone(),
            reference: predefined.reference_name(),
            kind: reference.kind,
            refspec: ref_name.as_deref().map(refspec).filter(|_| reference.kind != RefKind::MergeRequest),
            pipeline_ref,
            partial: repository.is_partial(),
            protected: false,
            object_format: repository.object_format().to_owned(),
            home_url: repository.home_url(),
            notes: changes.notes,
            shipments: Shipments::default(),
        })
    }

    /// What a job checks out. `depth` is what its `GIT_DEPTH` says; 0 is the whole history.
    pub fn git_info(&self, depth: Option<u32>) -> GitInfo {
        // A partial clone has the files of its newest commit and lacks some of older ones.
        let depth = if self.partial { 1 } else { depth.unwrap_or(DEFAULT_DEPTH) };
        let mut refspecs = vec![refspec(&self.pipeline_ref)];
        if self.overlay.is_some() {
            refspecs.push(refspec(OVERLAY_REF));
        }
        match &self.refspec {
            _ if depth == 0 => {
                refspecs.push("+refs/heads/*:refs/remotes/origin/*".to_owned());
                refspecs.push("+refs/tags/*:refs/tags/*".to_owned());
            }
            Some(spec) => refspecs.push(spec.clone()),
            None => {}
        }
        GitInfo {
            repo_url: self.url(),
            reference: self.reference.clone(),
            ref_kind: self.kind,
            sha: self.sha.clone(),
            before_sha: self.before.clone(),
            refspecs,
            depth,
            object_format: Some(self.object_format.clone()),
            protected: self.protected,
            overlay: self.overlay.clone(),
            home_url: self.home_url.clone(),
        }
    }

    /// The address that jobs fetch from.
    pub fn url(&self) -> String {
        self.bare.url()
    }

    /// The commit that jobs check out: that of the work tree, or one of its files where there is none yet.
    pub fn sha(&self) -> &str {
        &self.sha
    }

    /// Whether there are changes that are not committed; jobs get them too.
    pub fn is_dirty(&self) -> bool {
        self.overlay.is_some()
    }

    /// What is in the work tree and not in the snapshot, and why; one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// How a job fetches a ref: branches become those of `origin`, everything else keeps its name.
fn refspec(name: &str) -> String {
    match name.strip_prefix("refs/heads/") {
        Some(branch) => format!("+{name}:refs/remotes/origin/{branch}"),
        None => format!("+{name}:{name}"),
    }
}

fn scratch_error(action: &str, cause: io::Error) -> RepositoryError {
    RepositoryError::Scratch { action: action.to_owned(), cause }
}
