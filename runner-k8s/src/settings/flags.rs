//! Feature flags.

use std::collections::BTreeMap;

use runner_core::job::Variables;

/// Whether a flag is on. The runner's own config counts most, then a variable of the job.
pub(super) fn is_on(
    name: &str,
    default: bool,
    flags: &BTreeMap<String, bool>,
    variables: &Variables,
) -> bool {
    if let Some(is_on) = flags.get(name) {
        return *is_on;
    }
    if variables.value(name).is_empty() { default } else { variables.is_true(name) }
}
