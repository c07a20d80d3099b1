//! What an [`S3Cache`](super::S3Cache) is told.

use std::{collections::BTreeMap, time::Duration};

use runner_core::Secret;

/// The longest time that a signed address may be valid for, by the rules of signature version 4.
pub(crate) const LONGEST: Duration = Duration::from_hours(7 * 24);

/// What an [`S3Cache`](super::S3Cache) is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the switches are independent, and these are GitLab Runner's"
)]
pub struct S3Settings {
    /// `host` or `host:port`; `None`: Amazon's, by the region.
    pub address: Option<String>,
    /// The store is spoken to without TLS. Default false.
    pub is_insecure: bool,
    /// The bucket stands in the path and not in the host. Default true.
    pub path_style: bool,
    /// Amazon's addresses for both IPv4 and IPv6 are used. Default false.
    pub dual_stack: bool,
    /// Amazon's transfer acceleration is used. Default false.
    pub accelerate: bool,
    /// The bucket.
    pub bucket: String,
    /// The region of the bucket; `None`: the one that the store names. Default `None`.
    pub region: Option<String>,
    /// What the names of all objects begin with; empty for nothing.
    pub prefix: String,
    /// What is shown to the store.
    pub credentials: S3Credentials,
    /// The role that reads, and writes unless [`upload_role`](Self::upload_role) does. Default none.
    pub role: Option<String>,
    /// The role that writes. Default none.
    pub upload_role: Option<String>,
    /// How the store encrypts what is written; `None`: as the bucket says.
    pub encryption: Option<S3Encryption>,
    /// Authorities that are trusted besides those of the system, in PEM.
    pub ca: Option<String>,
    /// What the search for credentials of the machine finds in the environment: `AWS_…` and `HOME`.
    pub environment: BTreeMap<String, String>,
}

impl S3Settings {
    /// For a bucket of a store that is neither Amazon's nor spoken to in any special way.
    pub fn new(address: impl Into<String>, bucket: impl Into<String>, credentials: S3Credentials) -> Self {
        Self {
            address: Some(address.into()),
            is_insecure: false,
            path_style: true,
            dual_stack: false,
            accelerate: false,
            bucket: bucket.into(),
            region: None,
            prefix: String::new(),
            credentials,
            role: None,
            upload_role: None,
            encryption: None,
            ca: None,
            environment: BTreeMap::new(),
        }
    }
}

/// What is shown to a store that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Credentials {
    /// Keys.
    Keys {
        /// The access key.
        access_key: Secret,
        /// The secret key.
        secret_key: Secret,
        /// The token of temporary keys; may be empty.
        session_token: Secret,
    },
    /// Whatever the machine gives, in the order of Amazon's own tools: the environment, their files, the service account
    /// of a pod (web identity), a container's and a machine's metadata.
    Machine,
}

/// How a store that speaks S3 encrypts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Encryption {
    /// With keys of its own.
    S3,
    /// With this key of its key service; empty for the one that the store takes by itself.
    Kms(String),
    /// The same, twice.
    KmsTwice(String),
}

impl S3Encryption {
    /// The headers that ask for it. They are part of what is signed.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        const KIND: &str = "x-amz-server-side-encryption";
        const KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
        let with_key = |kind: &str, key: &String| {
            let key = (!key.is_empty()).then(|| (KEY, key.clone()));
            std::iter::once((KIND, kind.to_owned())).chain(key).collect()
        };
        match self {
            Self::S3 => vec![(KIND, "AES256".to_owned())],
            Self::Kms(key) => with_key("aws:kms", key),
            Self::KmsTwice(key) => with_key("aws:kms:dsse", key),
        }
    }
}
