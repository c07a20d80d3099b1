//! The kubelet's server, as far as the API server needs it for `pods/log`.

use std::{convert::Infallible, io, net::IpAddr, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use k8s_openapi::jiff::Timestamp;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{
    log::{ContainerLog, Wanted},
    registrar::{Found, Registrar},
};
use crate::gitlab;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The server's TLS, with a certificate of its own: an API server that is not told whom to trust takes any.
pub(super) fn acceptor(address: IpAddr) -> io::Result<TlsAcceptor> {
    gitlab::acceptor(address)
}

/// Serves as long as it is polled.
pub(super) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, registrar: Arc<Registrar>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, registrar) = (acceptor.clone(), Arc::clone(&registrar));
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request: Request<Incoming>| {
                let registrar = Arc::clone(&registrar);
                async move { Ok::<_, Infallible>(answer(&registrar, &request)) }
            });
            // A client that goes away in the middle is its own business.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

fn answer(registrar: &Registrar, request: &Request<Incoming>) -> Answer {
    let parts: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
    let ["containerLogs", namespace, pod, container] = parts[..] else {
        return text(StatusCode::NOT_FOUND, "this kubelet is simulated, and has no more than logs".into());
    };
    match registrar.log(namespace, pod, container) {
        Found::NoPod => text(StatusCode::NOT_FOUND, format!("pod {pod:?} not found")),
        Found::NotStarted => {
            let why =
                format!("container {container:?} in pod {pod:?} is waiting to start: ContainerCreating");
            text(StatusCode::BAD_REQUEST, why)
        }
        Found::Log(log) => lines(&log, request.uri().query().unwrap_or_default()),
    }
}

fn text(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

fn lines(log: &Arc<ContainerLog>, query: &str) -> Answer {
    let (wanted, follows) = wanted(query);
    let start = log.start(wanted);
    let frames = stream::unfold((Arc::clone(log), start), move |(log, next)| async move {
        let (next, piece) = log.read(next, wanted, follows).await?;
        Some((Ok(Frame::data(piece)), (log, next)))
    });
    Response::new(StreamBody::new(frames).boxed_unsync())
}

fn wanted(query: &str) -> (Wanted, bool) {
    let (mut wanted, mut follows) = (Wanted::default(), false);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "follow" => follows = value == "true",
            "timestamps" => wanted.timestamps = value == "true",
            "tailLines" => wanted.tail = value.parse().ok(),
            "sinceTime" => wanted.since = value.parse().ok(),
            "sinceSeconds" => {
                let seconds = value.parse::<i64>().unwrap_or(0);
                wanted.since = Timestamp::from_second(Timestamp::now().as_second() - seconds).ok();
            }
            _ => {}
        }
    }
    (wanted, follows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_asks_for_is_understood() {
        let (wanted, follows) = wanted("follow=true&sinceTime=2026-01-02T03%3A04%3A05Z&tailLines=7");
        assert!(follows);
        let since = "2026-01-02T03:04:05Z".parse().ok();
        assert_eq!(wanted, Wanted { since, tail: Some(7), timestamps: false });
    }
}
