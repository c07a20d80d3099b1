//! Which requests were made, as our own client sends them and as the audit log has them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{Method, Request, Uri};
use kube::client::Body;
use tower::util::MapRequestLayer;

use super::clock::now;

/// How many requests of each kind, such as `create pods`.
pub type Counts = BTreeMap<String, usize>;

/// Keeps what a client sends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<Vec<(f64, String)>>>);

impl Requests {
    /// Put around a client, it keeps what that sends.
    pub(crate) fn layer(
        &self,
    ) -> MapRequestLayer<impl Fn(Request<Body>) -> Request<Body> + Clone + Send + Sync + 'static> {
        let requests = self.clone();
        MapRequestLayer::new(move |request: Request<Body>| {
            requests.lock().push((now(), kind(request.method(), request.uri())));
            request
        })
    }

    /// What was sent between two moments.
    pub(crate) fn between(&self, from: f64, to: f64) -> Counts {
        let mut counts = Counts::new();
        for (_, kind) in self.lock().iter().filter(|(at, _)| (from..to).contains(at)) {
            *counts.entry(kind.clone()).or_default() += 1;
        }
        counts
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(f64, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kind of a request, in the words of the audit log.
fn kind(method: &Method, uri: &Uri) -> String {
    let mut parts = uri.path().split('/').skip_while(|part| *part != "namespaces").skip(2);
    let (resource, name, below) = (parts.next().unwrap_or("others"), parts.next(), parts.next());
    let is_watch = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    let verb = match *method {
        Method::GET if is_watch => "watch",
        Method::GET if name.is_none() => "list",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        _ => "delete",
    };
    match below {
        Some(below) => format!("{verb} {resource}/{below}"),
        None => format!("{verb} {resource}"),
    }
}

/// Whether a request serves all jobs and none of them: lists, watches, and the Lease by which a manager shows that it lives.
pub(crate) fn is_shared(kind: &str) -> bool {
    kind.starts_with("watch ") || kind.starts_with("list ") || is_of_lease(kind)
}

/// Whether a request is one of those that a manager makes at regular times, with jobs or without.
pub(crate) fn is_of_lease(kind: &str) -> bool {
    kind.ends_with(" leases")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_the_audit_log() {
        let of = |method, uri: &str| kind(&method, &uri.parse().unwrap());
        let pods = "https://127.0.0.1:6443/api/v1/namespaces/bench/pods";
        assert_eq!(of(Method::POST, pods), "create pods");
        assert_eq!(of(Method::GET, &format!("{pods}?labelSelector=a&watch=true")), "watch pods");
        assert_eq!(of(Method::GET, &format!("{pods}?limit=500")), "list pods");
        assert_eq!(of(Method::GET, &format!("{pods}/name/log?follow=true")), "get pods/log");
        assert_eq!(of(Method::DELETE, &format!("{pods}/name")), "delete pods");
    }
}
