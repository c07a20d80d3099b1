//! Where a job clones from where the configuration says so.

use reqwest::Url;
use runner_core::JobSpec;

/// Replaces where `job` clones from by the project's place below `clone_url`. The login stays.
///
/// A job whose address cannot be read is left as it is: git then says what is wrong with it.
pub(super) fn apply(job: &mut JobSpec, clone_url: &str) {
    let path = job.variables.value("CI_PROJECT_PATH");
    let (Ok(mut url), Ok(given)) = (Url::parse(clone_url), Url::parse(&job.git.repo_url)) else { return };
    if path.is_empty() {
        return;
    }
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.pop_if_empty().extend(format!("{path}.git").split('/'));
    }
    if matches!(url.scheme(), "http" | "https") && url.username().is_empty() {
        // Both only fail for addresses without a host, which these are not.
        let has_login =
            url.set_username(given.username()).is_ok() && url.set_password(given.password()).is_ok();
        if !has_login {
            return;
        }
    }
    job.git.repo_url = url.into();
}

#[cfg(test)]
mod tests {
    use runner_core::job::Variable;

    use super::*;

    fn check(clone_url: &str) -> String {
        let mut job = JobSpec::new("1", "build");
        job.variables.0.push(Variable::raw("CI_PROJECT_PATH", "group/sub/project"));
        job.git.repo_url = "https://gitlab-ci-token:t@gitlab.example/group/sub/project.git".into();
        apply(&mut job, clone_url);
        job.git.repo_url
    }

    #[test]
    fn the_project_is_found_below_another_address_with_the_same_login() {
        let path = "group/sub/project.git";
        assert_eq!(check("http://inner:8080"), format!("http://gitlab-ci-token:t@inner:8080/{path}"));
        assert_eq!(check("https://inner/git/"), format!("https://gitlab-ci-token:t@inner/git/{path}"));
        assert_eq!(check("ssh://git@inner"), format!("ssh://git@inner/{path}"));
    }

    #[test]
    fn what_is_no_address_changes_nothing() {
        assert!(check("inner").contains("@gitlab.example/"));
    }
}
