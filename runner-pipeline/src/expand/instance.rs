//! Instances: a parallel job is several jobs, each with a name and variables of its own.

use runner_core::job::{Variable, Variables};

use super::{LONGEST_NAME, MOST_JOBS};
use crate::{
    diagnostic::Mistakes,
    syntax::{job::Job, parallel::Parallel},
};

/// One job of the pipeline.
#[derive(Debug)]
pub(super) struct Instance<'a> {
    /// The job in the file.
    pub(super) job: &'a Job,
    /// Which of the file's jobs that is.
    pub(super) group: usize,
    /// Its name.
    pub(super) name: String,
    /// `CI_NODE_INDEX` and `CI_NODE_TOTAL`.
    pub(super) node: Variables,
    /// The variables of the matrix.
    pub(super) matrix: Variables,
}

/// All instances of all jobs, in order.
pub(super) fn all<'a>(jobs: &'a [Job], check: &Mistakes<'_>) -> Vec<Instance<'a>> {
    let mut instances = Vec::with_capacity(jobs.len());
    for (group, job) in jobs.iter().enumerate() {
        match &job.parallel {
            None => instances.push(Instance {
                job,
                group,
                name: job.name.clone(),
                node: node(None, 1),
                matrix: Variables::default(),
            }),
            Some(Parallel::Number(total)) => instances.extend((1..=*total).map(|index| Instance {
                job,
                group,
                name: format!("{} {index}/{total}", job.name),
                node: node(Some(index), *total),
                matrix: Variables::default(),
            })),
            Some(Parallel::Matrix(sets)) => instances.extend(sets.iter().enumerate().map(|(index, set)| {
                let values: Vec<&str> = set.0.iter().map(|variable| variable.value.as_str()).collect();
                Instance {
                    job,
                    group,
                    name: format!("{}: [{}]", job.name, values.join(", ")),
                    node: node(Some(index + 1), sets.len()),
                    matrix: set.clone(),
                }
            })),
        }
        if instances.len() > MOST_JOBS {
            check.error(job.span, format!("`parallel` makes more than {MOST_JOBS} jobs"));
            break;
        }
    }
    names_are_good(&instances, check);
    instances
}

fn node(index: Option<usize>, total: usize) -> Variables {
    let index = index.map(|index| Variable::raw("CI_NODE_INDEX", index.to_string()));
    Variables(index.into_iter().chain([Variable::raw("CI_NODE_TOTAL", total.to_string())]).collect())
}

fn names_are_good(instances: &[Instance<'_>], check: &Mistakes<'_>) {
    let mut seen = std::collections::HashMap::new();
    for instance in instances {
        let length = instance.name.chars().count();
        if length > LONGEST_NAME {
            let message = format!(
                "`parallel` makes a job with a name of {length} letters; the limit is {LONGEST_NAME}"
            );
            check.error(instance.job.span, message);
        }
        if let Some(line) = seen.insert(instance.name.as_str(), instance.job.span.line) {
            let message = format!("`parallel` makes two jobs with the name `{}`", instance.name);
            let help = if line == instance.job.span.line {
                "the matrix has the same values twice".to_owned()
            } else {
                format!("the other one is in line {line}")
            };
            check.error_with_help(instance.job.span, message, help);
        }
    }
}
