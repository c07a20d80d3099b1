//! Which keywords there are, and what to say of those that there are not.

use super::Check;
use crate::yaml::Map;

/// The keywords of a file that are no jobs.
pub(crate) const ROOT: &[&str] = &[
    "after_script",
    "before_script",
    "cache",
    "default",
    "image",
    "services",
    "stages",
    "variables",
    "workflow",
];

/// Keywords of a file that GitLab knows and we do not.
pub(crate) const ROOT_UNSUPPORTED: &[&str] = &["include", "spec", "types"];

/// The keywords of a job.
pub(crate) const JOB: &[&str] = &[
    "after_script",
    "allow_failure",
    "artifacts",
    "before_script",
    "cache",
    "coverage",
    "dependencies",
    "environment",
    "extends",
    "hooks",
    "image",
    "inherit",
    "interruptible",
    "needs",
    "parallel",
    "resource_group",
    "retry",
    "rules",
    "script",
    "services",
    "stage",
    "tags",
    "timeout",
    "variables",
    "when",
];

/// Keywords of a job that GitLab knows and we do not.
pub(crate) const JOB_UNSUPPORTED: &[&str] = &[
    "dast_configuration",
    "except",
    "id_tokens",
    "identity",
    "inputs",
    "manual_confirmation",
    "only",
    "pages",
    "publish",
    "release",
    "run",
    "secrets",
    "start_in",
    "trigger",
    "type",
];

/// Those that `default`, or the file itself, gives to each job.
pub(crate) const DEFAULT: &[&str] = &[
    "after_script",
    "artifacts",
    "before_script",
    "cache",
    "hooks",
    "image",
    "interruptible",
    "retry",
    "services",
    "tags",
    "timeout",
];

/// Notes each key of `map` that is unknown, or not supported yet. `what` is the keyword that the mapping belongs to.
pub(crate) fn known(map: &Map, what: &str, keys: &[&str], unsupported: &[&str], check: Check<'_, '_>) {
    for entry in map.iter() {
        let key = &*entry.key;
        if keys.contains(&key) {
            continue;
        }
        if unsupported.contains(&key) {
            let name = if what == "a job" { format!("`{key}`") } else { format!("`{what}:{key}`") };
            check.unsupported(entry.key_span, &name);
            continue;
        }
        let message = if what == "a job" {
            format!("unknown keyword `{key}` of a job")
        } else {
            format!("unknown keyword `{key}` of `{what}`")
        };
        let otherwise = (keys.len() <= 12).then(|| format!("it has {}", keys.join(", ")));
        let candidates = keys.iter().chain(unsupported).copied();
        check.unknown(entry.key_span, message, (key, candidates), otherwise);
    }
}
