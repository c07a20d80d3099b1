//! Completes what a job runs with what is known only when it is handed out.

use runner_core::{
    Secret,
    job::{Dependency, JobSpec, Variable, Variables},
};

use super::{Facts, run::Run};
use crate::{expansion::expand_all, predefined::short};

/// The job of number `index` as it is handed out.
pub(super) fn of_job(run: &Run, facts: &Facts, index: usize) -> Option<JobSpec> {
    let (job, state) = (&run.pipeline.jobs[index], run.job(index)?);
    let givers = run.givers(index);
    let mut variables = facts.predefined.of_job(job, &state.id, run.graph.instances[index]);
    checkout(&mut variables, facts);
    variables.0.extend(run.pipeline.name.iter().map(|name| Variable::raw("CI_PIPELINE_NAME", name)));
    variables.0.extend(job.spec.variables.0.iter().cloned());
    // Dotenv reports count more than the file, and less than what the user gave.
    variables.0.extend(givers.iter().flat_map(|(_, giver)| giver.dotenv.iter().cloned()));
    variables.0.extend(facts.variables.0.iter().cloned());
    let git = match &facts.snapshot {
        Some(snapshot) => snapshot.git_info(depth(&variables)),
        None => job.spec.git.clone(),
    };
    let mut spec = job.spec.clone();
    spec.id = state.id.clone();
    spec.token = Secret::default();
    spec.name.clone_from(&job.name);
    spec.stage.clone_from(&job.stage);
    spec.project = facts.predefined.project.clone();
    spec.git = git;
    spec.variables = expand_all(variables);
    spec.dependencies = givers
        .into_iter()
        .map(|(giver, state)| Dependency {
            id: Some(state.id.clone()),
            name: giver.name.clone(),
            token: Secret::default(),
            file: state.archive.clone(),
        })
        .collect();
    spec.features.sections = true;
    spec.queued = state.queued();
    Some(spec)
}

/// Variables of what is checked out.
fn checkout(variables: &mut Variables, facts: &Facts) {
    let Some(snapshot) = &facts.snapshot else { return };
    variables.push(Variable { public: false, ..Variable::raw("CI_REPOSITORY_URL", snapshot.url()) });
    // Before the first commit the snapshot is one.
    if variables.value("CI_COMMIT_SHA").is_empty() {
        variables.push(Variable::raw("CI_COMMIT_SHA", snapshot.sha()));
        variables.push(Variable::raw("CI_COMMIT_SHORT_SHA", short(snapshot.sha())));
    }
}

/// What `GIT_DEPTH` says; `None` where it says nothing that is a number.
fn depth(variables: &Variables) -> Option<u32> {
    variables.value("GIT_DEPTH").trim().parse().ok()
}
