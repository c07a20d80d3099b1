//! Which jobs of a pipeline run when a person names some: those, and what they need.

use std::collections::{BTreeSet, HashMap};

use super::graph::{Edges, Graph};
use crate::pipeline::{JobWhen, Pipeline};

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
    let mut selection = Selection::default();
    let mut open = Vec::new();
    for name in names {
        open.extend(find(pipeline, name)?);
    }
    selection.asked.extend(open.iter().copied());
    while let Some(index) = open.pop() {
        if !selection.jobs.insert(index) {
            continue;
        }
        match (&graph.edges[index], &pipeline.jobs[index].dependencies) {
            (Edges::Needs(needs), _) => {
                // What a job names, it needs, and so it runs even if it is manual.
                selection.asked.extend(needs.iter().copied());
                open.extend(needs);
            }
            (Edges::Stages(_), Some(dependencies)) => {
                let givers = dependencies.iter().filter_map(|name| graph.index(name));
                let givers: Vec<_> = givers.filter(|index| pipeline.jobs[*index].not_run.is_none()).collect();
                selection.asked.extend(givers.iter().copied());
                open.extend(givers);
            }
            (Edges::Stages(stage), None) => {
                let earlier = included.clone().filter(|index| graph.stages[*index] < *stage);
                open.extend(earlier.filter(|index| pipeline.jobs[*index].when != JobWhen::Manual));
            }
        }
    }
    Ok(selection)
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
    let distances: HashMap<_, _> = known.iter().map(|other| (other, distance(name, other))).collect();
    let closest = known.iter().min_by_key(|other| distances[other]);
    let similar = closest.filter(|other| distances[other] <= 1 + name.chars().count() / 3).cloned();
    let groups = pipeline.jobs.iter().map(|job| job.group.clone()).collect::<Vec<_>>();
    known.retain(|name| groups.contains(name));
    SelectionError::Unknown { name: name.to_owned(), similar, known }
}

/// How many letters must be inserted, removed or replaced to make `left` of `right`, whatever their case.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<_> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_changed_letters() {
        for (left, right, expected) in [
            ("build", "build", 0),
            ("biuld", "build", 2),
            ("Build", "build", 0),
            ("", "abc", 3),
            ("ä", "a", 1),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }
}
