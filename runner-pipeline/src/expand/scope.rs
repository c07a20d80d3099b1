//! The variables that a job's rules see, in the order in which they count.

use std::collections::HashMap;

use runner_core::job::{Variable, Variables, variable};

use super::instance::Instance;
use crate::{pipeline::Context, syntax::root::Root};

/// The variables that all jobs have in common, ready to be looked up.
pub(super) struct Shared<'a> {
    overrides: HashMap<&'a str, &'a str>,
    file: HashMap<&'a str, &'a str>,
    predefined: HashMap<&'a str, &'a str>,
}

/// What one job sees.
pub(super) struct Scope<'a> {
    shared: &'a Shared<'a>,
    instance: &'a Instance<'a>,
    stage: &'a str,
}

impl<'a> Shared<'a> {
    pub(super) fn new(root: &'a Root, context: &'a Context) -> Self {
        Self {
            overrides: by_key(&context.overrides),
            file: by_key(&root.variables),
            predefined: by_key(&context.predefined),
        }
    }

    /// What counts before any job is looked at.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.overrides
            .get(name)
            .or_else(|| self.file.get(name))
            .or_else(|| self.predefined.get(name))
            .copied()
    }

    /// Replaces variables in `text`, as [`Scope::expand`] does.
    pub(super) fn expand(&self, text: &str) -> String {
        expand(text, |name| self.get(name))
    }
}

impl<'a> Scope<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, instance: &'a Instance<'a>) -> Self {
        let stage = instance.job.stage.as_ref().map_or("test", |stage| stage.value.as_str());
        Self { shared, instance, stage }
    }

    /// The value of a variable as it is, without expansion.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let job = self.instance.job;
        if let Some(value) = self.shared.overrides.get(name) {
            return Some(value);
        }
        let own = self.instance.matrix.get(name).or_else(|| job.variables.get(name));
        if let Some(variable) = own {
            return Some(&variable.value);
        }
        if job.inherit_variables.takes(name)
            && let Some(value) = self.shared.file.get(name)
        {
            return Some(value);
        }
        if let Some(variable) = self.instance.node.get(name) {
            return Some(&variable.value);
        }
        match name {
            "CI_JOB_NAME" => Some(&self.instance.name),
            "CI_JOB_STAGE" => Some(self.stage),
            "CI_ENVIRONMENT_NAME" => job.environment.as_ref().map(|environment| environment.name.as_str()),
            _ => self.shared.predefined.get(name).copied(),
        }
    }

    /// Replaces variables in `text`, and those in their values, a few levels deep.
    pub(super) fn expand(&self, text: &str) -> String {
        expand(text, |name| self.get(name))
    }
}

fn expand<'v>(text: &str, value_of: impl Fn(&str) -> Option<&'v str>) -> String {
    const LEVELS: usize = 8;
    const LONGEST: usize = 4096;
    let mut text = text.to_owned();
    for _ in 0..LEVELS {
        let next = variable::expand(&text, |name| value_of(name).unwrap_or_default().to_owned());
        if next == text || next.len() > LONGEST {
            break;
        }
        text = next;
    }
    text
}

/// Puts `more` over `variables`: of two with the same key the one of `more` counts, in the place of the other.
pub(super) fn merge<'v>(variables: &mut Vec<Variable>, more: impl IntoIterator<Item = &'v Variable>) {
    let mut places: HashMap<String, usize> =
        variables.iter().enumerate().map(|(index, variable)| (variable.key.clone(), index)).collect();
    for variable in more {
        if let Some(old) = places.get(&variable.key).and_then(|index| variables.get_mut(*index)) {
            *old = variable.clone();
        } else {
            places.insert(variable.key.clone(), variables.len());
            variables.push(variable.clone());
        }
    }
}

fn by_key(variables: &Variables) -> HashMap<&str, &str> {
    variables.0.iter().map(|variable| (variable.key.as_str(), variable.value.as_str())).collect()
}
