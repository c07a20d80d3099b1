//! The user and the group that a job asks for.

use crate::config::{ContainerSecurityContext, KubernetesConfig};

/// The ids for the security context of a container: those of its own context, else those that the job asks for with
/// `image:kubernetes:user`, where neither the pod's context nor an allow-list is against it.
pub(super) fn ids(
    config: &KubernetesConfig,
    context: &ContainerSecurityContext,
    (container, asked): (&str, &str),
    warnings: &mut Vec<String>,
) -> (Option<i64>, Option<i64>) {
    let (user, group) = asked.split_once(':').unwrap_or((asked, ""));
    let pod = &config.pod_security_context;
    let mut id = |kind, own: Option<i64>, of_pod: Option<i64>, asked: &str, allowed: &[String]| {
        if asked.is_empty() {
            return own;
        }
        if let Some(set) = own.or(of_pod) {
            warnings.push(format!("The {kind} {asked} of {container} is ignored: the runner sets {set}."));
            return own;
        }
        match judge(asked, allowed) {
            Ok(id) => Some(id),
            Err(problem) => {
                warnings.push(format!("The {kind} {asked} of {container} is ignored: {problem}."));
                None
            }
        }
    };
    let user = id("user", context.run_as_user, pod.run_as_user, user, &config.allowed_users);
    let group = id("group", context.run_as_group, pod.run_as_group, group, &config.allowed_groups);
    (user, group)
}

/// Root must be allowed by name; any other id is allowed unless there is a list without it.
fn judge(asked: &str, allowed: &[String]) -> Result<i64, String> {
    let id: u32 = asked.parse().map_err(|_| "Kubernetes takes numbers only".to_owned())?;
    let is_listed = allowed.iter().any(|entry| entry.parse() == Ok(id));
    if is_listed || (id != 0 && allowed.is_empty()) {
        Ok(i64::from(id))
    } else if allowed.is_empty() {
        Err("the runner allows all but 0".to_owned())
    } else {
        Err(format!("the runner allows only {}", allowed.join(", ")))
    }
}
