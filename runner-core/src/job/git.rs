//! What to check out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The repository and the commit of a job (`git_info` of GitLab's job payload).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GitInfo {
    /// Where to fetch from. May hold a login, which never reaches `.git/config` or a log. Empty: nothing to fetch.
    pub repo_url: String,
    /// The branch, the tag, or the merge request's ref.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What `reference` is.
    pub ref_kind: RefKind,
    /// The commit to check out.
    pub sha: String,
    /// The commit before the push, or zeros.
    pub before_sha: String,
    /// What to fetch.
    pub refspecs: Vec<String>,
    /// How many commits to fetch; 0 is all.
    pub depth: u32,
    /// `sha1` or `sha256`.
    pub object_format: Option<String>,
    /// Whether the ref is protected; such jobs share no cache with others.
    pub protected: bool,
    /// A tree-ish that is laid over the work tree after the checkout, without being committed: changes that are not
    /// committed yet, when a person runs jobs from a work tree. It must be reachable by `refspecs`.
    pub overlay: Option<String>,
    /// Where the repository has its home, if `repo_url` is a copy of it: relative addresses of submodules belong to
    /// it. A login in it is not used.
    pub home_url: Option<String>,
}

impl fmt::Debug for GitInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("GitInfo");
        shown.field("repo_url", &without_login(&self.repo_url)).field("reference", &self.reference);
        shown.field("ref_kind", &self.ref_kind).field("sha", &self.sha).field("refspecs", &self.refspecs);
        shown.field("depth", &self.depth).field("protected", &self.protected).field("overlay", &self.overlay);
        shown.finish_non_exhaustive()
    }
}

/// An address without the login in it.
fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://[hidden]@{host}/{path}"),
        None => url.to_owned(),
    }
}

/// What a ref is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefKind {
    /// A branch.
    #[default]
    Branch,
    /// A tag.
    Tag,
    /// A merge request.
    MergeRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_login() {
        let url = "https://gitlab-ci-token:glcbt-secret@gitlab.example:8443/group/project.git";
        let shown = format!("{:?}", GitInfo { repo_url: url.into(), ..GitInfo::default() });
        assert!(shown.contains("https://[hidden]@gitlab.example:8443/group/project.git"), "{shown}");
        assert!(!shown.contains("glcbt-secret"), "{shown}");
    }
}
