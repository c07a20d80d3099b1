//! The calls to the API server, each repeated where that may help, and none more than it needs.

use std::{fmt, time::Duration};

use futures_util::StreamExt;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Event, Namespace, Pod, Secret},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client,
    api::{
        AttachParams, AttachedProcess, DeleteParams, ListParams, LogParams, PostParams, WatchEvent,
        WatchParams,
    },
    client::UpgradeConnectionError,
    core::Status,
};
use runner_core::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};

pub(crate) mod leases;

/// How long a call is repeated that fails for a reason that passes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Bytes of a stream to a container that wait for it.
const STREAM: usize = 64 << 10;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a creation came to.
#[derive(Debug)]
pub(crate) enum Created<T> {
    /// It is made.
    New(T),
    /// Something of that name is there.
    Exists,
}

/// A cluster, by the calls that jobs need.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    client: ClientHolder,
}

#[derive(Clone)]
struct ClientHolder(Client);

impl fmt::Debug for ClientHolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Client")
    }
}

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self { client: ClientHolder(client) }
    }

    pub(crate) fn client(&self) -> Client {
        self.client.0.clone()
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client(), namespace)
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client(), namespace)
    }

    /// Makes a Secret.
    pub(crate) async fn create_secret(&self, namespace: &str, secret: &Secret) -> Result<Created<Secret>> {
        created(create(&self.secrets(namespace), secret).await, "store the job in a Secret")
    }

    /// Replaces a Secret, if it is as it was last seen.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where somebody else changed it, [`ErrorKind::NotFound`] where it is gone.
    pub(crate) async fn replace_secret(&self, namespace: &str, secret: &Secret) -> Result<Secret> {
        const OPERATION: &str = "store the state of the job";
        let (api, name) = (self.secrets(namespace), name_of(secret.metadata.name.as_deref()));
        let parameters = PostParams::default();
        again(|| api.replace(name, &parameters, secret)).await.map_err(|error| failed(OPERATION, error))
    }

    /// The Secret of that name.
    pub(crate) async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>> {
        let api = self.secrets(namespace);
        again(|| api.get_opt(name)).await.map_err(|error| failed("read the Secret of a job", error))
    }

    /// Whether there is a config map of that name. The role need not grant to ask.
    pub(crate) async fn has_config_map(&self, namespace: &str, name: &str) -> Result<bool> {
        let api: Api<ConfigMap> = Api::namespaced(self.client(), namespace);
        let found = again(|| api.get_metadata_opt(name)).await;
        found.map(|found| found.is_some()).map_err(|error| failed("look for a config map", error))
    }

    /// The Secrets that `selector` matches.
    pub(crate) async fn list_secrets(&self, namespace: &str, selector: &str) -> Result<Vec<Secret>> {
        let (api, parameters) = (self.secrets(namespace), ListParams::default().labels(selector));
        let listed = again(|| api.list(&parameters)).await;
        listed.map(|list| list.items).map_err(|error| failed("list the Secrets of jobs", error))
    }

    /// Removes a Secret. One that is gone is removed.
    pub(crate) async fn delete_secret(&self, namespace: &str, name: &str) -> Result<()> {
        let (api, parameters) = (self.secrets(namespace), DeleteParams::default());
        gone(again(|| api.delete(name, &parameters)).await, "remove the Secret of a job").map(drop)
    }

    /// Makes a pod. What cannot be is told with all that the server says.
    pub(crate) async fn create_pod(&self, namespace: &str, pod: &Pod) -> Result<Created<Pod>, kube::Error> {
        let (api, parameters) = (self.pods(namespace), PostParams::default());
        match api.create(&parameters, pod).await {
            Ok(pod) => Ok(Created::New(pod)),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Created::Exists),
            Err(error) => Err(error),
        }
    }

    /// The pod of that name.
    pub(crate) async fn pod(&self, namespace: &str, name: &str) -> Result<Option<Pod>> {
        let api = self.pods(namespace);
        again(|| api.get_opt(name)).await.map_err(|error| failed("look at the pod of a job", error))
    }

    /// Runs a command in a container, with streams of its input and output. No manager does.
    pub(crate) async fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        command: &[&str],
    ) -> Result<AttachedProcess, kube::Error> {
        let parameters = AttachParams::default()
            .container(container)
            .stdin(true)
            .stdout(true)
            .stderr(false)
            .max_stdin_buf_size(STREAM)
            .max_stdout_buf_size(STREAM);
        self.pods(namespace).exec(pod, command.iter().copied(), &parameters).await
    }

    /// Whether there ever was a pod of that name since the cluster's state had `version`. `None` where nobody knows any
    /// more.
    pub(crate) async fn was_made(&self, namespace: &str, name: &str, version: &str) -> Result<Option<bool>> {
        const OPERATION: &str = "look into the past of a job's pod";
        let api = self.pods(namespace);
        let parameters = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(1);
        let mut events = match api.watch(&parameters, version).await {
            Ok(events) => Box::pin(events),
            Err(kube::Error::Api(status)) if status.code == 410 => return Ok(None),
            Err(error) => return Err(failed(OPERATION, error)),
        };
        while let Some(event) = events.next().await {
            match event {
                Ok(WatchEvent::Bookmark(_)) => {}
                Ok(WatchEvent::Error(status)) if status.code == 410 => return Ok(None),
                Ok(WatchEvent::Error(status)) => {
                    return Err(Error::new(kind_of(&status), OPERATION).because(status.message.clone()));
                }
                Ok(_) => return Ok(Some(true)),
                Err(error) => return Err(failed(OPERATION, error)),
            }
        }
        // What is there now is not in the past.
        Ok(Some(self.pod(namespace, name).await?.is_some()))
    }

    /// Removes a pod, which has `grace` seconds to end. Returns whether it was there.
    pub(crate) async fn delete_pod(&self, namespace: &str, name: &str, grace: Option<u32>) -> Result<bool> {
        let api = self.pods(namespace);
        let parameters = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
        gone(again(|| api.delete(name, &parameters)).await, "remove the pod of a job")
    }

    /// The log of a container, from `since` on, in seconds since 1970.
    pub(crate) async fn log(
        &self,
        namespace: &str,
        pod: &str,
        what: LogWanted<'_>,
    ) -> Result<impl futures_util::AsyncBufRead + Send + Unpin + use<>, kube::Error> {
        let since = what.since.and_then(|seconds| i64::try_from(seconds).ok());
        let parameters = LogParams {
            container: Some(what.container.to_owned()),
            follow: what.follow,
            since_time: since.and_then(|seconds| k8s_openapi::jiff::Timestamp::from_second(seconds).ok()),
            tail_lines: what.tail,
            ..LogParams::default()
        };
        Ok(Box::pin(self.pods(namespace).log_stream(pod, &parameters).await?))
    }

    /// Makes a budget of disruptions. One that is there is fine.
    pub(crate) async fn create_budget(&self, namespace: &str, budget: &PodDisruptionBudget) -> Result<()> {
        const OPERATION: &str = "make the disruption budget of a job";
        created(create(&Api::namespaced(self.client(), namespace), budget).await, OPERATION).map(drop)
    }

    /// What the events of a pod warn of, one line each.
    pub(crate) async fn warnings(&self, namespace: &str, pod: &str) -> Result<Vec<String>> {
        let api: Api<Event> = Api::namespaced(self.client(), namespace);
        let selector = format!("involvedObject.kind=Pod,involvedObject.name={pod},type=Warning");
        let parameters = ListParams::default().fields(&selector);
        let listed = again(|| api.list(&parameters)).await;
        let events = listed.map_err(|error| failed("list the events of the pod", error))?.items;
        let line = |event: Event| {
            let (reason, message) = (event.reason.unwrap_or_default(), event.message.unwrap_or_default());
            format!("WARNING: Event: {reason}: {}", message.replace('\n', " "))
        };
        Ok(events.into_iter().map(line).collect())
    }

    /// Makes a namespace. One that is there is fine.
    pub(crate) async fn create_namespace(&self, namespace: &Namespace) -> Result<()> {
        const OPERATION: &str = "make the namespace of a job";
        created(create(&Api::all(self.client()), namespace).await, OPERATION).map(drop)
    }

    /// Removes a namespace.
    pub(crate) async fn delete_namespace(&self, name: &str) -> Result<()> {
        let (api, parameters) = (Api::<Namespace>::all(self.client()), DeleteParams::default());
        gone(again(|| api.delete(name, &parameters)).await, "remove the namespace of a job").map(drop)
    }
}

