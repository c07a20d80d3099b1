//! What the rules of a job, or of the whole pipeline, come to.

use runner_core::job::Variables;

use crate::{
    expression::Patterns,
    pipeline::{AllowFailure, JobWhen},
    syntax::rules::Rule,
    yaml::Span,
};

/// What the first rule that applies says; what it leaves open is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Verdict<'rules> {
    /// When the job runs.
    pub(crate) when: Option<JobWhen>,
    /// Whether its failure is allowed.
    pub(crate) allow_failure: Option<&'rules AllowFailure>,
    /// Whether it may be interrupted.
    pub(crate) interruptible: Option<bool>,
    /// Variables that it gets.
    pub(crate) variables: Option<&'rules Variables>,
    /// Where the rule is.
    pub(crate) span: Span,
}

/// Finds the first rule that applies; `None` where no rule does.
pub(crate) fn judge<'rules>(
    rules: &'rules [Rule],
    variable: &impl Fn(&str) -> Option<&'rules str>,
    patterns: &Patterns,
) -> Option<Verdict<'rules>> {
    let applies = |rule: &'rules Rule| match &rule.condition {
        Some(condition) => condition.holds(variable, patterns),
        None => true,
    };
    rules.iter().find(|rule| applies(rule)).map(|rule| Verdict {
        when: rule.when,
        allow_failure: rule.allow_failure.as_ref(),
        interruptible: rule.interruptible,
        variables: Some(&rule.variables),
        span: rule.span,
    })
}
