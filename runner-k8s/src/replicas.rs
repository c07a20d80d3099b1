//! Several managers that share the jobs of one config: who of them lives, and whose a job is.
//!
//! Each holds a Lease and renews it; a label of a job's Secret names the one that has the job. Whoever finds a holder
//! ended takes its jobs by writing itself into that label, which only one can do: the Secret must be as it was read. So
//! nothing of a job is done by two, but where the first of them did not notice that it was given up; and that one ends
//! its part at the next thing that it stores.

use std::{
    process,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Secret};
use runner_core::{Error, ErrorKind, Result};
use tokio::{
    sync::{OnceCell, watch},
    time::{Instant, sleep, timeout},
};

use tokio_util::sync::CancellationToken;

use crate::{
    api::{Cluster, leases::Renewal},
    record::{MANAGER, digest},
    settings::dns_label,
};

mod members;

use members::Members;

/// The label of a Secret that names who has the job.
pub(crate) const REPLICA: &str = "runner.dev/replica";

/// How often a Lease is renewed, and those of others are looked at.
const INTERVAL: Duration = Duration::from_secs(3);

/// How long a replica lives without a renewal that is seen. With what an interval and the adoption take besides, jobs have
/// another manager within 15 seconds.
const EXPIRY: Duration = Duration::from_secs(9);

/// How long a request may take before the next one.
const PATIENCE: Duration = Duration::from_secs(5);

/// When the Lease of one that ended is removed.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// Letters of a replica's name that are shown.
const SHOWN: usize = 30;

/// The replicas of a manager, of which this process is one.
#[derive(Debug)]
pub(crate) struct Replicas {
    cluster: Cluster,
    namespace: String,
    manager: String,
    /// The name of the Lease.
    lease: String,
    /// What the label says of jobs of this process.
    owner: String,
    /// Whether others can be known of, once it is known.
    begun: OnceCell<bool>,
    state: Mutex<State>,
    /// Counts how often others were found ended.
    ended: watch::Sender<u64>,
    left: CancellationToken,
}

#[derive(Debug)]
struct State {
    members: Members,
    own: Option<Lease>,
    renewed: Instant,
    /// As often had others ended when jobs were last listed.
    listed_at: u64,
}

impl Replicas {
    /// The replica `name` of `manager`, whose Leases are in `namespace`.
    pub(crate) fn new(cluster: Cluster, namespace: &str, manager: &str, name: &str) -> Self {
        let sum = digest(&[manager, name]);
        let shown: String = dns_label(name).chars().take(SHOWN).collect();
        let id = format!("{}-{sum}", shown.trim_matches('-'));
        Self {
            cluster,
            namespace: namespace.to_owned(),
            manager: manager.to_owned(),
            lease: format!("runner-replica-{}", id.trim_start_matches('-')),
            owner: format!("{}.{}", id.trim_start_matches('-'), incarnation()),
            begun: OnceCell::new(),
            state: Mutex::new(State {
                members: Members::new(EXPIRY),
                own: None,
                renewed: Instant::now(),
                listed_at: 0,
            }),
            ended: watch::Sender::new(0),
            left: CancellationToken::new(),
        }
    }

