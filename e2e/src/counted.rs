//! Clients that count what they ask the API server for, or stop at it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use kube::{Client, client::Body};
use tokio::sync::Notify;

/// The requests of a client, one line each.
#[derive(Debug, Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<String>>>);

impl Requests {
    /// A client that does what `client` does, and what it asks for.
    pub fn of(client: &Client, namespace: &str) -> (Client, Self) {
        let requests = Self::default();
        let counted = requests.clone();
        let client = client.clone();
        let count = move |request: http::Request<Body>| {
            counted.lock().push(format!("{} {}", request.method(), request.uri()));
            let client = client.clone();
            async move { client.send(request).await }
        };
        (Client::new(tower::service_fn(count), namespace), requests)
    }

    /// A client that does what `client` does, but whose requests with that method and that end of the path are never
    /// answered and never made, as if the process had died before.
    pub fn without(client: &Client, namespace: &str, method: http::Method, end: &'static str) -> Client {
        stopped_at(client, namespace, move |request| {
            request.method() == method && request.uri().path().ends_with(end)
        })
    }

    /// A client that does what `client` does, but that renews no Lease which it has made: its requests to do so are never
    /// answered.
    pub fn without_renewals(client: &Client, namespace: &str) -> Client {
        stopped_at(client, namespace, |request| {
            request.method() == http::Method::PUT && request.uri().path().contains("/leases/")
        })
    }

    /// A client that does what `client` does until it has removed a pod, and then nothing any more, as if the process had
    /// died. It says when that is.
    pub fn until_a_pod_is_removed(client: &Client, namespace: &str) -> (Client, Arc<Notify>) {
        let (client, dead) = (client.clone(), Arc::new(Notify::new()));
        let (is_dead, died) = (Arc::new(AtomicBool::new(false)), Arc::clone(&dead));
        let stop = move |request: http::Request<Body>| {
            let removes = request.method() == http::Method::DELETE && request.uri().path().contains("/pods/");
            let (client, is_dead, died) = (client.clone(), Arc::clone(&is_dead), Arc::clone(&died));
            async move {
                let was_dead = if removes {
                    is_dead.swap(true, Ordering::SeqCst)
                } else {
                    is_dead.load(Ordering::SeqCst)
                };
                if !was_dead {
                    let answer = client.send(request).await;
                    if !removes {
                        return answer;
                    }
                    died.notify_one();
                }
                std::future::pending().await
            }
        };
        (Client::new(tower::service_fn(stop), namespace), dead)
    }

    /// What was asked for so far.
    pub fn so_far(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that does what `client` does, but for the requests that `is_stopped` names.
fn stopped_at(
    client: &Client,
    namespace: &str,
    is_stopped: impl Fn(&http::Request<Body>) -> bool + Send + 'static,
) -> Client {
    let client = client.clone();
    let stop = move |request: http::Request<Body>| {
        let (is_stopped, client) = (is_stopped(&request), client.clone());
        async move {
            if is_stopped {
                std::future::pending::<()>().await;
            }
            client.send(request).await
        }
    };
    Client::new(tower::service_fn(stop), namespace)
}
