//! Which jobs are part of the pipeline, and each of them complete.

use std::collections::HashSet;

use runner_core::job::{JobSpec, Step, Variable, Variables};

use super::{
    cache_key::CacheKeys,
    instance::Instance,
    needs::{Link, Links},
    scope::{self, Scope, Shared},
};
use crate::{
    diagnostic::Mistakes,
    expansion::circle,
    pipeline::{AllowFailure, Context, JobWhen, Need, PipelineJob},
    rules::{self, Verdict},
    syntax::{environment::Environment, job::Known, root::Root},
};

/// What is known when jobs are decided on.
pub(super) struct Outcomes<'a, 'text> {
    pub(super) root: &'a Root,
    pub(super) context: &'a Context,
    pub(super) known: &'a Known,
    /// Why there is no pipeline at all.
    pub(super) ruled_out: Option<String>,
    pub(super) check: &'a Mistakes<'text>,
}

/// Decides on the pipeline as a whole: variables of the rule that applies count more than those of the file. Returns
/// why there is no pipeline.
pub(super) fn workflow(root: &mut Root, context: &Context, known: &Known) -> Option<String> {
    let rules = root.workflow.as_ref()?;
    let shared = Shared::new(root, context);
    let verdict = rules::judge(rules, &|name: &str| shared.get(name), &known.patterns);
    let Some(verdict) = verdict else {
        return Some("none of `workflow:rules` applies".to_owned());
    };
    if verdict.when == Some(JobWhen::Never) {
        return Some(format!("`workflow:rules` say `when: never` in line {}", verdict.span.line));
    }
    let more = verdict.variables.cloned().unwrap_or_default();
    scope::merge(&mut root.variables.0, &more.0);
    None
}

