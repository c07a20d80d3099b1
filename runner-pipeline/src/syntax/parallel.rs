//! `parallel`: a number, or a matrix of variables.

use runner_core::job::{Variable, Variables};

use super::{Check, keyword, value};
use crate::yaml::{Map, Node, Value};

/// The most instances of one job; GitLab's limit.
const MOST_INSTANCES: usize = 200;

/// How a job becomes several.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Parallel {
    /// So many that are the same but for `CI_NODE_INDEX`.
    Number(usize),
    /// One for each of these sets of variables.
    Matrix(Vec<Variables>),
}

/// `parallel`.
pub(crate) fn read(node: &Node, check: Check<'_, '_>) -> Option<Parallel> {
    match &node.value {
        Value::Int(_) => {
            let number = value::number(node, "parallel", (1, 200), check)?;
            usize::try_from(number).ok().map(Parallel::Number)
        }
        Value::Map(map) => {
            keyword::known(map, "parallel", &["matrix"], &[], check);
            let Some(matrix) = map.value("matrix") else {
                check.error_with_help(
                    node.span,
                    "`parallel` has no `matrix`",
                    "write a number, or `matrix:`",
                );
                return None;
            };
            self::matrix(matrix, check).map(Parallel::Matrix)
        }
        _ => {
            value::wrong(node, "parallel", "a number or a mapping with `matrix`", None, check);
            None
        }
    }
}

fn matrix(node: &Node, check: Check<'_, '_>) -> Option<Vec<Variables>> {
    let items = value::list(node, "parallel:matrix", check)?;
    let mut sets = Vec::new();
    for item in items {
        let map = value::mapping(item, "an item of `parallel:matrix`", check)?;
        let more = combinations(map, check)?;
        sets.extend(more);
        if sets.len() > MOST_INSTANCES {
            let message = format!("`parallel:matrix` makes more than {MOST_INSTANCES} jobs");
            check.error(node.span, message);
            return None;
        }
    }
    if sets.is_empty() {
        check.error(node.span, "`parallel:matrix` makes no job");
        return None;
    }
    Some(sets)
}

/// Every combination of the values, the last key changing most often; cut where there are too many.
fn combinations(map: &Map, check: Check<'_, '_>) -> Option<Vec<Variables>> {
    let mut sets = vec![Variables::default()];
    for entry in map.iter() {
        let values = values(&entry.key, &entry.value, check)?;
        let combined = sets.iter().flat_map(|set| {
            values.iter().map(|value| {
                let mut set = set.clone();
                set.push(Variable::new(&*entry.key, value.clone()));
                set
            })
        });
        sets = combined.take(MOST_INSTANCES + 1).collect();
    }
    if map.len() == 0 { Some(Vec::new()) } else { Some(sets) }
}

fn values(key: &str, node: &Node, check: Check<'_, '_>) -> Option<Vec<String>> {
    let what = format!("parallel:matrix:{key}");
    let one = |node: &Node| match &node.value {
        Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some(node.to_string()),
        _ => {
            value::wrong(node, &what, "a string or a list of strings", None, check);
            None
        }
    };
    match &node.value {
        Value::List(items) => items.iter().map(|item| one(item)).collect(),
        _ => one(node).map(|value| vec![value]),
    }
}
