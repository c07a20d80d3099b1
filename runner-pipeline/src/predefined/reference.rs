//! The branch or tag that a pipeline is run for.

use runner_core::job::RefKind;

use super::{PipelineEvent, short};
use crate::repository::{Commit, Repository, RepositoryError};

/// The branch, the tag or the merge request of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The name of the branch or tag (`CI_COMMIT_REF_NAME`); a hash where HEAD is detached and no branch is there.
    pub(crate) name: String,
    pub(crate) kind: RefKind,
    /// Whether `name` is that of a branch or tag.
    pub(crate) is_named: bool,
    /// The message of an annotated tag.
    pub(crate) tag_message: String,
    /// The commit before the push, or zeros.
    pub(crate) before: String,
}

impl Reference {
    pub(crate) async fn of(repository: &Repository, event: PipelineEvent) -> Result<Self, RepositoryError> {
        let zeros = "0".repeat(if repository.object_format() == "sha256" { 64 } else { 40 });
        let plain = |name: String, kind, is_named| Self {
            name,
            kind,
            is_named,
            tag_message: String::new(),
            before: zeros.clone(),
        };
        if event == PipelineEvent::Tag {
            let (name, tag_message) = tag(repository).await?;
            return Ok(Self { tag_message, ..plain(name, RefKind::Tag, true) });
        }
        let branch = match (repository.branch(), repository.commit()) {
            (Some(branch), _) => Some(branch.to_owned()),
            (None, Some(_)) => branch_at_head(repository).await?,
            (None, None) => None,
        };
        match (event, branch, repository.head()) {
            (PipelineEvent::MergeRequest, None, _) => Err(RepositoryError::Event(
                "a merge request is that of a branch, and HEAD is detached; check out a branch with `git switch`".to_owned(),
            )),
            (PipelineEvent::MergeRequest, Some(name), _) => Ok(plain(name, RefKind::MergeRequest, true)),
            (PipelineEvent::Push, Some(name), Some(commit)) => {
                let before = before(repository, &name, commit).await?.unwrap_or_else(|| zeros.clone());
                Ok(Self { before, ..plain(name, RefKind::Branch, true) })
            }
            (_, Some(name), _) => Ok(plain(name, RefKind::Branch, true)),
            (_, None, commit) => {
                let name = commit.map_or("HEAD", |commit| short(&commit.sha)).to_owned();
                Ok(plain(name, RefKind::Branch, false))
            }
        }
    }
}

/// The tag at HEAD: the newest one, where there are several.
async fn tag(repository: &Repository) -> Result<(String, String), RepositoryError> {
    if repository.commit().is_none() {
        return Err(RepositoryError::Event("there is no commit yet, and so no tag; commit first".to_owned()));
    }
    let arguments = [
        "for-each-ref",
        "--points-at=HEAD",
        "--sort=-creatordate",
        "--count=1",
        "--format=%(refname:lstrip=2)%00%(objecttype)%00%(contents)",
        "refs/tags",
    ];
    let text = repository.git().text(&arguments).await?;
    let mut fields = text.splitn(3, '\0').map(str::to_owned);
    let mut field = || fields.next().unwrap_or_default();
    let (name, kind, message) = (field(), field(), field());
    if name.is_empty() {
        return Err(RepositoryError::Event(
            "no tag points at the commit that is checked out; make one with `git tag NAME`, or check one out with \
             `git switch --detach NAME`"
                .to_owned(),
        ));
    }
    Ok((name, if kind == "tag" { message } else { String::new() }))
}

/// A branch whose tip is checked out, where HEAD is detached, as CI systems and bisecting leave it.
async fn branch_at_head(repository: &Repository) -> Result<Option<String>, RepositoryError> {
    let prefix = format!("refs/remotes/{}/", repository.remote_name());
    let arguments =
        ["for-each-ref", "--points-at=HEAD", "--format=%(refname)", "refs/heads", prefix.as_str()];
    let text = repository.git().text(&arguments).await?;
    let local = text.lines().filter_map(|line| line.strip_prefix("refs/heads/"));
    let remote = text.lines().filter_map(|line| line.strip_prefix(&prefix)).filter(|name| *name != "HEAD");
    let names: Vec<_> = local.chain(remote).collect();
    let found = names.iter().find(|name| **name == repository.default_branch()).or(names.first());
    Ok(found.map(|name| (*name).to_owned()))
}

/// What the branch was before: as the remote has it, or the parent where the remote has no such branch or the same.
async fn before(
    repository: &Repository,
    branch: &str,
    commit: &Commit,
) -> Result<Option<String>, RepositoryError> {
    let reference = format!("refs/remotes/{}/{branch}", repository.remote_name());
    let output = repository.git().run(&["rev-parse", "--verify", "--quiet", &reference]).await?;
    let pushed = Some(output.text()).filter(|sha| output.succeeded && *sha != commit.sha);
    Ok(pushed.or_else(|| commit.parent.clone()))
}
