//! A job: all of its keywords, after `extends` and `default` were merged in.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use runner_core::job::{ArtifactSpec, Hook, Image, Service, Variables};

use super::{
    Check, Placed, artifacts,
    cache::{self, Cache},
    container, duration,
    environment::{self, Environment},
    inherit::{self, Inherit},
    keyword,
    needs::{self, NeedName},
    parallel::{self, Parallel},
    retry,
    rules::{self, Rule, RulesOf},
    script, value,
    variables::{self, Owner},
};
use crate::{
    expression::{self, Patterns},
    pipeline::{AllowFailure, JobWhen, Retry},
    yaml::{Entry, Map, Node, Span},
};

/// A job as it is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    /// Its name.
    pub(crate) name: String,
    /// Where its name is.
    pub(crate) span: Span,
    /// Its stage; `test` without one.
    pub(crate) stage: Option<Placed<String>>,
    /// `before_script`.
    pub(crate) before_script: Vec<String>,
    /// `script`.
    pub(crate) script: Vec<String>,
    /// `after_script`.
    pub(crate) after_script: Vec<String>,
    /// `hooks`.
    pub(crate) hooks: Vec<Hook>,
    /// `image`.
    pub(crate) image: Option<Image>,
    /// `services`.
    pub(crate) services: Vec<Service>,
    /// `cache`.
    pub(crate) caches: Vec<Cache>,
    /// `artifacts`.
    pub(crate) artifacts: Vec<ArtifactSpec>,
    /// `variables` of the job alone.
    pub(crate) variables: Variables,
    /// Which variables of the file it takes over.
    pub(crate) inherit_variables: Inherit,
    /// `when`.
    pub(crate) when: Option<JobWhen>,
    /// `allow_failure`.
    pub(crate) allow_failure: Option<AllowFailure>,
    /// `rules`.
    pub(crate) rules: Option<Rc<Vec<Rule>>>,
    /// `needs`.
    pub(crate) needs: Option<Vec<NeedName>>,
    /// `dependencies`.
    pub(crate) dependencies: Option<Vec<Placed<String>>>,
    /// `tags`.
    pub(crate) tags: Vec<String>,
    /// `timeout`.
    pub(crate) timeout: Option<Duration>,
    /// `retry`.
    pub(crate) retry: Retry,
    /// `interruptible`.
    pub(crate) interruptible: bool,
    /// `resource_group`.
    pub(crate) resource_group: Option<String>,
    /// `coverage`, without slashes.
    pub(crate) coverage: Option<String>,
    /// `environment`.
    pub(crate) environment: Option<Environment>,
    /// `parallel`.
    pub(crate) parallel: Option<Parallel>,
}

/// What is known of earlier jobs, because jobs share most of what they have.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Regular expressions.
    pub(crate) patterns: Patterns,
    rules: RefCell<HashMap<*const Node, Option<Rc<Vec<Rule>>>>>,
}

/// Reads a job, or `default` where `name` is `None`.
pub(crate) fn read(name: Option<&Entry>, map: &Map, known: &Known, check: Check<'_, '_>) -> Option<Job> {
    let mut job = Job::default();
    match name {
        Some(entry) => {
            keyword::known(map, "a job", keyword::JOB, keyword::JOB_UNSUPPORTED, check);
            entry.key.as_ref().clone_into(&mut job.name);
            job.span = entry.key_span;
        }
        None => keyword::known(map, "default", keyword::DEFAULT, &["id_tokens", "identity"], check),
    }
    let reader = Reader { map, check };
    reader.scripts(&mut job);
    reader.surroundings(&mut job);
    reader.results(&mut job);
    if name.is_some() {
        reader.place(&mut job, known);
        reader.has_script(&job)?;
    }
    Some(job)
}

struct Reader<'a, 'text> {
    map: &'a Map,
    check: Check<'a, 'text>,
}

