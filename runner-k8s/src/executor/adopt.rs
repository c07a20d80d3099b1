//! Going on with the jobs of an earlier process.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use k8s_openapi::api::core::v1::Secret;
use runner_core::{
    Error, ErrorKind, FailureReason, JobContext, JobHandle, JobId, JobLease, JobOutcome, JobReport, JobSpec,
    Result,
    report::{ACCEPTANCE, accept},
    source::{LogAck, LogReply},
};

use super::{
    KubernetesSettings, Shared,
    job::KubernetesJob,
    start::{Launch, launch, leftovers, services_secret},
};
use crate::{
    api::Cluster,
    pointer::Pointer,
    record::{Ending, Stored, secret_name, selector_of_jobs},
    removal::{Leftovers, remove},
    replicas::set_owner,
    settings::JobSettings,
};

/// How long a source is asked that does not answer, before the job is left for the next try.
pub(super) const ONE_TRY: Duration = Duration::from_secs(4);

/// The jobs that are stored in the cluster, but for those that run here.
pub(super) async fn list(shared: &Shared) -> Result<Vec<JobHandle>> {
    let home = shared.home();
    if let Some(replicas) = &shared.replicas {
        replicas.note_list();
    }
    let secrets = shared.cluster.list_secrets(home, &selector_of_jobs(&shared.settings.manager)).await?;
    if let Some(replicas) = shared.replicas.as_ref().filter(|replicas| replicas.owner().is_some()) {
        // After the Secrets: whoever has one of them had a Lease before.
        replicas.look().await?;
    }
    // A job has its slot before its Secret, which may not be complete yet.
    let ours = shared.secrets();
    let mut handles = Vec::new();
    for secret in secrets {
        let name = secret.metadata.name.clone().unwrap_or_default();
        if ours.contains(&name) || is_gone_on_with(shared, &secret) {
            continue;
        }
        match find_one(shared, secret).await {
            Ok(Some(handle)) => handles.push(handle),
            // It was not stored as a whole, so it was not accepted.
            Ok(None) => shared.cluster.delete_secret(home, &name).await?,
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                tracing::warn!(
                    secret = name,
                    error = error.chain(),
                    "a Secret that looks like a job is none, or its job cannot be read"
                );
            }
        }
    }
    Ok(handles)
}

/// Whether a manager that lives goes on with a job.
fn is_gone_on_with(shared: &Shared, secret: &Secret) -> bool {
    shared.replicas.as_ref().is_some_and(|replicas| replicas.has_living_owner(secret))
}

fn is_own(shared: &Shared, secret: &Secret) -> bool {
    shared.replicas.as_ref().is_none_or(|replicas| replicas.is_own(secret))
}

/// The job of a Secret at home, or that it points to; `None` where a part of it is missing.
async fn find_one(shared: &Shared, secret: Secret) -> Result<Option<JobHandle>> {
    let Some(pointer) = Pointer::of(&secret)? else { return read(shared, Stored::of(secret)?).await };
    let Pointer { namespace, namespace_is_own, secret } = pointer;
    if let Some(found) = shared.cluster.secret(&namespace, &secret).await? {
        if let Some(handle) = read(shared, Stored { namespace_is_own, ..Stored::of(found)? }).await? {
            return Ok(Some(handle));
        }
        shared.cluster.delete_secret(&namespace, &secret).await?;
    }
    if namespace_is_own {
        shared.cluster.delete_namespace(&namespace).await?;
    }
    Ok(None)
}

/// The job that is stored; `None` where a part of it is missing.
async fn read(shared: &Shared, stored: Stored) -> Result<Option<JobHandle>> {
    let mut others = Vec::new();
    for name in stored.names().iter().skip(1) {
        match shared.cluster.secret(&stored.namespace, name).await? {
            Some(other) => others.push(other),
            None => return Ok(None),
        }
    }
    let saved = stored.lease(&others)?;
    let handle = JobHandle { job: saved.job.id.clone(), saved: Some(saved) };
    let mut listed = shared.listed.lock().unwrap_or_else(PoisonError::into_inner);
    listed.insert(handle.job.clone(), stored);
    Ok(Some(handle))
}

