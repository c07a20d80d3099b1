//! Starting a job: it is stored, then accepted, and then its task makes the pod.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::{
    ByteString,
    api::core::v1::{Namespace, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use runner_core::{
    CacheScope, Error, JobContext, JobEvent, JobHandle, JobLease, JobSpec, Result,
    agent::{LogStart, Order, Reports},
    log::{LogSpool, MemorySpool},
    outcome::LogDigest,
    report::{ACCEPTANCE, Reporter, accept},
    source::Wish,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Shared, caches,
    course::{Course, Reporting, journal_of},
    job::KubernetesJob,
    pods::pod_name,
    services,
    stop::{Wished, Wishes},
};
use crate::{
    api::{Cluster, Created},
    journal::Journal,
    pointer::Pointer,
    record::{Record, Stored, Storing, labels},
    removal::{Leftovers, remove},
    settings::JobSettings,
};

/// The log waits here until its source has taken it.
const SPOOL: usize = 2 << 20;

/// How long a job may go on after it was asked to stop, besides its own timeout.
const PATIENCE: Duration = Duration::from_mins(15);

/// Half of what a kubelet keeps of a container's log by default.
const MOST_KEPT: u64 = 5 << 20;

/// Starts a job. Where that fails nothing is left of it.
pub(super) async fn start(
    shared: &Arc<Shared>,
    lease: JobLease,
    context: JobContext,
) -> Result<Arc<KubernetesJob>> {
    shared.begin_sharing().await?;
    let setup = &shared.settings;
    let settings = JobSettings::for_job(&setup.config, &setup.runner, &lease.job)?;
    warn_of_limit(&lease.job, &context);
    let cluster = shared.cluster_of(&settings).await?;
    let mut order = order(shared, &lease, &settings, &context);
    let caches = caches::granted(&lease.job, &context, &settings, &mut order).await;
    let Some(stored) = store(shared, &cluster, &lease, &context, (&settings, &order, caches)).await? else {
        // An earlier process has stored it: the same job is gone on with.
        let handle = JobHandle { job: lease.job.id.clone(), saved: None };
        let adopted = super::adopt::restart(shared, lease, context).await;
        if adopted.is_err()
            && let Err(error) = super::adopt::discard(shared, handle).await
        {
            tracing::warn!(error = error.chain(), "a job that could not be gone on with is left");
        }
        return adopted;
    };
    let wish = match accept(&*lease.report, ACCEPTANCE).await {
        Ok(wish) => wish,
        Err(error) => {
            let leftovers = leftovers(shared, &stored, &settings);
            if let Err(error) = remove(&cluster, &shared.watches, &leftovers).await {
                tracing::warn!(error = error.chain(), "a job that was not accepted left its Secret");
            }
            return Err(error);
        }
    };
    Ok(launch(
        shared,
        lease,
        context,
        Launch {
            cluster,
            settings,
            unfit: None,
            order,
            stored,
            wish,
            has_pod: false,
            resumed: false,
            unread: None,
        },
    ))
}

/// What the task of a job begins with.
pub(super) struct Launch {
    pub(super) cluster: Cluster,
    pub(super) settings: JobSettings,
    /// Why no pod can be made for it any more.
    pub(super) unfit: Option<Error>,
    pub(super) order: Order,
    pub(super) stored: Stored,
    pub(super) wish: Wish,
    pub(super) has_pod: bool,
    /// An earlier process has begun it.
    pub(super) resumed: bool,
    /// So many bytes of the log the source has that cannot be read again.
    pub(super) unread: Option<u64>,
}

/// Starts the task of a job.
pub(super) fn launch(
    shared: &Arc<Shared>,
    lease: JobLease,
    context: JobContext,
    launch: Launch,
) -> Arc<KubernetesJob> {
    let Launch { cluster, settings, unfit, order, stored, wish, has_pod, resumed, unread } = launch;
    let JobLease { job, report, artifacts, saved, remote: _ } = lease;
    let before = unread.unwrap_or(stored.record.before.size);
    let spool: Arc<dyn LogSpool> = Arc::new(MemorySpool::bounded(SPOOL).starting_at(before));
    let reporter = Reporter::new(report, Arc::clone(&spool), context.log.interval);
    let reporter = Arc::new(if resumed { reporter.resumed(before) } else { reporter });
    reporter.note(wish);
    let wishes = Wishes::new(stored.record.wish.map(Wished::stored));
    let leftovers = Arc::new(Mutex::new(Leftovers {
        pod: has_pod.then(|| stored.record.pod.clone()),
        ..leftovers(shared, &stored, &settings)
    }));
    let (sender, end) = watch::channel(None);
    let done = CancellationToken::new();
    let journal = journal(&spool, &stored.record, context.log.timestamps, unread);
    let given_up = CancellationToken::new();
    let running = Arc::new(KubernetesJob {
        id: job.id.clone(),
        secret: (stored.namespace.clone(), stored.name().to_owned()),
        saved,
        shared: Arc::downgrade(shared),
        cluster: cluster.clone(),
        wishes: wishes.clone(),
        spool,
        leftovers: Arc::clone(&leftovers),
        done: done.clone(),
        given_up: given_up.clone(),
        end,
    });
    let notices = settings.warnings.iter().cloned().map(JobEvent::Notice);
    notices.for_each(|notice| context.events.job(&job.id, notice));
    let said_before = stored.record.inserted.last().filter(|_| resumed).map(|last| last.text.clone());
    let course = Course {
        shared: Arc::clone(shared),
        cluster,
        job,
        artifacts,
        settings,
        unfit,
        stored,
        order,
        context,
        reporter,
        journal,
        wish: wishes.subscribe(),
        wishes,
        leftovers,
        has_pod,
        start_by: None,
        said: None,
        shown: Vec::new(),
        log_is_unknown: unread.is_some(),
        log_differs: false,
        waits_for: None,
        said_before,
        trouble: None,
        given_up,
    };
    spawn(course, Reporting { end: sender, done }, Arc::clone(&running));
    running
}

/// The log as far as it is known, of which the source has `unread` bytes that are not.
fn journal(spool: &Arc<dyn LogSpool>, record: &Record, timestamps: bool, unread: Option<u64>) -> Journal {
    match unread {
        Some(size) => Journal::unread(Arc::clone(spool), timestamps, size),
        None => journal_of(record, Arc::clone(spool), timestamps),
    }
}

/// Starts the task of a job, which ends at once where the job is given up.
fn spawn(course: Course, reporting: Reporting, job: Arc<KubernetesJob>) {
    let shared = Arc::clone(&course.shared);
    let table = shared.jobs.clone();
    shared.tasks.spawn(async move {
        tokio::select! {
            biased;
            () = job.given_up.cancelled() => table.forget(&job.id, &job),
            () = course.run(reporting) => {}
        }
    });
}

/// Stores a job. `None` where it is stored already.
async fn store(
    shared: &Shared,
    cluster: &Cluster,
    lease: &JobLease,
    context: &JobContext,
    (settings, order, caches): (&JobSettings, &Order, Option<Vec<u8>>),
) -> Result<Option<Stored>> {
    let (manager, namespace) = (&shared.settings.manager, &settings.namespace);
    let job = &lease.job;
    let mut record = Record {
        runner: lease.saved.runner.clone(),
        state: lease.saved.state.clone(),
        slot: context.slot,
        parts: 0,
        pod: String::new(),
        attempt: 1,
        pull: 0,
        before: LogDigest::default(),
        inserted: Vec::new(),
        pod_made: false,
        replaced: None,
        wish: None,
        ending: None,
    };
    let name = crate::record::secret_name(manager, &job.id);
    record.pod = pod_name(shared, job, &name, &record);
    let values = services::own_variables(job, settings);
    let (first, others) = Storing {
        namespace,
        manager,
        owner: shared.owner(),
        job,
        order,
        remote: lease.remote.as_ref(),
        record,
        caches,
        values,
    }
    .secrets()?;
    let Some(first) = make_first(shared, cluster, settings, &first).await? else { return Ok(None) };
    let stored = Stored { namespace_is_own: settings.namespace_is_own, ..Stored::of(first)? };
    let mut more = others;
    more.extend(services_secret(&stored, settings, manager, job));
    for mut other in more {
        other.metadata.owner_references = Some(vec![stored.as_owner()]);
        if let Err(error) = cluster.create_secret(namespace, &other).await {
            // It owns the others, so that they vanish with it.
            drop(cluster.delete_secret(namespace, stored.name()).await);
            return Err(error);
        }
    }
    Ok(Some(stored))
}

/// Makes the Secret that is the job, and before it what points to it and the namespace. `None` where it is there already.
async fn make_first(
    shared: &Shared,
    cluster: &Cluster,
    settings: &JobSettings,
    first: &Secret,
) -> Result<Option<Secret>> {
    let (manager, namespace) = (&shared.settings.manager, &settings.namespace);
    let namespace_is_own = settings.namespace_is_own;
    let secret = first.metadata.name.clone().unwrap_or_default();
    let pointer = shared.pointer_to(namespace, &secret);
    if let Some((home, _)) = &pointer {
        let pointer = Pointer { namespace: namespace.clone(), namespace_is_own, secret };
        cluster.create_secret(home, &pointer.to_secret(manager, shared.owner())?).await?;
    }
    let making = async {
        if namespace_is_own {
            cluster.create_namespace(&own_namespace(namespace, manager)).await?;
        }
        cluster.create_secret(namespace, first).await
    };
    match making.await {
        Ok(Created::New(first)) => Ok(Some(first)),
        Ok(Created::Exists) => Ok(None),
        Err(error) => {
            // Where nobody knows whether it was made, a later process that finds what points to it looks.
            if let Some((home, name)) = pointer
                && !error.is_retryable()
            {
                let emptied = async {
                    if namespace_is_own {
                        cluster.delete_namespace(namespace).await?;
                    }
                    cluster.delete_secret(&home, &name).await
                };
                if let Err(error) = emptied.await {
                    tracing::warn!(error = error.chain(), "what points to a job that was not stored is left");
                }
            }
            Err(error)
        }
    }
}

/// Says it where the log of the job may outgrow what a kubelet keeps of it.
fn warn_of_limit(job: &JobSpec, context: &JobContext) {
    if context.log.size > MOST_KEPT {
        let text = format!(
            "a log may have {} bytes, which is more than half of what a kubelet keeps by default: the middle of a long \
             one may be lost where a manager takes over",
            context.log.size
        );
        context.events.job(&job.id, JobEvent::Notice(text));
    }
}

/// What the services of a job get; `None` where it has none.
pub(super) fn services_secret(
    stored: &Stored,
    settings: &JobSettings,
    manager: &str,
    job: &JobSpec,
) -> Option<Secret> {
    let name = services::secret_name(stored, settings)?;
    let data = services::variables(job).into_iter().map(|(key, value)| (key, ByteString(value.into_bytes())));
    Some(Secret {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(stored.namespace.clone()),
            labels: Some(labels(manager, "services")),
            owner_references: Some(vec![stored.as_owner()]),
            ..ObjectMeta::default()
        },
        data: Some(data.collect()),
        ..Secret::default()
    })
}

