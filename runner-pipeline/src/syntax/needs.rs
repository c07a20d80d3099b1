//! `needs` and `dependencies`, as they are written: names are looked up later.

use super::{Check, Placed, keyword, value};
use crate::yaml::{Node, Value};

/// A need as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NeedName {
    /// The job's name in the file.
    pub(crate) job: Placed<String>,
    /// Whether its artifacts are fetched.
    pub(crate) artifacts: bool,
    /// Whether the pipeline may be without it.
    pub(crate) optional: bool,
}

/// `needs`.
pub(crate) fn read(node: &Node, check: Check<'_, '_>) -> Option<Vec<NeedName>> {
    let items = value::list(node, "needs", check)?;
    Some(items.iter().filter_map(|item| need(item, check)).collect())
}

fn need(node: &Node, check: Check<'_, '_>) -> Option<NeedName> {
    let Value::Map(map) = &node.value else {
        let name = value::filled_text(node, "an item of `needs`", check)?;
        let job = Placed { value: name, span: node.span };
        return Some(NeedName { job, artifacts: true, optional: false });
    };
    let unsupported = ["parallel", "pipeline", "project", "ref"];
    keyword::known(map, "needs", &["job", "artifacts", "optional"], &unsupported, check);
    let flag =
        |key: &str| map.value(key).and_then(|node| value::boolean(node, &format!("needs:{key}"), check));
    let (artifacts, optional) = (flag("artifacts").unwrap_or(true), flag("optional").unwrap_or(false));
    let Some(job) = map.value("job") else {
        if !unsupported.iter().any(|key| map.get(key).is_some()) {
            check.error_with_help(
                node.span,
                "an item of `needs` has no `job`",
                "add `job:` with the name of a job",
            );
        }
        return None;
    };
    let name = value::filled_text(job, "needs:job", check)?;
    Some(NeedName { job: Placed { value: name, span: job.span }, artifacts, optional })
}