impl<'a> Reader<'a, '_> {
    /// Reads one keyword, if it is there.
    fn get<T>(&self, key: &str, read: impl FnOnce(&'a Rc<Node>) -> Option<T>) -> Option<T> {
        self.map.value(key).and_then(read)
    }

    fn scripts(&self, job: &mut Job) {
        let script =
            |key: &str| self.get(key, |node| script::read(node, key, self.check)).unwrap_or_default();
        job.before_script = script("before_script");
        job.script = script("script");
        job.after_script = script("after_script");
        job.hooks = self.get("hooks", |node| script::hooks(node, self.check)).unwrap_or_default();
    }

    fn surroundings(&self, job: &mut Job) {
        let check = self.check;
        job.image = self.get("image", |node| container::image(node, check));
        job.services = self.get("services", |node| container::services(node, check)).unwrap_or_default();
        job.caches = self.get("cache", |node| cache::read(node, check)).unwrap_or_default();
        job.tags = self.get("tags", |node| value::plain_texts(node, "tags", check)).unwrap_or_default();
        job.variables = self
            .get("variables", |node| variables::read(node, "variables", Owner::Job, check))
            .unwrap_or_default();
        job.inherit_variables =
            self.get("inherit", |node| inherit::read(node, check)).map(|pair| pair.1).unwrap_or_default();
        job.environment = self.get("environment", |node| environment::read(node, check));
        job.timeout = self.get("timeout", |node| {
            let timeout = duration::read(node, "timeout", check)?;
            if timeout.is_zero() {
                check.error(node.span, "`timeout` must be more than nothing");
            }
            Some(timeout)
        });
    }

    fn results(&self, job: &mut Job) {
        let check = self.check;
        job.artifacts = self.get("artifacts", |node| artifacts::read(node, check)).unwrap_or_default();
        job.retry = self.get("retry", |node| retry::read(node, check)).unwrap_or_default();
        job.interruptible = self
            .get("interruptible", |node| value::boolean(node, "interruptible", check))
            .unwrap_or_default();
        job.coverage = self.get("coverage", |node| self.coverage(node));
        job.resource_group =
            self.get("resource_group", |node| value::filled_text(node, "resource_group", check));
        job.allow_failure = self.get("allow_failure", |node| retry::allow_failure(node, check));
    }

    fn place(&self, job: &mut Job, known: &Known) {
        let check = self.check;
        job.stage = self.get("stage", |node| {
            let value = value::filled_text(node, "stage", check)?;
            Some(Placed { value, span: node.span })
        });
        job.when = self.get("when", |node| retry::when(node, "when", false, check));
        job.needs = self.get("needs", |node| needs::read(node, check));
        job.dependencies = self.get("dependencies", |node| value::texts(node, "dependencies", check));
        job.parallel = self.get("parallel", |node| parallel::read(node, check));
        job.rules = self.get("rules", |node| {
            let address = Rc::as_ptr(node);
            if let Some(rules) = known.rules.borrow().get(&address) {
                return rules.clone();
            }
            let rules = rules::read(node, "rules", RulesOf::Job, &known.patterns, check).map(Rc::new);
            known.rules.borrow_mut().insert(address, rules.clone());
            rules
        });
    }

    /// A job must have something to run.
    fn has_script(&self, job: &Job) -> Option<()> {
        let Some(node) = self.map.value("script") else {
            if !["trigger", "run"].iter().any(|key| self.map.get(key).is_some()) {
                let help =
                    "add `script:` with the commands to run, or put a dot before the name to hide the job";
                self.check.error_with_help(job.span, format!("`{}` has no `script`", job.name), help);
            }
            return None;
        };
        if script::is_empty(node) {
            self.check.error_with_help(node.span, "`script` must not be empty", "write at least one command");
            return None;
        }
        Some(())
    }

    /// `/…/`.
    fn coverage(&self, node: &Node) -> Option<String> {
        let written = value::text(node, "coverage", self.check)?;
        match expression::compile_delimited(&written) {
            Ok(_) => {
                let inner = written.strip_prefix('/')?.rsplit_once('/')?.0;
                Some(inner.to_owned())
            }
            Err(reason) => {
                let message = format!("`coverage` is no regular expression: {reason}");
                self.check.error_with_help(node.span, message, "write it as in `/total: (\\d+)%/`");
                None
            }
        }
    }
}
