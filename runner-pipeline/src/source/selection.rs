//! Which jobs of a pipeline run when a person names some: those, and what they need.

use std::collections::BTreeSet;

use super::graph::{Edges, Graph};
use crate::{
    diagnostic::nearest,
    pipeline::{JobWhen, Pipeline},
};

/// Why jobs that were named cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// No such job.
    #[error("there is no job `{name}` in the pipeline{}", hint(.similar.as_deref(), .known))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The name that may have been meant.
        similar: Option<String>,
        /// All names that could have been given.
        known: Vec<String>,
    },
    /// It is in the file, but not in this pipeline.
    #[error("the job `{name}` is not part of this pipeline: {because}")]
    Excluded {
        /// The name.
        name: String,
        /// Why.
        because: String,
    },
    /// It needs a job that is not there.
    #[error("the job `{name}` needs `{need}`, which is not part of this pipeline")]
    MissingNeed {
        /// The name.
        name: String,
        /// What it needs.
        need: String,
    },
}

fn hint(similar: Option<&str>, known: &[String]) -> String {
    match similar {
        Some(similar) => format!("; did you mean `{similar}`?"),
        None if known.is_empty() => "; it has no jobs".to_owned(),
        None => format!(
            "; it has {}",
            known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// The jobs that run, and those among them that a person asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) jobs: BTreeSet<usize>,
    /// Those that run even if they are manual.
    pub(super) asked: BTreeSet<usize>,
}

/// The jobs that run when `names` are named; all where none is.
pub(super) fn select(
    pipeline: &Pipeline,
    graph: &Graph,
    names: &[String],
) -> Result<Selection, SelectionError> {
    let included = (0..pipeline.jobs.len()).filter(|index| pipeline.jobs[*index].not_run.is_none());
    if names.is_empty() {
        return Ok(Selection { jobs: included.collect(), asked: BTreeSet::new() });
    }
    let mut chosen = BTreeSet::new();
    for name in names {
        chosen.extend(find(pipeline, name)?);
    }
    // What a job names, it needs, and so it runs even if it is manual. A job that only happens to be of an earlier
    // stage is no reason to do what nobody asked for.
    let asked = closure(chosen, |index| graph.named_by(pipeline, index));
    let jobs =
        closure(asked.clone(), |index| match (&graph.edges[index], &pipeline.jobs[index].dependencies) {
            (Edges::Stages(stage), None) => {
                let earlier = included.clone().filter(|other| graph.stages[*other] < *stage);
                earlier.filter(|other| pipeline.jobs[*other].when != JobWhen::Manual).collect()
            }
            _ => graph.named_by(pipeline, index),
        });
    Ok(Selection { jobs, asked })
}

/// The jobs of `start`, and whatever `next` leads to from them.
fn closure(start: BTreeSet<usize>, next: impl Fn(usize) -> Vec<usize>) -> BTreeSet<usize> {
    let mut open: Vec<_> = start.into_iter().collect();
    let mut found = BTreeSet::new();
    while let Some(index) = open.pop() {
        if found.insert(index) {
            open.extend(next(index));
        }
    }
    found
}

/// The job of that name, or all instances of the parallel job of that name.
fn find(pipeline: &Pipeline, name: &str) -> Result<Vec<usize>, SelectionError> {
    let all = || pipeline.jobs.iter().enumerate();
    let mut found: Vec<_> = all().filter(|(_, job)| job.name == name).collect();
    if found.is_empty() {
        found = all().filter(|(_, job)| job.group == name).collect();
    }
    let reason = found.first().and_then(|(_, job)| job.not_run.clone());
    let running: Vec<_> =
        found.iter().filter(|(_, job)| job.not_run.is_none()).map(|(index, _)| *index).collect();
    match (running.is_empty(), reason) {
        (false, _) => Ok(running),
        (true, Some(because)) => Err(SelectionError::Excluded { name: name.to_owned(), because }),
        (true, None) => Err(unknown(pipeline, name)),
    }
}

fn unknown(pipeline: &Pipeline, name: &str) -> SelectionError {
    let mut known: Vec<_> = Vec::new();
    for job in &pipeline.jobs {
        for candidate in [&job.group, &job.name] {
            if !candidate.is_empty() && !known.contains(candidate) {
                known.push(candidate.clone());
            }
        }
    }
    let similar = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    let groups = pipeline.jobs.iter().map(|job| job.group.clone()).collect::<Vec<_>>();
    known.retain(|name| groups.contains(name));
    SelectionError::Unknown { name: name.to_owned(), similar, known }
}