/// Goes on with a job of an earlier process, unless another manager does. A source that does not answer is asked for as
/// long as `patience`.
pub(super) async fn adopt(
    shared: &Arc<Shared>,
    id: &JobId,
    lease: JobLease,
    (context, patience): (JobContext, Duration),
) -> Result<Arc<KubernetesJob>> {
    let listed = shared.listed.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    let stored = match listed {
        Some(stored) => stored,
        None => find(shared, id).await?,
    };
    if !is_own(shared, &stored.secret) && is_gone_on_with(shared, &stored.secret) {
        return Err(quicker());
    }
    go_on(shared, stored, lease, (context, patience)).await
}

fn quicker() -> Error {
    Error::new(ErrorKind::NotFound, "take the job over before another manager")
}

/// Goes on with a job that its source has handed out again, whoever had it before.
pub(super) async fn restart(
    shared: &Arc<Shared>,
    lease: JobLease,
    context: JobContext,
) -> Result<Arc<KubernetesJob>> {
    let stored = find(shared, &lease.job.id).await?;
    go_on(shared, stored, lease, (context, ACCEPTANCE)).await
}

async fn go_on(
    shared: &Arc<Shared>,
    stored: Stored,
    lease: JobLease,
    (context, patience): (JobContext, Duration),
) -> Result<Arc<KubernetesJob>> {
    let (settings, unfit) = settings_of(shared, &lease.job);
    let cluster = shared.cluster_of(&settings).await?;
    let stored = claim(shared, &cluster, stored, &lease).await?;
    let wish = match accept(&*lease.report, patience).await {
        Ok(wish) => wish,
        // It does not answer now: the job goes on without us until it does.
        Err(error) if error.is_retryable() => return Err(error),
        Err(error) => {
            // Its source has ended it, or has given it to somebody else.
            let mut left = leftovers(shared, &stored, &settings);
            left.pod = Some(stored.record.pod.clone());
            remove(&cluster, &shared.watches, &left).await?;
            return Err(error);
        }
    };
    let order = stored.order()?;
    let (stored, has_pod) = look_for_pod(shared, stored).await?;
    let is_over = stored.record.ending.is_some() || stored.record.wish.is_some();
    // What the manager says is stored; what the agent said went away with the pod.
    let is_lost = is_over && !has_pod && stored.record.pod_made;
    let unread = if is_lost { Some(size_at_source(&*lease.report).await?) } else { None };
    if !has_pod
        && let Some(secret) = services_secret(&stored, &settings, &shared.settings.manager, &lease.job)
    {
        // An earlier process may have ended between the first Secret and this one.
        cluster.create_secret(&stored.namespace, &secret).await?;
    }
    Ok(launch(
        shared,
        lease,
        context,
        Launch { cluster, settings, unfit, order, stored, wish, has_pod, resumed: true, unread },
    ))
}

/// What counts for the job now. Where the config no longer allows it, a pod that is there is followed to its end all the
/// same, and the error is why there will be no other one.
fn settings_of(shared: &Shared, job: &JobSpec) -> (JobSettings, Option<Error>) {
    let KubernetesSettings { config, runner, .. } = &shared.settings;
    match JobSettings::for_job(config, runner, job) {
        Ok(settings) => (settings, None),
        Err(error) => {
            tracing::warn!(job = %job.id, error = error.chain(), "no pod can be made for a job of an earlier process");
            (JobSettings::to_follow(config, runner, job), Some(error))
        }
    }
}

/// Removes everything of a job that its source knows no more.
pub(super) async fn discard(shared: &Shared, handle: JobHandle) -> Result<()> {
    let listed = shared.listed.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle.job);
    let config = &shared.settings.config;
    let stored = match listed {
        Some(stored) => stored,
        None => match find(shared, &handle.job).await {
            Ok(stored) => stored,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        },
    };
    if !is_own(shared, &stored.secret) && is_gone_on_with(shared, &stored.secret) {
        return Ok(());
    }
    // What the settings of the job would add belongs to its first Secret, and vanishes with it.
    let left = Leftovers {
        namespace: stored.namespace.clone(),
        namespace_is_own: stored.namespace_is_own,
        secrets: stored.names(),
        pointer: shared.pointer_to(&stored.namespace, stored.name()),
        pod: Some(stored.record.pod.clone()),
        grace: Some(config.cleanup_grace_period_seconds.unwrap_or(1)),
        ends_by_itself: false,
        limit: Duration::from_mins(5),
    };
    remove(&shared.cluster, &shared.watches, &left).await
}

