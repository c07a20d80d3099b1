//! Leases: what replicas of a manager show each other that they live.

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use runner_core::Result;

use super::{Cluster, failed, gone, name_of};
use crate::record::labels;

/// What the label of the kind says of a Lease.
const KIND: &str = "replica";

impl Cluster {
    fn leases(&self, namespace: &str) -> Api<Lease> {
        Api::namespaced(self.client(), namespace)
    }

    /// The Leases that `selector` matches. One try: whoever asks comes back.
    pub(crate) async fn list_leases(&self, namespace: &str, selector: &str) -> Result<Vec<Lease>> {
        let listed = self.leases(namespace).list(&ListParams::default().labels(selector)).await;
        listed.map(|list| list.items).map_err(|error| failed("list the Leases of replicas", error))
    }

    /// Makes a Lease, or replaces the one that `known` is.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](runner_core::ErrorKind::Conflict) where another one of that name is there,
    /// [`ErrorKind::NotFound`](runner_core::ErrorKind::NotFound) where the known one is there no more.
    pub(crate) async fn renew_lease(
        &self,
        namespace: &str,
        wanted: &Renewal<'_>,
        known: Option<&Lease>,
    ) -> Result<Lease> {
        let (api, parameters) = (self.leases(namespace), PostParams::default());
        let mut lease = wanted.lease();
        let renewed = match known {
            Some(known) => {
                lease.metadata.resource_version.clone_from(&known.metadata.resource_version);
                api.replace(wanted.name, &parameters, &lease).await
            }
            None => api.create(&parameters, &lease).await,
        };
        renewed.map_err(|error| failed("renew the Lease of this replica", error))
    }

    /// The Lease of that name.
    pub(crate) async fn lease(&self, namespace: &str, name: &str) -> Result<Option<Lease>> {
        let found = self.leases(namespace).get_opt(name).await;
        found.map_err(|error| failed("look at the Lease of this replica", error))
    }

    /// Removes a Lease, unless it changed since.
    pub(crate) async fn delete_lease(&self, namespace: &str, lease: &Lease) -> Result<()> {
        let version = lease.metadata.resource_version.clone();
        let preconditions = kube::api::Preconditions { resource_version: version, uid: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let name = name_of(lease.metadata.name.as_deref());
        let deleted = self.leases(namespace).delete(name, &parameters).await;
        gone(deleted, "remove the Lease of a replica").map(drop)
    }
}

/// What a Lease says.
#[derive(Debug)]
pub(crate) struct Renewal<'a> {
    pub(crate) name: &'a str,
    /// Whose replicas these are.
    pub(crate) manager: &'a str,
    /// Which process holds it.
    pub(crate) holder: &'a str,
    /// After how long without a renewal it is over.
    pub(crate) seconds: i32,
}

impl Renewal<'_> {
    fn lease(&self) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.to_owned()),
                labels: Some(labels(self.manager, KIND)),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.holder.to_owned()),
                lease_duration_seconds: Some(self.seconds),
                renew_time: Some(MicroTime(Timestamp::now())),
                ..LeaseSpec::default()
            }),
        }
    }
}
