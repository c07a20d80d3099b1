//! Where a job is that is not in the namespace of the config: a Secret there that points to it, so that a later manager
//! finds it without a right to look into all namespaces.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString, api::core::v1::Secret as KubernetesSecret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use runner_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::{
    record::{KIND, labels},
    replicas::set_owner,
};

/// What the label [`KIND`] of a pointer says.
pub(crate) const POINTER: &str = "pointer";

const KEY: &str = "pointer";

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    /// The namespace of the job.
    pub(crate) namespace: String,
    /// The namespace is the job's own, and goes with it.
    pub(crate) namespace_is_own: bool,
    /// The first Secret of the job.
    pub(crate) secret: String,
}

impl Pointer {
    /// What a Secret of the server points to; `None` where it is none of this kind.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where it cannot be read.
    pub(crate) fn of(secret: &KubernetesSecret) -> Result<Option<Self>> {
        let kind = secret.metadata.labels.as_ref().and_then(|labels| labels.get(KIND));
        if kind.is_none_or(|kind| kind != POINTER) {
            return Ok(None);
        }
        let bytes = secret.data.as_ref().and_then(|data| data.get(KEY)).map(|bytes| bytes.0.as_slice());
        let pointer = serde_json::from_slice(bytes.unwrap_or_default());
        pointer
            .map(Some)
            .map_err(|cause| Error::new(ErrorKind::Corrupt, "read where a job is").because(cause))
    }

    /// The name of the Secret that points to the job with that Secret.
    pub(crate) fn name(secret: &str) -> String {
        format!("{secret}-at")
    }

    /// The Secret, for the namespace of the config; `owner` is the replica that has the job.
    pub(crate) fn to_secret(&self, manager: &str, owner: Option<&str>) -> Result<KubernetesSecret> {
        let text = serde_json::to_vec(self)
            .map_err(|cause| Error::new(ErrorKind::Internal, "write where a job is").because(cause))?;
        let mut secret = KubernetesSecret {
            metadata: ObjectMeta {
                name: Some(Self::name(&self.secret)),
                labels: Some(labels(manager, POINTER)),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(text))])),
            ..KubernetesSecret::default()
        };
        set_owner(&mut secret, owner);
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let pointer =
            Pointer { namespace: "ci-job-7".into(), namespace_is_own: true, secret: "runner-job-7".into() };
        let mut secret = pointer.to_secret("m", None).unwrap();
        assert_eq!(Pointer::of(&secret).unwrap(), Some(pointer));
        secret.data = None;
        assert_eq!(Pointer::of(&secret).unwrap_err().kind(), ErrorKind::Corrupt);
        secret.metadata.labels = Some(labels("m", "job"));
        assert_eq!(Pointer::of(&secret).unwrap(), None);
    }
}
