//! Requests and limits, with what a job may change in them.

use std::collections::BTreeMap;

use runner_core::{Result, job::Variables};

use super::invalid;
use crate::config::{Amount, Ceiling, KubernetesConfig, Part};

/// Requests and limits by the name of the resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// What is kept free.
    pub requests: BTreeMap<String, String>,
    /// What may be used at most.
    pub limits: BTreeMap<String, String>,
}

impl Resources {
    /// Those of the pod as a whole.
    pub(super) fn pod(
        config: &KubernetesConfig,
        variables: &Variables,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        Self::of(config, Part::Pod, &[variables], warnings)
    }

    /// Those of `part`. The variables of the last scope count most.
    pub(super) fn of(
        config: &KubernetesConfig,
        part: Part,
        scopes: &[&Variables],
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let mut resources = Self::default();
        for ceiling in config.ceilings().iter().filter(|ceiling| ceiling.part == part) {
            let mut value = ceiling.value.to_owned();
            for variables in scopes {
                value = overwritten(ceiling, value, variables, warnings)?;
            }
            if !value.is_empty() {
                let list = if ceiling.is_limit { &mut resources.limits } else { &mut resources.requests };
                list.insert(ceiling.resource.to_owned(), value);
            }
        }
        resources.check(part)?;
        Ok(resources)
    }

    fn check(&self, part: Part) -> Result<()> {
        for (resource, least) in &self.requests {
            let most = self.limits.get(resource);
            let amounts = (Amount::parse(least), most.and_then(|most| Amount::parse(most)));
            if let ((Some(lower), Some(upper)), Some(most)) = (amounts, most)
                && lower > upper
            {
                let whose = match part {
                    Part::Build => "the build container",
                    Part::Service => "a service",
                    Part::Helper => "the helper",
                    Part::Pod => "the pod",
                };
                let text = format!("give {whose} {least} of {resource}: its limit is {most}");
                return Err(invalid(text));
            }
        }
        Ok(())
    }
}

/// The value of a request or a limit after a job's variable.
fn overwritten(
    ceiling: &Ceiling<'_>,
    value: String,
    variables: &Variables,
    warnings: &mut Vec<String>,
) -> Result<String> {
    let variable = ceiling.variable();
    let asked = variables.value(&variable).trim().to_owned();
    if asked.is_empty() {
        return Ok(value);
    }
    if ceiling.max.is_empty() {
        let warning =
            format!("{variable}={asked} is ignored: the runner does not set `{}`.", ceiling.max_key);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
        return Ok(value);
    }
    let Some(amount) = Amount::parse(&asked) else {
        return Err(invalid(format!("apply {variable}={asked}: it is no quantity such as 500m or 2Gi")));
    };
    let Some(max) = Amount::parse(ceiling.max) else {
        let text = format!(
            "apply {variable}={asked}: the runner's `{}`, {:?}, is no quantity",
            ceiling.max_key, ceiling.max
        );
        return Err(invalid(text));
    };
    if amount > max {
        let text = format!(
            "apply {variable}={asked}: the runner allows at most {} (`{}`)",
            ceiling.max, ceiling.max_key
        );
        return Err(invalid(text));
    }
    Ok(asked)
}