/// Which part of which log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogWanted<'a> {
    pub(crate) container: &'a str,
    /// Go on until the container ends.
    pub(crate) follow: bool,
    /// From this second on.
    pub(crate) since: Option<u64>,
    /// Only so many lines of its end.
    pub(crate) tail: Option<i64>,
}

fn name_of(name: Option<&str>) -> &str {
    name.unwrap_or_default()
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<K, kube::Error>
where
    K: Clone + DeserializeOwned + fmt::Debug + Serialize + Sync,
{
    let parameters = PostParams::default();
    again(|| api.create(&parameters, object)).await
}

fn created<K>(result: Result<K, kube::Error>, operation: &'static str) -> Result<Created<K>> {
    match result {
        Ok(object) => Ok(Created::New(object)),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Created::Exists),
        Err(error) => Err(failed(operation, error)),
    }
}

/// Whether there was something to remove.
fn gone<T>(deleted: Result<T, kube::Error>, operation: &'static str) -> Result<bool> {
    match deleted {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(failed(operation, error)),
        Ok(_) => Ok(true),
    }
}

/// Makes a call again while it fails for a reason that passes.
async fn again<T, F>(mut call: impl FnMut() -> F) -> Result<T, kube::Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match call().await {
            Err(error) if passes(&error) && start.elapsed() + pause < PATIENCE => {
                tracing::debug!(%error, ?pause, "a call to the API server is made again");
                sleep(retry_after(&error).unwrap_or(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}

/// Whether the same call may succeed a moment later.
pub(crate) fn passes(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 408 | 429 | 500 | 502..=504),
        kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => true,
        _ => false,
    }
}

/// The status with which the server refused.
pub(crate) fn status_code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
            Some(status.as_u16())
        }
        _ => None,
    }
}

fn retry_after(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)).min(PATIENCE))
}

/// The error of the core for one of the API server.
pub(crate) fn failed(operation: &'static str, error: kube::Error) -> Error {
    let kind = match &error {
        kube::Error::Api(status) => kind_of(status),
        kube::Error::HyperError(_) | kube::Error::Service(_) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    match error {
        // Its own text says everything twice.
        kube::Error::Api(status) => Error::new(kind, operation).because(status.message.clone()),
        error => Error::new(kind, operation).because(error),
    }
}

fn kind_of(status: &Status) -> ErrorKind {
    match status.code {
        401 | 403 => ErrorKind::Unauthorized,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        400 | 422 => ErrorKind::Invalid,
        408 | 429 | 500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}
