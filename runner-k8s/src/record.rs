//! What is stored of a job: the Secrets that hold it, and the record that a later manager goes on from.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    sync::Arc,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use runner_core::{
    Error, ErrorKind, JobId, JobOutcome, JobSpec, RemoteReport, Result, SavedLease, Secret as SecretText,
    agent::Order, outcome::LogDigest,
};
use serde::{Deserialize, Serialize};

use crate::{journal::Insertion, pointer::POINTER, replicas::set_owner};

/// The label of everything of ours.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "runner");

/// The label that names whose job it is.
pub(crate) const MANAGER: &str = "runner.dev/manager";

/// The label of Secrets that are jobs, in place of parts of one.
pub(crate) const KIND: &str = "runner.dev/kind";

/// Bytes of a job in one Secret. All of a Secret may have 1 MiB.
const PART: usize = 700 << 10;

const JOB: &str = "job";
const ORDER: &str = "order";
const REMOTE: &str = "remote";
const RECORD: &str = "record";
const CACHES: &str = "caches";
const LOGINS: &str = ".dockerconfigjson";

/// A job as it is stored, without the job itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The name of the runner whose source gave the job.
    pub(crate) runner: String,
    /// What the source needs to go on.
    pub(crate) state: SecretText,
    /// The number of the slot.
    pub(crate) slot: usize,
    /// How many Secrets there are besides the first one.
    pub(crate) parts: usize,
    /// The pod of the attempt.
    pub(crate) pod: String,
    /// Which attempt it is, from 1.
    pub(crate) attempt: u32,
    /// Which of the pull policies is tried, from 0.
    pub(crate) pull: usize,
    /// What the log was when the attempt began.
    pub(crate) before: LogDigest,
    /// What was added to the log since then, between the bytes of the agent's.
    pub(crate) inserted: Vec<Insertion>,
    /// The pod of the attempt was there: where it is not, it is lost.
    pub(crate) pod_made: bool,
    /// The pod of the attempt before, which must be gone before there is another one.
    #[serde(default)]
    pub(crate) replaced: Option<String>,
    /// Somebody wants the job to end.
    pub(crate) wish: Option<StoredWish>,
    /// How the job ended, where the agent's own record does not say it.
    pub(crate) ending: Option<Ending>,
}

/// How somebody wants a job to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredWish {
    /// Canceled, with `after_script`.
    Cancel,
    /// Interrupted by us.
    Interrupt,
    /// Canceled at once.
    Abort,
}

/// An end that the manager found, stored before it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    /// How it ended.
    pub(crate) outcome: JobOutcome,
    /// Whether a line of the script may have run.
    pub(crate) script_begun: bool,
    /// What the log is to say of it after the agent's last byte, where that is not inserted yet.
    #[serde(default)]
    pub(crate) line: Option<String>,
}

/// The Secrets of a job, as they are on the server.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) namespace: String,
    /// The namespace was made for the job, and goes with it. It is a namespace of somebody else unless what points to the
    /// job says otherwise: the config may have changed since.
    pub(crate) namespace_is_own: bool,
    pub(crate) secret: Secret,
    pub(crate) record: Record,
}

/// What a job needs besides itself to become Secrets.
#[derive(Debug)]
pub(crate) struct Storing<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) manager: &'a str,
    /// Which replica of the manager has the job, where there may be several.
    pub(crate) owner: Option<&'a str>,
    pub(crate) job: &'a JobSpec,
    pub(crate) order: &'a Order,
    /// How the agent reaches the source by itself.
    pub(crate) remote: Option<&'a RemoteReport>,
    pub(crate) record: Record,
    /// What is granted to the job's caches, [packed](pack).
    pub(crate) caches: Option<Vec<u8>>,
    /// Values that the pod refers to by key.
    pub(crate) values: BTreeMap<String, String>,
}

/// The name of the first Secret of a job: the same for the same job.
pub(crate) fn secret_name(manager: &str, job: &JobId) -> String {
    let clean: String = job
        .as_str()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .take(30)
        .collect();
    format!("runner-job-{}-{}", clean.trim_matches('-'), digest(&[manager, job.as_str()])).replace("--", "-")
}

/// Eight letters that differ where the parts do.
pub(crate) fn digest(parts: &[&str]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    // FNV-1a: short, and the same in every build.
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (0..8)
        .map(|place| {
            let letter = usize::from((sum >> (place * 7)).to_le_bytes()[0]) % LETTERS.len();
            char::from(LETTERS.get(letter).copied().unwrap_or(b'x'))
        })
        .collect()
}

impl Storing<'_> {
    /// The Secrets: the first one holds the record, the others what did not fit.
    pub(crate) fn secrets(mut self) -> Result<(Secret, Vec<Secret>)> {
        let packed = pack(self.job)?;
        let mut parts = packed.chunks(PART);
        let first = parts.next().unwrap_or_default();
        let rest: Vec<&[u8]> = parts.collect();
        self.record.parts = rest.len();
        let name = secret_name(self.manager, &self.job.id);
        let mut data = BTreeMap::new();
        data.insert(JOB.to_owned(), ByteString(first.to_vec()));
        data.insert(ORDER.to_owned(), json(self.order)?);
        data.insert(RECORD.to_owned(), json(&self.record)?);
        if let Some(remote) = self.remote {
            data.insert(REMOTE.to_owned(), json(remote)?);
        }
        if let Some(caches) = self.caches {
            data.insert(CACHES.to_owned(), ByteString(caches));
        }
        for (key, value) in self.values {
            data.insert(key, ByteString(value.into_bytes()));
        }
        let logins = logins(self.job);
        let type_ = if logins.is_some() { "kubernetes.io/dockerconfigjson" } else { "Opaque" };
        data.extend(logins.map(|logins| (LOGINS.to_owned(), ByteString(logins.into_bytes()))));
        let secret = |name: String, kind: &str, data, type_: &str| Secret {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(self.namespace.to_owned()),
                labels: Some(labels(self.manager, kind)),
                ..ObjectMeta::default()
            },
            type_: Some(type_.to_owned()),
            data: Some(data),
            ..Secret::default()
        };
        let others = rest.iter().zip(1..).map(|(part, number)| {
            let data = BTreeMap::from([(format!("{JOB}-{number}"), ByteString(part.to_vec()))]);
            secret(format!("{name}-{number}"), "part", data, "Opaque")
        });
        let others = others.collect();
        let mut first = secret(name, "job", data, type_);
        set_owner(&mut first, self.owner);
        Ok((first, others))
    }
}

