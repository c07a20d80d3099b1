//! Names of images: their parts, and which helper image is used.

use runner_core::job::Variables;

use super::RunnerSettings;
use crate::config::KubernetesConfig;

/// The repository of a reference, and its tag or digest.
pub(super) fn split_reference(image: &str) -> (&str, &str) {
    let (rest, digest) = image.split_once('@').unwrap_or((image, ""));
    match rest.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => {
            (repository, if digest.is_empty() { tag } else { digest })
        }
        _ => (rest, digest),
    }
}

/// Whether an image is GitLab Runner's own helper, in whatever registry: it does not hold our agent.
pub fn is_gitlab_helper(image: &str) -> bool {
    let (repository, _) = split_reference(image);
    // The second is the one for OpenShift.
    matches!(repository.rsplit('/').next(), Some("gitlab-runner-helper" | "gitlab-runner-helper-ocp"))
}

/// The helper image, and the one that it is used in place of.
pub(super) fn helper(
    config: &KubernetesConfig,
    runner: &RunnerSettings,
    variables: &Variables,
) -> (String, Option<String>) {
    let wanted = variables.expand(&config.helper_image);
    if wanted.is_empty() {
        (runner.helper_image.clone(), None)
    } else if is_gitlab_helper(&wanted) {
        (runner.helper_image.clone(), Some(wanted))
    } else {
        (wanted, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helper_of_gitlab_runner_is_known_in_any_registry() {
        assert!(is_gitlab_helper("gitlab/gitlab-runner-helper:x86_64-latest"));
        assert!(is_gitlab_helper("registry.example.com:5000/mirror/gitlab-runner-helper"));
        assert!(is_gitlab_helper("registry.example.com/a/gitlab-runner-helper:v1@sha256:0123"));
        assert!(!is_gitlab_helper("registry.example.com/team/helper:gitlab-runner-helper"));
        assert!(!is_gitlab_helper("example/my-gitlab-runner-helper:1"));
    }
}
