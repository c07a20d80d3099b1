//! The pods of a job: how the next one is made, watched, read and removed.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use runner_core::{Error, ErrorKind, JobEvent, JobSpec, Result};

use super::{Shared, course::Course, services};
use crate::{
    api::Created,
    channel::{Channel, Served},
    pod::{PodNames, PodPlan, disruption_budget, pod_for},
    record::{Record, digest},
    relay::Relay,
    removal::until_gone,
    watch::FollowedPod,
};

impl Course {
    /// Removes the pod of the attempt before, and waits until it is gone.
    pub(super) async fn remove_replaced(&self) -> Result<()> {
        let (namespace, Some(pod)) = (&self.stored.namespace, &self.stored.record.replaced) else {
            return Ok(());
        };
        let mut followed = self.shared.watches.follow(namespace, pod);
        followed.is_made();
        if let Err(error) = self.cluster.delete_pod(namespace, pod, Some(1)).await {
            tracing::warn!(job = %self.job.id, error = error.chain(), "a pod could not be told to end");
        }
        if self.cluster.pod(namespace, pod).await?.is_none() {
            return Ok(());
        }
        let gone = until_gone(&self.cluster, (namespace, pod), &mut followed);
        tokio::time::timeout(Duration::from_mins(2), gone)
            .await
            .map_err(|_| Error::new(ErrorKind::TimedOut, "see the pod gone").with("pod", pod))?
    }

    /// Does `make` with the plan of the pod of the current attempt.
    fn planned<T>(&self, make: impl FnOnce(&PodPlan<'_>) -> T) -> T {
        let record = &self.stored.record;
        let setup = &self.shared.settings;
        let names = PodNames {
            pod: record.pod.clone(),
            secrets: self.stored.names(),
            owner_uid: self.stored.uid().to_owned(),
            services_secret: services::secret_name(&self.stored, &self.settings),
            pull_secret: self.stored.has_logins().then(|| self.stored.name().to_owned()),
        };
        make(&PodPlan {
            config: &setup.config,
            settings: &self.settings,
            job: &self.job,
            names: &names,
            attempt: record.attempt,
            pull: u32::try_from(record.pull).unwrap_or(u32::MAX).saturating_add(1),
            slot: record.slot,
            runner_token: &setup.token,
            patch_files: &setup.patch_files,
            has_channel: self.order.channel,
        })
    }

    /// The pod of the current attempt.
    pub(super) fn pod(&mut self) -> Result<Pod> {
        if let Some(error) = self.unfit.take() {
            return Err(error);
        }
        let mut pod = self.planned(pod_for)?;
        let labels = crate::record::labels(&self.shared.settings.manager, "pod");
        pod.metadata.labels.get_or_insert_default().extend(labels);
        Ok(pod)
    }

    pub(super) async fn create(&self, pod: &Pod) -> Result<Created<Pod>, kube::Error> {
        self.cluster.create_pod(&self.stored.namespace, pod).await
    }

    /// Makes the budget that lets a drain of the node wait for the job, where the config asks for it. A job runs without
    /// it as well.
    pub(super) async fn protect(&self) {
        let Some(budget) = self.planned(disruption_budget) else { return };
        if let Err(error) = self.cluster.create_budget(&self.stored.namespace, &budget).await {
            self.event(JobEvent::Notice(format!(
                "a drain does not wait for the job: failed to {}",
                error.chain()
            )));
        }
    }

    /// The warnings that the cluster has about the pod and that were not shown, where the config asks for them.
    pub(super) async fn warnings(&mut self) -> Vec<String> {
        if !self.settings.shows_events {
            return Vec::new();
        }
        let told = self.cluster.warnings(&self.stored.namespace, &self.stored.record.pod).await;
        let mut lines =
            told.unwrap_or_else(|error| vec![format!("events are not shown: failed to {}", error.chain())]);
        lines.retain(|line| !self.shown.contains(line));
        self.shown.extend(lines.iter().cloned());
        lines
    }

    pub(super) fn follow(&self) -> FollowedPod {
        self.shared.watches.follow(&self.stored.namespace, &self.stored.record.pod)
    }

    pub(super) fn relay(&self, container: &'static str) -> Relay {
        let (namespace, pod) = (self.stored.namespace.clone(), self.stored.record.pod.clone());
        Relay::follow(self.cluster.clone(), namespace, pod, container)
    }

    /// Serves the side channel of the pod, where there is one.
    pub(super) fn serve_channel(&self) -> Option<Channel> {
        let shipper = self.shared.settings.channel.as_ref().filter(|_| self.order.channel)?;
        let (namespace, pod) = (self.stored.namespace.clone(), self.stored.record.pod.clone());
        let served = Served {
            job: Arc::clone(&self.job),
            artifacts: Arc::clone(&self.artifacts),
            shipper: Arc::clone(shipper),
            events: self.context.events.clone(),
        };
        Some(Channel::serve(self.cluster.clone(), namespace, pod, served))
    }

    /// Tells the pod to end. What is not there ends by itself.
    pub(super) async fn delete_pod(&self, grace: Option<u32>) {
        let (namespace, pod) = (&self.stored.namespace, &self.stored.record.pod);
        if self.has_pod
            && let Err(error) = self.cluster.delete_pod(namespace, pod, grace).await
        {
            tracing::warn!(job = %self.job.id, error = error.chain(), "a pod could not be told to end");
        }
    }
}

/// The name of the pod of an attempt: the same for the same attempt.
pub(super) fn pod_name(shared: &Shared, job: &JobSpec, secret: &str, record: &Record) -> String {
    let random = digest(&[secret, &record.attempt.to_string(), record.state.expose()]);
    crate::pod::name(&shared.settings.token, job.project.id, record.slot, &random)
}