impl Outcomes<'_, '_> {
    /// All jobs, those that are not part of the pipeline included.
    pub(super) fn jobs(&self, instances: &[Instance<'_>], links: &[Links]) -> Vec<PipelineJob> {
        let shared = Shared::new(self.root, self.context);
        let keys = CacheKeys::new(self.context, self.check);
        let mut jobs: Vec<PipelineJob> =
            instances.iter().map(|instance| self.job(instance, &shared, &keys)).collect();
        self.circles(&jobs, instances);
        let included: Vec<bool> = jobs.iter().map(|job| job.not_run.is_none()).collect();
        let name =
            |index: usize| instances.get(index).map(|instance| instance.name.clone()).unwrap_or_default();
        let is_included = |index: usize| included.get(index).copied().unwrap_or_default();
        for (job, instance) in jobs.iter_mut().zip(instances) {
            let Some(links) = links.get(instance.group) else { continue };
            job.needs = links.needs.as_ref().map(|needs| {
                if job.not_run.is_none() {
                    self.are_there(instance, needs, instances, &is_included);
                }
                let there = needs.iter().filter(|link| is_included(link.instance));
                there
                    .map(|link| Need {
                        job: name(link.instance),
                        artifacts: link.artifacts,
                        optional: link.optional,
                    })
                    .collect()
            });
            job.dependencies = links.dependencies.as_ref().map(|indices| {
                indices.iter().copied().filter(|index| is_included(*index)).map(name).collect()
            });
        }
        jobs
    }

    /// Notes variables that refer to each other in a circle, at the first job that has them: they have no value.
    fn circles(&self, jobs: &[PipelineJob], instances: &[Instance<'_>]) {
        let mut known = HashSet::new();
        for (job, instance) in jobs.iter().zip(instances).filter(|(job, _)| job.not_run.is_none()) {
            let Some(circle) = circle(&job.spec.variables, &self.context.overrides) else { continue };
            let way = circle.join(" → ");
            if known.insert(circle) {
                let message =
                    format!("the variables of `{}` refer to each other in a circle: {way}", job.name);
                let help =
                    "give one of them a value, or `expand: false` where a dollar sign is meant as it is";
                self.check.error_with_help(instance.job.span, message, help);
            }
        }
    }

    /// A job whose need is not part of the pipeline could never start.
    fn are_there(
        &self,
        instance: &Instance<'_>,
        needs: &[Link],
        instances: &[Instance<'_>],
        is_included: &impl Fn(usize) -> bool,
    ) {
        for link in needs.iter().filter(|link| !link.optional && !is_included(link.instance)) {
            let Some(target) = instances.get(link.instance) else { continue };
            let message =
                format!("`{}` needs `{}`, which is not part of this pipeline", instance.name, target.name);
            let help = format!(
                "its rules leave it out for this event; write `- job: {}` with `optional: true` if that may be",
                target.job.name
            );
            self.check.error_with_help(link.span, message, help);
        }
    }

    fn job(&self, instance: &Instance<'_>, shared: &Shared<'_>, keys: &CacheKeys<'_, '_>) -> PipelineJob {
        let scope = Scope::new(shared, instance);
        let job = instance.job;
        let (verdict, left_out) = self.verdict(instance, &scope);
        let when = verdict.when.or(job.when).unwrap_or_default();
        let not_run = self.ruled_out.clone().or(left_out).or_else(|| {
            let line = verdict.span.line;
            (when == JobWhen::Never).then(|| format!("its rule in line {line} says `when: never`"))
        });
        let by_default = || match (&job.allow_failure, job.when) {
            (Some(allowed), _) => allowed.clone(),
            (None, Some(JobWhen::Manual)) => AllowFailure::Yes,
            (None, _) => AllowFailure::No,
        };
        PipelineJob {
            name: instance.name.clone(),
            group: job.name.clone(),
            line: job.span.line,
            stage: job.stage.as_ref().map_or_else(|| "test".to_owned(), |stage| stage.value.clone()),
            needs: None,
            dependencies: None,
            when: if not_run.is_some() { JobWhen::Never } else { when },
            allow_failure: verdict.allow_failure.cloned().unwrap_or_else(by_default),
            tags: job.tags.clone(),
            retry: job.retry.clone(),
            interruptible: verdict.interruptible.unwrap_or(job.interruptible),
            resource_group: job.resource_group.clone(),
            coverage: job.coverage.clone(),
            spec: self.spec(instance, verdict.variables, &scope, keys),
            not_run,
        }
    }

    /// What the rules of a job say, and why it is left out if no rule lets it in.
    fn verdict<'s>(&self, instance: &'s Instance<'s>, scope: &Scope<'s>) -> (Verdict<'s>, Option<String>) {
        let Some(rules) = &instance.job.rules else {
            let source = self.context.overrides.get("CI_PIPELINE_SOURCE");
            let source = source.or_else(|| self.context.predefined.get("CI_PIPELINE_SOURCE"));
            let is_merge_request = source.is_some_and(|source| source.value == "merge_request_event");
            let left_out = is_merge_request && self.root.workflow.is_none();
            let reason = "without `rules` it runs for branches and tags, not for merge requests";
            return (Verdict::default(), left_out.then(|| reason.to_owned()));
        };
        match rules::judge(rules, &|name: &str| scope.get(name), &self.known.patterns) {
            Some(verdict) => (verdict, None),
            None => (Verdict::default(), Some("none of its rules applies".to_owned())),
        }
    }

    fn spec(
        &self,
        instance: &Instance<'_>,
        of_rule: Option<&Variables>,
        scope: &Scope<'_>,
        keys: &CacheKeys<'_, '_>,
    ) -> JobSpec {
        let job = instance.job;
        let mut spec = JobSpec::new("", instance.name.clone());
        if let Some(stage) = &job.stage {
            spec.stage.clone_from(&stage.value);
        }
        if let Some(timeout) = job.timeout {
            spec.timeout = timeout;
        }
        spec.variables = self.variables(instance, of_rule, scope);
        spec.steps.push(Step::script(job.before_script.iter().chain(&job.script).cloned().collect()));
        if !job.after_script.is_empty() {
            spec.steps.push(Step::after_script(job.after_script.clone()));
        }
        spec.hooks.clone_from(&job.hooks);
        spec.image.clone_from(&job.image);
        spec.services.clone_from(&job.services);
        spec.caches = keys.specs(&job.caches, scope);
        spec.artifacts.clone_from(&job.artifacts);
        spec
    }

    /// What GitLab predefines for this job alone, then the variables of the file, of the job and of the rule.
    fn variables(
        &self,
        instance: &Instance<'_>,
        of_rule: Option<&Variables>,
        scope: &Scope<'_>,
    ) -> Variables {
        let job = instance.job;
        let mut variables = instance.node.0.clone();
        if let Some(environment) = &job.environment {
            variables.extend(of_environment(environment, scope));
        }
        let of_file =
            self.root.variables.0.iter().filter(|variable| job.inherit_variables.takes(&variable.key));
        let of_rule = of_rule.into_iter().flat_map(|variables| &variables.0);
        scope::merge(
            &mut variables,
            of_file.chain(&job.variables.0).chain(&instance.matrix.0).chain(of_rule),
        );
        Variables(variables)
    }
}

fn of_environment(environment: &Environment, scope: &Scope<'_>) -> Vec<Variable> {
    let name = scope.expand(&environment.name);
    let mut variables = vec![
        Variable::raw("CI_ENVIRONMENT_SLUG", slug(&name)),
        Variable::raw("CI_ENVIRONMENT_NAME", name),
        Variable::raw("CI_ENVIRONMENT_ACTION", environment.action),
    ];
    variables.extend(environment.tier.map(|tier| Variable::raw("CI_ENVIRONMENT_TIER", tier)));
    variables.extend(environment.url.as_ref().map(|url| Variable::new("CI_ENVIRONMENT_URL", url.clone())));
    variables
}

/// A name in lower case letters, digits and single dashes, at most 24 of them. GitLab adds a suffix where that changed
/// something, so that different names stay different; here there is one environment at a time.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.to_lowercase().chars() {
        let letter = if letter.is_ascii_alphanumeric() { letter } else { '-' };
        if letter != '-' || !slug.ends_with('-') {
            slug.push(letter);
        }
    }
    if !slug.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        slug.insert_str(0, if slug.starts_with('-') { "env" } else { "env-" });
    }
    slug.truncate(24);
    slug.trim_end_matches('-').to_owned()
}