fn own_namespace(name: &str, manager: &str) -> Namespace {
    let labels = Some(labels(manager, "namespace"));
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels, ..ObjectMeta::default() };
    Namespace { metadata, ..Namespace::default() }
}

/// What is to be removed of a job that has no pod yet.
pub(super) fn leftovers(shared: &Shared, stored: &Stored, settings: &JobSettings) -> Leftovers {
    Leftovers {
        namespace: stored.namespace.clone(),
        namespace_is_own: stored.namespace_is_own,
        // Those that it owns vanish with it, but whoever cleans up wants to see them gone.
        secrets: stored.names().into_iter().chain(services::secret_name(stored, settings)).collect(),
        pointer: shared.pointer_to(&stored.namespace, stored.name()),
        pod: None,
        grace: Some(settings.delete_grace.unwrap_or(1)),
        ends_by_itself: false,
        limit: settings.cleanup_timeout,
    }
}

/// What the agent can say by itself: of services only the manager can.
fn reports(job: &JobSpec, settings: &JobSettings) -> Reports {
    if settings.services.is_empty() {
        Reports::LogAndEnd
    } else if job.variables.is_true("CI_DEBUG_SERVICES") {
        Reports::Log
    } else {
        Reports::LogAndSuccess
    }
}

fn order(shared: &Shared, lease: &JobLease, settings: &JobSettings, context: &JobContext) -> Order {
    let job = &lease.job;
    let project = match job.project.id {
        0 => job.project.name.clone(),
        project => project.to_string(),
    };
    let image = &settings.build.image;
    let mut greeting = vec![format!("Using image {image} in namespace {}", settings.namespace)];
    greeting.extend(settings.warnings.iter().map(|warning| format!("WARNING: {warning}")));
    Order {
        attempt: 1,
        executor: "kubernetes".into(),
        runner: context.runner.clone(),
        slot: context.slot,
        greeting,
        log: context.log,
        builds_dir: settings.builds_dir.clone(),
        start_budget: settings.start_budget,
        grace: shared.settings.grace,
        patience: job.timeout.max(PATIENCE),
        debug_trace_disabled: shared.settings.debug_trace_disabled,
        cache_scope: CacheScope { runner: String::new(), project, protected: job.git.protected },
        channel: shared.settings.channel.is_some(),
        services: services::awaited(settings),
        reports: match &lease.remote {
            Some(remote) if shared.settings.can_report(remote) => reports(job, settings),
            _ => Reports::Nothing,
        },
        log_start: LogStart::default(),
    }
}
