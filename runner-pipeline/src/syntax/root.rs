//! The keywords of the file itself: stages, variables, the workflow and what every job has by default.

use std::{collections::HashSet, rc::Rc};

use runner_core::job::Variables;

use super::{
    Check,
    job::Known,
    keyword,
    rules::{self, Rule, RulesOf},
    value,
    variables::{self, Owner},
};
use crate::yaml::{Entry, Map, Node};

/// What the file says besides its jobs.
#[derive(Debug)]
pub(crate) struct Root {
    /// The stages, `.pre` and `.post` included.
    pub(crate) stages: Vec<String>,
    /// The variables of all jobs.
    pub(crate) variables: Variables,
    /// What jobs have that do not say otherwise.
    pub(crate) default: Map,
    /// `workflow:name`.
    pub(crate) name: Option<String>,
    /// `workflow:rules`.
    pub(crate) workflow: Option<Vec<Rule>>,
}

/// Reads the keywords of the file.
pub(crate) fn read(root: &Map, known: &Known, check: Check<'_, '_>) -> Root {
    for key in keyword::ROOT_UNSUPPORTED {
        if let Some(entry) = root.get(key) {
            check.unsupported(entry.key_span, &format!("`{key}`"));
        }
    }
    let (name, rules) = root.value("workflow").map(|node| workflow(node, known, check)).unwrap_or_default();
    Root {
        stages: stages(root.value("stages"), check),
        variables: root
            .value("variables")
            .and_then(|node| variables::read(node, "variables", Owner::File, check))
            .unwrap_or_default(),
        default: default(root, check),
        name,
        workflow: rules,
    }
}

fn stages(node: Option<&Rc<Node>>, check: Check<'_, '_>) -> Vec<String> {
    let between = match node.and_then(|node| value::texts(node, "stages", check)) {
        Some(stages) => stages.into_iter().map(|stage| stage.value).collect(),
        None => vec!["build".to_owned(), "test".to_owned(), "deploy".to_owned()],
    };
    let mut seen: HashSet<String> = [".pre", ".post"].map(str::to_owned).into();
    let mut stages = vec![".pre".to_owned()];
    stages.extend(between.into_iter().filter(|stage| seen.insert(stage.clone())));
    stages.push(".post".to_owned());
    stages
}

/// `default`, and the same keywords where they stand in the file itself, which is the old way.
fn default(root: &Map, check: Check<'_, '_>) -> Map {
    let mut default = root
        .value("default")
        .and_then(|node| value::mapping(node, "default", check))
        .cloned()
        .unwrap_or_default();
    for key in ["after_script", "before_script", "cache", "image", "services"] {
        let Some(entry) = root.get(key).filter(|entry| !entry.value.is_null()) else { continue };
        if let Some(other) = default.value(key) {
            let message = format!("`{key}` is there twice: here and in `default`");
            let help = format!("remove one; the other one is in line {}", other.span.line);
            check.error_with_help(entry.key_span, message, help);
        }
        default.set(Entry::clone(entry));
    }
    default
}

fn workflow(node: &Node, known: &Known, check: Check<'_, '_>) -> (Option<String>, Option<Vec<Rule>>) {
    let Some(map) = value::mapping(node, "workflow", check) else { return (None, None) };
    keyword::known(map, "workflow", &["name", "rules", "auto_cancel"], &[], check);
    let name = map.value("name").and_then(|node| value::text(node, "workflow:name", check));
    let rules = map
        .value("rules")
        .and_then(|node| rules::read(node, "workflow:rules", RulesOf::Workflow, &known.patterns, check));
    (name, rules)
}