/// The labels of what belongs to a job of `manager`.
pub(crate) fn labels(manager: &str, kind: &str) -> BTreeMap<String, String> {
    let pairs = [MANAGED_BY, (MANAGER, manager), (KIND, kind)];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// Finds the Secrets that are jobs of `manager`, or point to one.
pub(crate) fn selector_of_jobs(manager: &str) -> String {
    format!("{}={},{MANAGER}={manager},{KIND} in (job,{POINTER})", MANAGED_BY.0, MANAGED_BY.1)
}

/// Finds the pods of jobs of `manager`.
pub(crate) fn selector_of_pods(manager: &str) -> String {
    format!("{}={},{MANAGER}={manager}", MANAGED_BY.0, MANAGED_BY.1)
}

impl Stored {
    /// What a Secret of the server holds, in a namespace of somebody else.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where it is none of a job, or of another version.
    pub(crate) fn of(secret: Secret) -> Result<Self> {
        let record = parse(&secret, RECORD)?;
        let namespace = secret.metadata.namespace.clone().unwrap_or_default();
        Ok(Self { namespace, namespace_is_own: false, secret, record })
    }

    pub(crate) fn name(&self) -> &str {
        self.secret.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> &str {
        self.secret.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The names of all Secrets of the job, the first one first.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = self.name();
        let others = (1..=self.record.parts).map(|number| format!("{name}-{number}"));
        std::iter::once(name.to_owned()).chain(others).collect()
    }

    /// Whether it holds logins to registries.
    pub(crate) fn has_logins(&self) -> bool {
        self.secret.data.as_ref().is_some_and(|data| data.contains_key(LOGINS))
    }

    /// What the agent is told.
    pub(crate) fn order(&self) -> Result<Order> {
        parse(&self.secret, ORDER)
    }

    /// The Secret with another record and order, to replace the one on the server.
    pub(crate) fn changed(
        &self,
        record: &Record,
        order: &Order,
        remote: Option<&RemoteReport>,
    ) -> Result<Secret> {
        let mut secret = self.secret.clone();
        let data = secret.data.get_or_insert_default();
        data.insert(RECORD.to_owned(), json(record)?);
        data.insert(ORDER.to_owned(), json(order)?);
        if let Some(remote) = remote {
            data.insert(REMOTE.to_owned(), json(remote)?);
        }
        Ok(secret)
    }

    /// The lease; `others` are the Secrets besides the first one, in order.
    pub(crate) fn lease(&self, others: &[Secret]) -> Result<SavedLease> {
        let mut packed = bytes(&self.secret, JOB)?.to_vec();
        for (other, number) in others.iter().zip(1..) {
            packed.extend_from_slice(bytes(other, &format!("{JOB}-{number}"))?);
        }
        let job: JobSpec = unpack(&packed)?;
        let Record { runner, state, .. } = self.record.clone();
        Ok(SavedLease { runner, job: Arc::new(job), state })
    }

    /// What makes the pod and the other Secrets vanish with the first one.
    pub(crate) fn as_owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: "v1".into(),
            kind: "Secret".into(),
            name: self.name().to_owned(),
            uid: self.uid().to_owned(),
            ..OwnerReference::default()
        }
    }
}

/// The text of `value`, compressed.
pub(crate) fn pack(value: &impl Serialize) -> Result<Vec<u8>> {
    let text = serde_json::to_vec(value).map_err(unreadable)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&text).and_then(|()| encoder.finish()).map_err(unreadable)
}

fn unpack(packed: &[u8]) -> Result<JobSpec> {
    let mut text = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut text).map_err(unreadable)?;
    serde_json::from_slice(&text).map_err(unreadable)
}

fn json(value: &impl Serialize) -> Result<ByteString> {
    serde_json::to_vec(value).map(ByteString).map_err(unreadable)
}

fn parse<T: for<'de> Deserialize<'de>>(secret: &Secret, key: &str) -> Result<T> {
    serde_json::from_slice(bytes(secret, key)?).map_err(unreadable)
}

fn bytes<'a>(secret: &'a Secret, key: &str) -> Result<&'a [u8]> {
    let found = secret.data.as_ref().and_then(|data| data.get(key));
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    found.map(|bytes| bytes.0.as_slice()).ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, "read the Secret of a job").with("name", name).with("without key", key)
    })
}

fn unreadable(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Corrupt, "read or write the Secret of a job").because(cause)
}

/// The logins of a job to registries, as Kubernetes reads them.
fn logins(job: &JobSpec) -> Option<String> {
    let registries = job.credentials.iter().filter(|login| login.kind == "registry");
    let entries: serde_json::Map<String, serde_json::Value> = registries
        .map(|login| {
            let entry = serde_json::json!({"username": login.username, "password": login.password.expose()});
            (login.url.clone(), entry)
        })
        .collect();
    (!entries.is_empty()).then(|| serde_json::json!({"auths": entries}).to_string())
}

#[cfg(test)]
mod tests;