/// Looks where a later process would: at home, and where what stands there points to.
async fn find(shared: &Shared, id: &JobId) -> Result<Stored> {
    let gone = || Error::new(ErrorKind::NotFound, "find the job in the cluster").with("job", id);
    let name = secret_name(&shared.settings.manager, id);
    let home = shared.home();
    if let Some(secret) = shared.cluster.secret(home, &name).await? {
        return Stored::of(secret);
    }
    let pointer = shared.cluster.secret(home, &Pointer::name(&name)).await?.ok_or_else(gone)?;
    let Pointer { namespace, namespace_is_own, secret } = Pointer::of(&pointer)?.ok_or_else(gone)?;
    let secret = shared.cluster.secret(&namespace, &secret).await?.ok_or_else(gone)?;
    Ok(Stored { namespace_is_own, ..Stored::of(secret)? })
}

/// The stored job as one of this process, with the lease that it is gone on with: its source may have handed it out again,
/// and whoever comes next must resume the lease that is accepted.
async fn claim(shared: &Shared, cluster: &Cluster, mut stored: Stored, lease: &JobLease) -> Result<Stored> {
    if is_own(shared, &stored.secret) && stored.record.state == lease.saved.state {
        return Ok(stored);
    }
    stored.record.state = lease.saved.state.clone();
    let mut secret = stored.changed(&stored.record, &stored.order()?, lease.remote.as_ref())?;
    set_owner(&mut secret, shared.owner());
    stored.secret = match cluster.replace_secret(&stored.namespace, &secret).await {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            // Another manager was quicker; or an earlier try was applied, and its answer was lost.
            let found = cluster.secret(&stored.namespace, stored.name()).await?;
            found.filter(|found| is_own(shared, found)).ok_or_else(|| quicker().because(error))?
        }
        replaced => replaced?,
    };
    Ok(stored)
}

/// How much of the log the source has. Where it does not say, what is added may not arrive.
async fn size_at_source(report: &dyn JobReport) -> Result<u64> {
    match report.append_log(0, Bytes::new()).await {
        Ok(LogReply { ack: LogAck::UpTo(size) | LogAck::Rewind(size), .. }) => Ok(size),
        Err(error) if error.is_retryable() => Err(error),
        Ok(LogReply { ack: LogAck::Closed, .. }) | Err(_) => Ok(0),
    }
}

/// Whether the job has a pod. Where it had one that is gone, or nobody knows, the job has ended.
async fn look_for_pod(shared: &Shared, mut stored: Stored) -> Result<(Stored, bool)> {
    let (namespace, pod) = (&stored.namespace, &stored.record.pod);
    if shared.cluster.pod(namespace, pod).await?.is_some() {
        stored.record.pod_made = true;
        return Ok((stored, true));
    }
    if stored.record.ending.is_some() || stored.record.wish.is_some() {
        return Ok((stored, false));
    }
    let version = stored.secret.metadata.resource_version.as_deref().unwrap_or_default();
    let was_made = if stored.record.pod_made {
        Some(true)
    } else {
        shared.cluster.was_made(namespace, pod, version).await?
    };
    let message = match was_made {
        Some(false) => return Ok((stored, false)),
        Some(true) => "the pod of the job went away while no manager was there, and left no record",
        None => "no manager was there for so long that nobody knows whether the job had begun",
    };
    let outcome = JobOutcome::failed(FailureReason::RunnerInterrupted, message);
    stored.record.pod_made = true;
    stored.record.ending = Some(Ending { outcome, script_begun: true, line: None });
    Ok((stored, false))
}
