//! Removes everything of a job.

use std::time::Duration;

use runner_core::{Error, ErrorKind, Result};
use tokio::time::timeout;

use crate::{
    api::Cluster,
    watch::{FollowedPod, PodWatches},
};

/// How much longer than its grace period a pod may take to be gone, before that is said.
const MARGIN: Duration = Duration::from_mins(1);

/// How long a pod that ends by itself is waited for. The kubelet looks once a second.
const OWN_END: Duration = Duration::from_millis(1500);

/// How often a pod is asked for that the watch does not show.
const LOOK: Duration = Duration::from_secs(1);

/// What there is of a job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leftovers {
    pub(crate) namespace: String,
    /// The namespace is the job's own.
    pub(crate) namespace_is_own: bool,
    /// The Secrets, the first one first.
    pub(crate) secrets: Vec<String>,
    /// The namespace and the name of the Secret that points to the job, where one does.
    pub(crate) pointer: Option<(String, String)>,
    /// The pod of the last attempt, if one was made.
    pub(crate) pod: Option<String>,
    /// How long the pod has to end, in seconds.
    pub(crate) grace: Option<u32>,
    /// All containers of the pod have ended, or are about to by themselves.
    pub(crate) ends_by_itself: bool,
    /// How long all of it may take.
    pub(crate) limit: Duration,
}

/// Removes everything, and returns when it is gone. Repeating it is no error.
///
/// The Secret goes first: a Secret without a pod is a job that nobody has started, and a pod without its Secret is removed
/// by the cluster itself.
pub(crate) async fn remove(cluster: &Cluster, watches: &PodWatches, leftovers: &Leftovers) -> Result<()> {
    match timeout(leftovers.limit, remove_all(cluster, watches, leftovers)).await {
        Ok(removed) => removed,
        Err(_) => Err(Error::new(ErrorKind::TimedOut, "remove what belongs to the job")
            .with("within seconds", leftovers.limit.as_secs())),
    }
}

async fn remove_all(cluster: &Cluster, watches: &PodWatches, leftovers: &Leftovers) -> Result<()> {
    let Leftovers { namespace, namespace_is_own, secrets, pointer, pod, grace, .. } = leftovers;
    let mut followed = pod.as_ref().map(|pod| watches.follow(namespace, pod));
    if let (true, Some(followed)) = (leftovers.ends_by_itself, &mut followed) {
        // A pod whose end the kubelet has seen is gone at once; one that is deleted before takes two of its rounds. Where
        // something else keeps it running, such as the proxy of a mesh, it is deleted as it is.
        let is_over = async { while !followed.now().is_over() && !followed.changed().await.is_over() {} };
        drop(timeout(OWN_END, is_over).await);
    }
    for secret in secrets {
        cluster.delete_secret(namespace, secret).await?;
    }
    if let (Some(pod), Some(followed)) = (pod, &mut followed) {
        let was_there = cluster.delete_pod(namespace, pod, *grace).await?;
        if was_there {
            followed.is_made();
            let patience = MARGIN + Duration::from_secs(u64::from(grace.unwrap_or(30)));
            match timeout(patience, until_gone(cluster, (namespace, pod), followed)).await {
                Ok(gone) => gone?,
                Err(_) if cluster.pod(namespace, pod).await?.is_none() => {}
                Err(_) => {
                    return Err(
                        Error::new(ErrorKind::TimedOut, "see the pod of the job gone").with("pod", pod)
                    );
                }
            }
        }
    }
    if *namespace_is_own {
        cluster.delete_namespace(namespace).await?;
    }
    if let Some((home, name)) = pointer {
        // The last of all: as long as it is there, a later process finds what is left.
        cluster.delete_secret(home, name).await?;
    }
    Ok(())
}

/// Waits until a pod that was told to end is gone.
///
/// A watch that has only begun may list the pods when this one is gone already, and then never tells of it: until the watch
/// has shown the pod, it is asked for.
pub(crate) async fn until_gone(
    cluster: &Cluster,
    (namespace, pod): (&str, &str),
    followed: &mut FollowedPod,
) -> Result<()> {
    loop {
        let seen = followed.now();
        if seen.gone {
            return Ok(());
        }
        if seen.pod.is_some() {
            followed.changed().await;
        } else if cluster.pod(namespace, pod).await?.is_none() {
            return Ok(());
        } else {
            drop(timeout(LOOK, followed.changed()).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Request, Response, StatusCode};
    use kube::{Client, client::Body};
    use serde_json::{Value, json};
    use tokio::time::Instant;
    use tower::service_fn;

    use super::*;

    /// An API server whose one pod is gone as soon as its deletion is asked for, and before the first list of pods.
    async fn answer(request: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let is_list = request.uri().path().ends_with("/pods");
        let status =
            |code: u16| json!({ "kind": "Status", "status": "Failure", "code": code, "reason": "NotFound" });
        let (code, body): (StatusCode, Value) = match (request.method(), is_list, is_watch) {
            (&Method::GET, true, true) => std::future::pending().await,
            (&Method::GET, true, false) => {
                (StatusCode::OK, json!({ "metadata": { "resourceVersion": "1" }, "items": [] }))
            }
            (&Method::GET, ..) => (StatusCode::NOT_FOUND, status(404)),
            _ => (StatusCode::OK, json!({ "metadata": { "name": "pod" } })),
        };
        let mut response = Response::new(Body::from(body.to_string().into_bytes()));
        *response.status_mut() = code;
        Ok(response)
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_is_gone_before_a_new_watch_has_seen_it_is_not_waited_for() {
        let cluster = Cluster::new(Client::new(service_fn(answer), "ns"));
        let watches = PodWatches::new(cluster.clone(), "app=runner".into());
        let leftovers = Leftovers {
            namespace: "ns".into(),
            secrets: vec!["secret".into()],
            pod: Some("pod".into()),
            grace: Some(1),
            limit: Duration::from_mins(5),
            ..Leftovers::default()
        };
        let start = Instant::now();
        remove(&cluster, &watches, &leftovers).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}
