//! Names in `needs` and `dependencies`: which instances they mean, and whether they may be meant.

use std::collections::{HashMap, HashSet};

use super::{cycle, instance::Instance};
use crate::{
    diagnostic::Mistakes,
    syntax::{Placed, needs::NeedName, root::Root},
    yaml::Span,
};

/// The most needs of all jobs together, each instance counted.
const MOST_LINKS: usize = 1_000_000;

/// What a job of the file needs: the same for all of its instances.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    /// The instances it waits for; `None`: those of earlier stages.
    pub(super) needs: Option<Vec<Link>>,
    /// The instances whose artifacts it gets, where it names them.
    pub(super) dependencies: Option<Vec<usize>>,
}

/// A need for one instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// Which one.
    pub(super) instance: usize,
    /// Whether its artifacts are fetched.
    pub(super) artifacts: bool,
    /// Whether the pipeline may be without it.
    pub(super) optional: bool,
    /// Where the need is.
    pub(super) span: Span,
}

/// Looks up all names. The result has one item for each job of the file.
pub(super) fn resolve(instances: &[Instance<'_>], root: &Root, check: &Mistakes<'_>) -> Vec<Links> {
    let resolver = Resolver::new(instances, root, check);
    let groups = instances.last().map_or(0, |instance| instance.group + 1);
    let mut links = Vec::with_capacity(groups);
    let mut total = 0_usize;
    for first in &resolver.firsts {
        let Some(instance) = instances.get(*first) else { continue };
        let found = resolver.links(instance);
        let own = resolver.members(instance.group).len();
        total = total.saturating_add(found.needs.as_ref().map_or(0, Vec::len).saturating_mul(own));
        if total > MOST_LINKS {
            check.error(instance.job.span, format!("all jobs together need more than {MOST_LINKS} others"));
            return links;
        }
        links.push(found);
    }
    cycle::check(&links, instances, &resolver.firsts, check);
    for instance in instances {
        if let Some(name) =
            instance.job.environment.as_ref().and_then(|environment| environment.on_stop.as_ref())
            && resolver.find(&name.value).is_empty()
        {
            resolver.unknown(name, "environment:on_stop");
        }
    }
    links
}

struct Resolver<'a, 'text> {
    instances: &'a [Instance<'a>],
    check: &'a Mistakes<'text>,
    stages: HashMap<&'a str, usize>,
    groups: HashMap<&'a str, Vec<usize>>,
    names: HashMap<&'a str, usize>,
    /// The first instance of each job of the file.
    firsts: Vec<usize>,
    root: &'a Root,
}

impl<'a, 'text> Resolver<'a, 'text> {
    fn new(instances: &'a [Instance<'a>], root: &'a Root, check: &'a Mistakes<'text>) -> Self {
        let mut groups: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut firsts = Vec::new();
        for (index, instance) in instances.iter().enumerate() {
            let members = groups.entry(&instance.job.name).or_default();
            if members.is_empty() {
                firsts.push(index);
            }
            members.push(index);
        }
        Self {
            instances,
            check,
            stages: root.stages.iter().enumerate().map(|(index, stage)| (stage.as_str(), index)).collect(),
            groups,
            names: instances.iter().enumerate().map(|(index, item)| (item.name.as_str(), index)).collect(),
            firsts,
            root,
        }
    }

    /// The instances that a name means: all of a job, or one.
    fn find(&self, name: &str) -> &[usize] {
        match (self.groups.get(name), self.names.get(name)) {
            (Some(members), _) => members,
            (None, Some(index)) => std::slice::from_ref(index),
            (None, None) => &[],
        }
    }

    fn members(&self, group: usize) -> &[usize] {
        self.firsts
            .get(group)
            .and_then(|first| self.instances.get(*first))
            .and_then(|instance| self.groups.get(instance.job.name.as_str()))
            .map_or(&[], Vec::as_slice)
    }

    fn links(&self, instance: &Instance<'_>) -> Links {
        let needs = instance.job.needs.as_ref().map(|needs| self.needs(instance, needs));
        let dependencies = instance.job.dependencies.as_ref().map(|names| {
            let required = instance.job.needs.as_ref().filter(|needs| !needs.is_empty());
            self.dependencies(instance, names, required.map(Vec::as_slice))
        });
        Links { needs, dependencies }
    }

    fn needs(&self, instance: &Instance<'_>, needs: &[NeedName]) -> Vec<Link> {
        let mut seen = HashSet::new();
        let mut links = Vec::new();
        for need in needs {
            let name = &need.job;
            if !seen.insert(name.value.as_str()) {
                self.check.error(name.span, format!("`{}` is needed twice", name.value));
                continue;
            }
            let found = self.find(&name.value);
            if found.is_empty() && !need.optional {
                self.unknown(name, "needs");
            }
            if !self.may_be_meant(instance, found, name, "needs") {
                continue;
            }
            links.extend(found.iter().map(|index| Link {
                instance: *index,
                artifacts: need.artifacts,
                optional: need.optional,
                span: name.span,
            }));
        }
        links
    }

    fn dependencies(
        &self,
        instance: &Instance<'_>,
        names: &[Placed<String>],
        needs: Option<&[NeedName]>,
    ) -> Vec<usize> {
        let needed: Option<HashSet<&str>> =
            needs.map(|needs| needs.iter().map(|need| need.job.value.as_str()).collect());
        let mut seen = HashSet::new();
        let mut result = Vec::new();
        for name in names {
            let found = self.find(&name.value);
            if found.is_empty() {
                self.unknown(name, "dependencies");
            } else if needed.as_ref().is_some_and(|needed| !needed.contains(name.value.as_str())) {
                let message = format!("`{}` is in `dependencies`, but not in `needs`", name.value);
                let help = "a job with `needs` gets artifacts only of the jobs that it needs";
                self.check.error_with_help(name.span, message, help);
            } else if self.may_be_meant(instance, found, name, "dependencies") {
                result.extend(found.iter().copied().filter(|index| seen.insert(*index)));
            }
        }
        result
    }

    /// Whether a job is another one, of no later stage.
    fn may_be_meant(
        &self,
        instance: &Instance<'_>,
        found: &[usize],
        name: &Placed<String>,
        what: &str,
    ) -> bool {
        let Some(target) = found.first().and_then(|index| self.instances.get(*index)) else { return true };
        if target.group == instance.group {
            let message = format!("`{}` names itself in `{what}`", instance.job.name);
            self.check.error(name.span, message);
            return false;
        }
        let stage = |instance: &Instance<'_>| {
            let stage = instance.job.stage.as_ref().map_or("test", |stage| stage.value.as_str());
            self.stages.get(stage).copied()
        };
        if let (Some(own), Some(other)) = (stage(instance), stage(target))
            && other > own
        {
            let later = self.root.stages.get(other).map(String::as_str).unwrap_or_default();
            let message = format!("`{}` is of a later stage (`{later}`)", name.value);
            let help = format!("`{what}` may name jobs of the same stage and of earlier ones");
            self.check.error_with_help(name.span, message, help);
            return false;
        }
        true
    }

    fn unknown(&self, name: &Placed<String>, what: &str) {
        let candidates = self.groups.keys().copied();
        let message = format!("unknown job `{}` in `{what}`", name.value);
        self.check.unknown(name.span, message, (&name.value, candidates), None);
    }
}
