//! `rules` of a job and of `workflow`.

use std::rc::Rc;

use runner_core::job::Variables;

use super::{
    Check, keyword, retry, value,
    variables::{self, Owner},
};
use crate::{
    expression::{Expression, Patterns},
    pipeline::{AllowFailure, JobWhen},
    yaml::{Node, Span, Value},
};

/// How deep lists of rules may be nested; GitLab's limit.
const MOST_NESTED: usize = 10;

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    /// What must hold; without it the rule always applies.
    pub(crate) condition: Option<Expression>,
    /// When the job runs.
    pub(crate) when: Option<JobWhen>,
    /// Whether its failure is allowed.
    pub(crate) allow_failure: Option<AllowFailure>,
    /// Whether it may be interrupted.
    pub(crate) interruptible: Option<bool>,
    /// Variables that the job gets.
    pub(crate) variables: Variables,
    /// Where it is.
    pub(crate) span: Span,
}

/// Whose rules are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RulesOf {
    /// A job.
    Job,
    /// The pipeline.
    Workflow,
}

/// `rules`; lists within are flattened.
pub(crate) fn read(
    node: &Node,
    what: &str,
    owner: RulesOf,
    patterns: &Patterns,
    check: Check<'_, '_>,
) -> Option<Vec<Rule>> {
    let items = value::list(node, what, check)?;
    if items.is_empty() {
        let help = "without `rules` a job always runs; `when: never` as a rule keeps it out";
        check.error_with_help(node.span, format!("`{what}` must not be empty"), help);
        return None;
    }
    let mut rules = Vec::new();
    flatten(items, what, 0, check, &mut |item| {
        if let Some(rule) = rule(item, what, owner, patterns, check) {
            rules.push(rule);
        }
    });
    Some(rules)
}

fn flatten(items: &[Rc<Node>], what: &str, level: usize, check: Check<'_, '_>, add: &mut impl FnMut(&Node)) {
    for item in items {
        match &item.value {
            Value::List(_) if level >= MOST_NESTED => {
                check.error(item.span, format!("lists in `{what}` are nested more than {MOST_NESTED} times"));
            }
            Value::List(inner) => flatten(inner, what, level + 1, check, add),
            _ => add(item),
        }
    }
}

fn rule(node: &Node, what: &str, owner: RulesOf, patterns: &Patterns, check: Check<'_, '_>) -> Option<Rule> {
    let Value::Map(map) = &node.value else {
        let help = "a rule is a mapping such as `- if: $CI_COMMIT_BRANCH`";
        value::wrong(node, &format!("an item of `{what}`"), "a mapping", Some(help), check);
        return None;
    };
    let (keys, unsupported): (&[&str], &[&str]) = match owner {
        RulesOf::Job => (
            &["if", "when", "allow_failure", "variables", "interruptible"],
            &["changes", "exists", "needs", "start_in"],
        ),
        RulesOf::Workflow => (&["if", "when", "variables"], &["changes", "exists", "auto_cancel"]),
    };
    keyword::known(map, what, keys, unsupported, check);
    if map.len() == 0 {
        check.error(node.span, format!("an item of `{what}` must not be empty"));
        return None;
    }
    let condition = match map.value("if") {
        Some(node) => Some(condition(node, &format!("{what}:if"), patterns, check)?),
        None => None,
    };
    let allow_failure = map.value("allow_failure").and_then(|node| {
        let allowed = value::boolean(node, &format!("{what}:allow_failure"), check)?;
        Some(if allowed { AllowFailure::Yes } else { AllowFailure::No })
    });
    Some(Rule {
        condition,
        when: map.value("when").and_then(|node| when(node, what, owner, check)),
        allow_failure,
        interruptible: map
            .value("interruptible")
            .and_then(|node| value::boolean(node, &format!("{what}:interruptible"), check)),
        variables: map
            .value("variables")
            .and_then(|node| variables::read(node, &format!("{what}:variables"), Owner::Other, check))
            .unwrap_or_default(),
        span: node.span,
    })
}

fn when(node: &Node, what: &str, owner: RulesOf, check: Check<'_, '_>) -> Option<JobWhen> {
    let what = format!("{what}:when");
    match owner {
        RulesOf::Job => retry::when(node, &what, true, check),
        RulesOf::Workflow => {
            let words = [("always", JobWhen::Always), ("never", JobWhen::Never)];
            value::choice(node, &what, &words, check)
        }
    }
}

fn condition(node: &Node, what: &str, patterns: &Patterns, check: Check<'_, '_>) -> Option<Expression> {
    let text = value::text(node, what, check)?;
    match Expression::parse(&text, patterns) {
        Ok(expression) => Some(expression),
        Err(fault) => {
            let span = check.inside(node, fault.offset, fault.length);
            match fault.help {
                Some(help) => check.error_with_help(span, fault.message, help),
                None => check.error(span, fault.message),
            }
            None
        }
    }
}