    /// What the label of this process's jobs says; `None` where this manager cannot know of others.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.begun.get().is_some_and(|shares| *shares).then_some(&self.owner)
    }

    /// Lets others know of this process, before it has any job. Without the right to, it is alone.
    ///
    /// # Errors
    /// Where that does not work now; whoever asks comes back.
    pub(crate) async fn begin(&self) -> Result<()> {
        let begun = self.begun.get_or_try_init(|| async {
            match self.renew().await {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::Unauthorized => {
                    tracing::info!(
                        namespace = self.namespace,
                        "only one manager at a time may run this config: there is no right to Leases"
                    );
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        });
        begun.await.map(drop)
    }

    /// Goes on with the renewal until this replica leaves. Calls `lapsed` when others may have taken jobs of this process.
    pub(crate) async fn keep<F: Future<Output = ()>>(&self, lapsed: impl Fn() -> F) {
        tokio::select! {
            biased;
            () = self.left.cancelled() => {}
            () = self.keep_on(lapsed) => {}
        }
    }

    async fn keep_on<F: Future<Output = ()>>(&self, lapsed: impl Fn() -> F) {
        loop {
            sleep(INTERVAL).await;
            let Some(owner) = self.owner() else { continue };
            let since = self.state().renewed.elapsed();
            match in_time(self.renew()).await {
                Ok(()) if since > EXPIRY => {
                    tracing::warn!(
                        replica = owner,
                        ?since,
                        "this manager was given up by others for a while"
                    );
                    lapsed().await;
                }
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(replica = owner, error = error.chain(), "the Lease is not renewed");
                    continue;
                }
            }
            if let Err(error) = in_time(self.look()).await {
                tracing::warn!(replica = owner, error = error.chain(), "other managers are not seen");
            }
        }
    }

    async fn renew(&self) -> Result<()> {
        let known = self.state().own.clone();
        let renewed = match self.renew_known(known.as_ref()).await {
            // There is one of an earlier process, or an earlier try was applied whose answer was lost.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let found = self.cluster.lease(&self.namespace, &self.lease).await?;
                if known.is_some() && found.as_ref().and_then(holder) != Some(&self.owner) {
                    tracing::error!(
                        lease = self.lease,
                        "another manager runs under the same name, or removed the Lease of this one"
                    );
                }
                self.renew_known(found.as_ref()).await?
            }
            Err(error) if error.kind() == ErrorKind::NotFound && known.is_some() => {
                self.renew_known(None).await?
            }
            renewed => renewed?,
        };
        let mut state = self.state();
        state.own = Some(renewed);
        state.renewed = Instant::now();
        Ok(())
    }

    async fn renew_known(&self, known: Option<&Lease>) -> Result<Lease> {
        let seconds = i32::try_from(EXPIRY.as_secs()).unwrap_or(i32::MAX);
        let renewal = Renewal { name: &self.lease, manager: &self.manager, holder: &self.owner, seconds };
        self.cluster.renew_lease(&self.namespace, &renewal, known).await
    }

    /// Looks who lives.
    pub(crate) async fn look(&self) -> Result<()> {
        let selector = format!("{MANAGER}={}", self.manager);
        let leases = self.cluster.list_leases(&self.namespace, &selector).await?;
        let (ended, forgotten) = {
            let seen = leases.iter().filter_map(|lease| {
                let version = lease.metadata.resource_version.as_deref().unwrap_or_default();
                Some((holder(lease)?, version))
            });
            let mut state = self.state();
            let now = Instant::now();
            (state.members.see(seen, now), state.members.silent_for(FORGOTTEN, now))
        };
        if !ended.is_empty() {
            tracing::info!(replicas = ended.join(" "), "managers have ended: their jobs are taken over");
            self.ended.send_modify(|count| *count += 1);
        }
        for lease in leases.iter().filter(|lease| holder(lease).is_some_and(|it| forgotten.contains(it))) {
            self.cluster.delete_lease(&self.namespace, lease).await?;
        }
        Ok(())
    }

    /// Jobs are about to be listed.
    pub(crate) fn note_list(&self) {
        self.state().listed_at = *self.ended.borrow();
    }

    /// Waits until others have ended since jobs were last listed. Cancel safe.
    pub(crate) async fn wait_for_orphans(&self) {
        let listed_at = self.state().listed_at;
        let mut ended = self.ended.subscribe();
        // The sender lives as long as `self`.
        drop(ended.wait_for(|count| *count != listed_at).await);
    }

    /// Whether a Secret is of a job, or points to one, that a process goes on with: this one, or one that lives as far as
    /// was seen.
    pub(crate) fn has_living_owner(&self, secret: &Secret) -> bool {
        let (Some(own), Some(owner)) = (self.owner(), owner_of(secret)) else { return false };
        owner == own || self.state().members.lives(owner, Instant::now())
    }

    /// Whether the job of a Secret is this process's. Where this manager cannot know of others, every job is.
    pub(crate) fn is_own(&self, secret: &Secret) -> bool {
        self.owner().is_none_or(|own| owner_of(secret).is_some_and(|owner| owner == own))
    }

    /// Whether a Secret that was this process's is somebody else's.
    pub(crate) fn was_taken(&self, secret: &Secret) -> bool {
        self.owner().is_some_and(|own| owner_of(secret).is_some_and(|owner| owner != own))
    }

    /// Tells the others that this process has ended.
    pub(crate) async fn leave(&self) {
        self.left.cancel();
        // Renewed or not meanwhile: it goes.
        let own = self.state().own.take().map(|mut own| {
            own.metadata.resource_version = None;
            own
        });
        if let Some(own) = own
            && let Err(error) = self.cluster.delete_lease(&self.namespace, &own).await
        {
            tracing::warn!(error = error.chain(), "other managers learn only later that this one has ended");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_time(request: impl Future<Output = Result<()>>) -> Result<()> {
    let late = || Error::new(ErrorKind::TimedOut, "hear from the API server");
    timeout(PATIENCE, request).await.unwrap_or_else(|_| Err(late()))
}

/// Who has the job of a Secret.
fn owner_of(secret: &Secret) -> Option<&String> {
    secret.metadata.labels.as_ref().and_then(|labels| labels.get(REPLICA))
}

/// Writes into a Secret who has its job.
pub(crate) fn set_owner(secret: &mut Secret, owner: Option<&str>) {
    let labels = secret.metadata.labels.get_or_insert_default();
    match owner {
        Some(owner) => drop(labels.insert(REPLICA.to_owned(), owner.to_owned())),
        None => drop(labels.remove(REPLICA)),
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    lease.spec.as_ref()?.holder_identity.as_ref()
}

/// Tells this process from an earlier one under the same name.
fn incarnation() -> &'static str {
    static INCARNATION: OnceLock<String> = OnceLock::new();
    INCARNATION.get_or_init(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        digest(&[&process::id().to_string(), &now.to_string()])
    })
}
