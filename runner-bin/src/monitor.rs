//! Serves metrics and health over HTTP: `/metrics`, `/healthz` and `/readyz`.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::anyhow;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet, time};
use tokio_util::sync::CancellationToken;

use crate::{
    fault::Fault,
    health::Health,
    metrics::{self, Metrics},
};

/// The port where the address names none.
const USUAL_PORT: u16 = 9252;
/// How many requests are answered at once. More of them wait.
const MOST_AT_ONCE: usize = 32;
/// How long a connection may take; each has one request.
const LONGEST: Duration = Duration::from_secs(30);
/// How long accepting pauses after it failed, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_secs(1);

const PLAIN: &str = "text/plain; charset=utf-8";

/// Listens, and serves when asked to.
#[derive(Debug)]
pub(crate) struct Monitor {
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: Health,
}

impl Monitor {
    /// Listens at `address`: `host:port`, `:port` for all addresses of this machine, or `host` for the usual port.
    ///
    /// # Errors
    /// It cannot be listened on, such as where another program has it.
    pub(crate) async fn bind(address: &str, metrics: Arc<Metrics>, health: Health) -> Result<Self, Fault> {
        let mut bound = Err(std::io::Error::from(std::io::ErrorKind::AddrNotAvailable));
        for place in places(address) {
            bound = TcpListener::bind(&place).await;
            if bound.is_ok() {
                break;
            }
        }
        let listener = bound.map_err(|error| {
            let text = format!("failed to serve metrics and health at {address}");
            let help = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "another program has this port, maybe another runner: end it, or name another port with `listen_address`"
                }
                _ => "name an address of this machine with `listen_address`, such as \":9252\"",
            };
            Fault::wrong_use(anyhow::Error::new(error).context(anyhow!(text))).help(help)
        })?;
        Ok(Self { listener, metrics, health })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`. Dropping the future ends it and all connections too.
    pub(crate) async fn serve(self, stop: &CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept(), if connections.len() < MOST_AT_ONCE => accepted,
            };
            let Ok((stream, _)) = accepted else {
                if time::timeout(PAUSE, stop.cancelled()).await.is_ok() {
                    return;
                }
                continue;
            };
            let (metrics, health) = (Arc::clone(&self.metrics), self.health.clone());
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    let response = answer(&request, &metrics, &health);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection =
                    http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
                // Whoever goes away, or takes too long, has nobody to tell.
                drop(time::timeout(LONGEST, connection).await);
            });
        }
    }
}

/// Where to listen, in the order of trying.
fn places(address: &str) -> Vec<String> {
    match address.strip_prefix(':') {
        // A machine without IPv6 has only the second one.
        Some(port) => vec![format!("[::]:{port}"), format!("0.0.0.0:{port}")],
        None if address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
            vec![address.to_owned()]
        }
        None => vec![format!("{address}:{USUAL_PORT}")],
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics, health: &Health) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET is answered\n".into());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, metrics.text()),
        "/healthz" => page(StatusCode::OK, PLAIN, "ok\n".into()),
        "/readyz" => match health.readiness() {
            Ok(()) => page(StatusCode::OK, PLAIN, "ok\n".into()),
            Err(why) => page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n")),
        },
        _ => page(StatusCode::NOT_FOUND, PLAIN, "there are /metrics, /healthz and /readyz\n".into()),
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    async fn monitor(health: Health) -> (SocketAddr, CancellationToken, JoinSet<()>) {
        let monitor = Monitor::bind("127.0.0.1:0", Arc::new(Metrics::new("s_1")), health).await.unwrap();
        let (address, stop, mut tasks) =
            (monitor.address().unwrap(), CancellationToken::new(), JoinSet::new());
        let stopping = stop.clone();
        tasks.spawn(async move { monitor.serve(&stopping).await });
        (address, stop, tasks)
    }

    /// All that comes until the server closes the connection.
    async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_and_health_are_served_and_each_connection_ends() {
        let health = Health::default();
        let (address, stop, mut tasks) = monitor(health.clone()).await;
        let metrics = ask(address, "GET", "/metrics").await;
        assert!(
            metrics.starts_with("HTTP/1.1 200 ") && metrics.contains("\ngitlab_runner_concurrent 0\n"),
            "{metrics}"
        );
        assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        assert!(ask(address, "GET", "/healthz").await.starts_with("HTTP/1.1 200 "));
        let early = ask(address, "GET", "/readyz").await;
        assert!(early.starts_with("HTTP/1.1 503 ") && early.ends_with("there is no config yet\n"), "{early}");
        health.loaded([]);
        assert!(ask(address, "HEAD", "/readyz").await.starts_with("HTTP/1.1 200 "));
        assert!(ask(address, "GET", "/").await.starts_with("HTTP/1.1 404 "));
        assert!(ask(address, "POST", "/metrics").await.starts_with("HTTP/1.1 405 "));
        stop.cancel();
        assert!(tasks.join_next().await.unwrap().is_ok());
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn connections_that_say_nothing_keep_nobody_out_for_good() {
        let (address, stop, _tasks) = monitor(Health::default()).await;
        let mut silent = Vec::new();
        for _ in 0..MOST_AT_ONCE {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        time::pause();
        assert!(ask(address, "GET", "/healthz").await.starts_with("HTTP/1.1 200 "));
        stop.cancel();
    }

    #[tokio::test]
    async fn an_address_that_another_program_has_is_told_with_what_to_do() {
        let (address, _stop, _tasks) = monitor(Health::default()).await;
        let metrics = Arc::new(Metrics::new("s_1"));
        let fault = Monitor::bind(&address.to_string(), metrics, Health::default()).await.unwrap_err();
        let text = fault.text(false).replace(&address.to_string(), "<address>");
        insta::assert_snapshot!(text, @r"
        error: failed to serve metrics and health at <address>: Address already in use (os error 98)
          help: another program has this port, maybe another runner: end it, or name another port with `listen_address`
        ");
    }

    #[test]
    fn an_address_may_lack_its_host_or_its_port() {
        assert_eq!(places(":9252"), ["[::]:9252", "0.0.0.0:9252"]);
        assert_eq!(places("localhost"), ["localhost:9252"]);
        assert_eq!(places("[::1]:80"), ["[::1]:80"]);
        assert_eq!(places("[::1]"), ["[::1]:9252"]);
    }
}
