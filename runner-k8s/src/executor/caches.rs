//! What is granted to the caches of a job before its pod is made, since nothing in the pod may hold the store's credentials.

use std::{sync::Arc, time::Duration};

use runner_core::{
    CacheScope, JobContext, JobSpec,
    agent::Order,
    cache::CacheGrants,
    job::{CacheSpec, Variable, Variables},
};

use crate::{record::pack, settings::JobSettings};

/// A store that does not answer costs a job no more than this.
const LIMIT: Duration = Duration::from_secs(4);

/// Bytes of what is granted, compressed. The rest of the Secret has 1 MiB less this.
const MOST: usize = 200 << 10;

/// How long a job may live besides its timeout and the time to start: what runs after the script, uploads, and pods that had
/// to be made again.
const MARGIN: Duration = Duration::from_hours(1);

/// What is granted, as it is stored; `None` where the job has no cache. What the job should know of it is put into its log.
pub(super) async fn granted(
    job: &JobSpec,
    context: &JobContext,
    settings: &JobSettings,
    order: &mut Order,
) -> Option<Vec<u8>> {
    let backend = context.cache.as_ref().filter(|_| job.caches.iter().any(CacheSpec::is_any))?;
    let lifetime = settings.start_budget.saturating_add(job.timeout).saturating_add(MARGIN);
    let scope = CacheScope { protected: job.git.protected, ..order.cache_scope.clone() };
    let backend = Arc::clone(backend).lasting(lifetime);
    let variables = variables(job, order);
    let mut grants = CacheGrants::ask(&*backend, &scope, &job.caches, &variables, LIMIT).await;
    if let Some(lasts) = grants.lasts().filter(|lasts| *lasts < job.timeout) {
        let text = format!(
            "WARNING: the right to the cache ends in {} min with the credentials of its store, and the job may run longer: \
             what is saved later than that is lost",
            lasts.as_secs() / 60
        );
        order.greeting.push(text);
    }
    packed(&mut grants, order)
}

/// The text of the grants, with fewer packs to write where all do not fit, and else with none at all.
fn packed(grants: &mut CacheGrants, order: &mut Order) -> Option<Vec<u8>> {
    loop {
        match pack(&grants) {
            Ok(packed) if packed.len() <= MOST => return Some(packed),
            Ok(_) if grants.shrink() => {}
            Ok(packed) if packed.len() > MOST => {
                grants.refuse("grant the caches of the job: a Secret does not hold that much");
                let refused = pack(&grants).ok().filter(|packed| packed.len() <= MOST);
                if refused.is_none() {
                    order.greeting.push("WARNING: the job has too many caches, so it has none".to_owned());
                }
                return refused;
            }
            _ => return None,
        }
    }
}

/// The variables of a job as its agent will have them, as far as that is known here and a key may be made of it.
fn variables(job: &JobSpec, order: &Order) -> Variables {
    let mut all = vec![
        Variable::raw("CI_JOB_NAME", job.name.as_str()),
        Variable::raw("CI_JOB_STAGE", job.stage.as_str()),
        Variable::raw("CI_RUNNER_DESCRIPTION", order.runner.as_str()),
    ];
    all.extend(job.image.as_ref().map(|image| Variable::new("CI_JOB_IMAGE", image.name.as_str())));
    all.extend(job.variables.0.iter().cloned());
    for key in ["CI_CONCURRENT_ID", "CI_CONCURRENT_PROJECT_ID"] {
        all.push(Variable::raw(key, order.slot.to_string()));
    }
    all.push(Variable::raw("CI_BUILDS_DIR", order.builds_dir.as_str()));
    all.push(Variable::raw("CI_JOB_TIMEOUT", job.timeout.as_secs().to_string()));
    Variables(all).expanded()
}
