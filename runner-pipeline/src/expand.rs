//! From the keywords of a file to the jobs of a pipeline: `extends`, `default`, `parallel`, rules and needs.

mod cache_key;
mod cycle;
mod extends;
mod instance;
mod needs;
mod outcome;
mod scope;

use std::rc::Rc;

use crate::{
    diagnostic::{Mistakes, nearest},
    pipeline::{Context, Pipeline},
    syntax::{
        inherit::{self, Inherit},
        job::{self, Job, Known},
        keyword,
        root::{self, Root},
    },
    yaml::{Entry, Map, Value},
};

/// The most jobs, each instance of a parallel one counted.
const MOST_JOBS: usize = 20_000;

/// The most values of all jobs together, after everything was merged into them.
const MOST_VALUES: usize = 3_000_000;

/// The longest name of a job; GitLab's limit.
const LONGEST_NAME: usize = 255;

/// Names that GitLab keeps for itself, besides its keywords.
const RESERVED: &[&str] = &["true", "false", "nil", "pages:deploy"];

/// Builds the pipeline. Where a mistake was noted, the result is of no use.
pub(crate) fn pipeline(file: &Map, context: &Context, check: &Mistakes<'_>) -> Pipeline {
    let known = Known::default();
    let mut root = root::read(file, &known, check);
    job::read(None, &root.default, &known, check);
    let jobs = jobs(file, &root, &known, check);
    if jobs.is_empty() && !check.any() {
        let span = file.iter().next().map(|entry| entry.key_span).unwrap_or_default();
        let help = "a job is a name without a dot before it, and below it `script:`";
        check.error_with_help(span, "the file has no job", help);
    }
    stages_exist(&jobs, &root, check);
    let ruled_out = outcome::workflow(&mut root, context, &known);
    let instances = instance::all(&jobs, check);
    let links = needs::resolve(&instances, &root, check);
    if check.any() {
        return Pipeline::default();
    }
    let name = root.name.take().map(|name| scope::Shared::new(&root, context).expand(&name));
    let decided = outcome::Outcomes { root: &root, context, known: &known, ruled_out, check };
    let jobs = decided.jobs(&instances, &links);
    Pipeline { name, stages: root.stages, jobs, notes: Vec::new() }
}

/// All jobs that are not hidden.
fn jobs(file: &Map, root: &Root, known: &Known, check: &Mistakes<'_>) -> Vec<Job> {
    let mut merged = extends::Extends::new(file, check);
    let mut values = 0_usize;
    let mut jobs = Vec::new();
    for entry in file.iter() {
        if is_keyword(&entry.key) {
            continue;
        }
        let Some(map) = merged.of(entry) else { continue };
        if entry.key.starts_with('.') || !is_job(entry, file, check) || !has_good_name(entry, check) {
            continue;
        }
        if &*entry.key == "pages" {
            check.note(entry.key_span, "this job publishes nothing here: it only runs");
        }
        let map = with_defaults(map, root, check);
        values = values.saturating_add(map.size());
        if values > MOST_VALUES || jobs.len() >= MOST_JOBS {
            let message = format!("more than {MOST_JOBS} jobs, or {MOST_VALUES} values in all of them");
            check.error(entry.key_span, message);
            break;
        }
        jobs.extend(job::read(Some(entry), &map, known, check));
    }
    jobs
}

fn is_keyword(key: &str) -> bool {
    keyword::ROOT.contains(&key) || keyword::ROOT_UNSUPPORTED.contains(&key)
}

/// Whether something that is no keyword of the file is meant as a job; if not, that is noted.
fn is_job(entry: &Entry, file: &Map, check: &Mistakes<'_>) -> bool {
    let looks_like_one = entry.value.as_map().is_some_and(|map| {
        map.iter().any(|entry| {
            let key = &*entry.key;
            keyword::JOB.contains(&key) && key != "variables" || keyword::JOB_UNSUPPORTED.contains(&key)
        })
    });
    let is_broken = matches!(entry.value.value, Value::Broken);
    if looks_like_one || is_broken {
        return looks_like_one;
    }
    let candidates = keyword::ROOT.iter().copied().filter(|key| file.get(key).is_none());
    if entry.value.as_map().is_some() && nearest(&entry.key, candidates.clone()).is_none() {
        return true;
    }
    let message = format!("`{}` is neither a keyword nor a job", entry.key);
    let help = "a job is a mapping with `script`; a dot before the name hides what is none".to_owned();
    check.unknown(entry.key_span, message, (&entry.key, candidates), Some(help));
    false
}

fn has_good_name(entry: &Entry, check: &Mistakes<'_>) -> bool {
    let length = entry.key.chars().count();
    let message = if length > LONGEST_NAME {
        format!("the name of this job has {length} letters; the limit is {LONGEST_NAME}")
    } else if entry.key.trim().is_empty() {
        "a job must have a name".to_owned()
    } else if RESERVED.contains(&&*entry.key) {
        format!("`{}` is reserved: a job must have another name", entry.key)
    } else {
        return true;
    };
    check.error(entry.key_span, message);
    false
}

/// Adds what the file gives to each job, where the job says nothing and does not refuse it.
fn with_defaults(map: Rc<Map>, root: &Root, check: &Mistakes<'_>) -> Rc<Map> {
    let inherit = match map.value("inherit") {
        Some(node) => inherit::read(node, check).map(|pair| pair.0).unwrap_or_default(),
        None => Inherit::All,
    };
    let missing: Vec<&Entry> = root
        .default
        .iter()
        .filter(|entry| keyword::DEFAULT.contains(&&*entry.key))
        .filter(|entry| map.value(&entry.key).is_none() && inherit.takes(&entry.key))
        .collect();
    if missing.is_empty() {
        return map;
    }
    let mut map = Map::clone(&map);
    for entry in missing {
        map.set(entry.clone());
    }
    Rc::new(map)
}

fn stages_exist(jobs: &[Job], root: &Root, check: &Mistakes<'_>) {
    let known: std::collections::HashSet<&str> = root.stages.iter().map(String::as_str).collect();
    let stages = || format!("the stages are {}", root.stages.join(", "));
    for job in jobs {
        match &job.stage {
            Some(stage) if !known.contains(stage.value.as_str()) => {
                let message = format!("unknown stage `{}`", stage.value);
                let candidates = root.stages.iter().map(String::as_str);
                check.unknown(stage.span, message, (&stage.value, candidates), Some(stages()));
            }
            None if !known.contains("test") => {
                let message = format!("`{}` has no `stage`, and there is no stage `test`", job.name);
                check.error_with_help(job.span, message, format!("add `stage:`; {}", stages()));
            }
            _ => {}
        }
    }
}
