//! What each job of a pipeline waits for, and whose artifacts it gets.

use std::collections::HashMap;

use super::SelectionError;
use crate::pipeline::{Pipeline, PipelineJob};

/// What a job waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edges {
    /// These jobs.
    Needs(Vec<usize>),
    /// All jobs of stages before this one.
    Stages(usize),
}

/// The order of a pipeline's jobs. Jobs are numbered as in the pipeline.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) edges: Vec<Edges>,
    /// The number of each job's stage.
    pub(super) stages: Vec<usize>,
    /// The jobs, stage by stage.
    pub(super) order: Vec<usize>,
    /// Which instance of how many a job is, where it is parallel.
    pub(super) instances: Vec<Option<(usize, usize)>>,
    names: HashMap<String, usize>,
}

impl Graph {
    pub(super) fn of(pipeline: &Pipeline) -> Result<Self, SelectionError> {
        let jobs = &pipeline.jobs;
        let names: HashMap<_, _> =
            jobs.iter().enumerate().map(|(index, job)| (job.name.clone(), index)).collect();
        let number =
            |stage: &String| pipeline.stages.iter().position(|other| other == stage).unwrap_or_default();
        let stages: Vec<_> = jobs.iter().map(|job| number(&job.stage)).collect();
        let mut order: Vec<_> = (0..jobs.len()).collect();
        order.sort_by_key(|index| stages[*index]);
        let mut graph = Self { edges: Vec::new(), stages, order, instances: instances(pipeline), names };
        for (index, job) in jobs.iter().enumerate() {
            let edges = match &job.needs {
                Some(needs) if job.not_run.is_none() => {
                    let mut indexes = Vec::new();
                    for need in needs {
                        match graph.index(&need.job).filter(|other| jobs[*other].not_run.is_none()) {
                            Some(other) => indexes.push(other),
                            None if need.optional => {}
                            None => {
                                let (name, need) = (job.name.clone(), need.job.clone());
                                return Err(SelectionError::MissingNeed { name, need });
                            }
                        }
                    }
                    Edges::Needs(indexes)
                }
                Some(_) => Edges::Needs(Vec::new()),
                None => Edges::Stages(graph.stages[index]),
            };
            graph.edges.push(edges);
        }
        Ok(graph)
    }

    /// The number of the job named `name`.
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// The jobs that job number `index` names: with `needs`, or else with `dependencies`.
    pub(super) fn named_by(&self, pipeline: &Pipeline, index: usize) -> Vec<usize> {
        match &self.edges[index] {
            Edges::Needs(needs) => needs.clone(),
            Edges::Stages(_) => {
                let names = pipeline.jobs[index].dependencies.as_deref().unwrap_or_default();
                let indexes = names.iter().filter_map(|name| self.index(name));
                indexes.filter(|other| pipeline.jobs[*other].not_run.is_none()).collect()
            }
        }
    }

    /// The jobs whose artifacts job number `index` gets, in the order of stages.
    pub(super) fn givers(&self, pipeline: &Pipeline, index: usize) -> Vec<usize> {
        let job = &pipeline.jobs[index];
        let is_named = |other: usize| match &job.dependencies {
            Some(names) => names.contains(&pipeline.jobs[other].name),
            None => true,
        };
        let needs = job.needs.as_deref().unwrap_or_default();
        let is_before = |other: usize| match &self.edges[index] {
            Edges::Needs(_) => {
                needs.iter().any(|need| need.artifacts && need.job == pipeline.jobs[other].name)
            }
            Edges::Stages(stage) => self.stages[other] < *stage,
        };
        self.order.iter().copied().filter(|other| is_before(*other) && is_named(*other)).collect()
    }
}

fn instances(pipeline: &Pipeline) -> Vec<Option<(usize, usize)>> {
    let parallel = |job: &&PipelineJob| job.name != job.group && !job.group.is_empty();
    let mut totals: HashMap<&str, usize> = HashMap::new();
    for job in pipeline.jobs.iter().filter(parallel) {
        *totals.entry(&job.group).or_default() += 1;
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let instance = |job: &PipelineJob| {
        let total = totals.get(job.group.as_str()).filter(|_| parallel(&job))?;
        let name = totals.get_key_value(job.group.as_str()).map(|(name, _)| *name)?;
        let number = seen.entry(name).or_default();
        *number += 1;
        Some((*number, *total))
    };
    pipeline.jobs.iter().map(instance).collect()
}
