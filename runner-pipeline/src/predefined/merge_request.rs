//! `CI_MERGE_REQUEST_*`: the merge request that a person would open of the branch that is checked out.

use runner_core::job::Project;

use super::{List, Reference, description, title};
use crate::repository::{Repository, RepositoryError};

/// The ref of the one merge request there is.
pub(crate) const REF_PATH: &str = "refs/merge-requests/1/head";

pub(crate) async fn variables(
    list: &mut List,
    repository: &Repository,
    reference: &Reference,
    project: &Project,
) -> Result<(), RepositoryError> {
    let target = repository.default_branch();
    let message = repository.commit().map(|commit| commit.message.as_str()).unwrap_or_default();
    let (path, url) = (list.0.value("CI_PROJECT_PATH"), list.0.value("CI_PROJECT_URL"));
    list.add("CI_MERGE_REQUEST_EVENT_TYPE", "detached");
    // Both are empty unless the pipeline is one of a merged result.
    list.add("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "");
    list.add("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "");
    list.add("CI_MERGE_REQUEST_DIFF_ID", "1");
    list.add("CI_MERGE_REQUEST_DIFF_BASE_SHA", base(repository, target).await?);
    list.add("CI_MERGE_REQUEST_ID", "1");
    list.add("CI_MERGE_REQUEST_IID", "1");
    list.add("CI_MERGE_REQUEST_REF_PATH", REF_PATH);
    for (role, role_branch) in [("SOURCE", reference.name.as_str()), ("TARGET", target)] {
        list.add(&format!("CI_MERGE_REQUEST_{role}_BRANCH_NAME"), role_branch);
        list.add(&format!("CI_MERGE_REQUEST_{role}_BRANCH_PROTECTED"), (role_branch == target).to_string());
    }
    for role in ["", "SOURCE_"] {
        list.add(&format!("CI_MERGE_REQUEST_{role}PROJECT_ID"), project.id.to_string());
        list.add(&format!("CI_MERGE_REQUEST_{role}PROJECT_PATH"), &path);
        list.add(&format!("CI_MERGE_REQUEST_{role}PROJECT_URL"), &url);
    }
    list.add("CI_MERGE_REQUEST_TITLE", title(message));
    list.add("CI_MERGE_REQUEST_DESCRIPTION", description(message).trim());
    list.add("CI_MERGE_REQUEST_DESCRIPTION_IS_TRUNCATED", "false");
    list.add("CI_MERGE_REQUEST_SQUASH_ON_MERGE", "false");
    list.add("CI_OPEN_MERGE_REQUESTS", format!("{path}!1"));
    Ok(())
}

/// Where the branch left the target, as the remote has that; empty where they have nothing in common.
async fn base(repository: &Repository, target: &str) -> Result<String, RepositoryError> {
    let remote = format!("refs/remotes/{}/{target}", repository.remote_name());
    for reference in [remote, format!("refs/heads/{target}")] {
        let output = repository.git().run(&["merge-base", "HEAD", &reference]).await?;
        if output.succeeded {
            return Ok(output.text());
        }
    }
    Ok(String::new())
}
