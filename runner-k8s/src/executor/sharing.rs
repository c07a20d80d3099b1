//! What an executor does because other managers share its jobs.

use std::sync::{Arc, Weak};

use super::Shared;
/// Shows others that this process lives, until its executor is dropped.
pub(super) async fn keep(shared: Weak<Shared>) {
    let Some(replicas) = shared.upgrade().and_then(|shared| shared.replicas.clone()) else { return };
    replicas
        .keep(|| async {
            if let Some(shared) = shared.upgrade() {
                give_up_what_was_taken(&shared).await;
            }
        })
        .await;
}

/// Ends our part in each job that somebody has taken over while this process did not renew its Lease.
async fn give_up_what_was_taken(shared: &Arc<Shared>) {
    let Some(replicas) = &shared.replicas else { return };
    for id in shared.jobs.ids() {
        let Some(job) = shared.jobs.find(&id) else { continue };
        let (namespace, secret) = &job.secret;
        match shared.cluster.secret(namespace, secret).await {
            Ok(Some(secret)) if replicas.was_taken(&secret) => job.given_up.cancel(),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(job = %id, error = error.chain(), "nobody knows whose a job is");
            }
        }
    }
}

/// Gives every job to whoever comes next.
pub(super) async fn leave(shared: &Shared) {
    let Some(replicas) = &shared.replicas else { return };
    for id in shared.jobs.ids() {
        if let Some(job) = shared.jobs.find(&id) {
            job.given_up.cancel();
        }
    }
    replicas.leave().await;
}
