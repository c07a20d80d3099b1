//! The one HTTP client: how a request gets to the server and its answer back.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use reqwest::{
    Method, NoProxy, Proxy, RequestBuilder, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect::Policy,
};
use runner_core::{Error, ErrorKind, Result, Secret};
use serde::Serialize;

use crate::{
    answer::Answer,
    connection::{Connection, Proxies},
    fault::unanswered,
    request::COMPATIBLE_VERSION,
    tls,
};

/// GitLab answers within a minute or gives up, and says so soon after.
const USUAL: Duration = Duration::from_secs(90);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A client of one GitLab server. Clones share their connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    base: Url,
    connection: Connection,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = &self.0.base;
        // Without the login that it may hold.
        let shown = format!("{}{}", base.origin().ascii_serialization(), base.path());
        formatter.debug_struct("Client").field("base", &shown).finish_non_exhaustive()
    }
}

/// A client of HTTP that trusts, shows and goes through what `connection` says, also for a server that is no GitLab. It
/// follows no redirect.
///
/// # Errors
/// [`ErrorKind::Invalid`] where a proxy, a certificate or a key cannot be read.
pub fn http_client(connection: &Connection) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(connection)?)
        .user_agent(user_agent())
        .redirect(Policy::none())
        .connect_timeout(connection.connect_timeout)
        .tcp_keepalive(KEEP_ALIVE)
        .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]))
        // Without this call the library reads the environment.
        .no_proxy();
    for proxy in proxies(&connection.proxies)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|cause| Error::new(ErrorKind::Internal, "make an HTTP client").because(cause))
}

impl Client {
    /// A client for `connection`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the address, a proxy, a certificate or a key cannot be read.
    pub fn new(connection: &Connection) -> Result<Self> {
        let base = base(&connection.url)?;
        let http = http_client(connection)?;
        Ok(Self(Arc::new(Inner { http, base, connection: connection.clone() })))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// The address of an endpoint, given by the parts of its path below `api/v4`.
    pub(crate) fn endpoint(&self, parts: &[&str]) -> Url {
        let mut url = self.0.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(parts);
        }
        url
    }

    /// A request whose body is `body` as JSON.
    pub(crate) fn json(
        &self,
        method: Method,
        parts: &[&str],
        body: &impl Serialize,
    ) -> Result<RequestBuilder> {
        let body = serde_json::to_vec(body)
            .map_err(|cause| Error::new(ErrorKind::Internal, "write a request").because(cause))?;
        Ok(self.request(method, self.endpoint(parts)).header(CONTENT_TYPE, "application/json").body(body))
    }

    /// A request without a body.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.0.http.request(method, url)
    }

    /// Sends a request and waits for the head of its answer, which may be any. `doing` completes "failed to …".
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where there is no answer.
    pub(crate) async fn send(&self, doing: &str, request: RequestBuilder) -> Result<Answer> {
        self.send_within(USUAL, doing, request).await
    }

    /// The same, and waits `limit` for the answer.
    pub(crate) async fn send_within(
        &self,
        limit: Duration,
        doing: &str,
        request: RequestBuilder,
    ) -> Result<Answer> {
        let response = within(limit, doing, request.send()).await?;
        let answer = Answer::new(response.map_err(|cause| unanswered(doing, cause))?);
        let (status, request) = (answer.head.status.as_u16(), answer.head.request_id());
        tracing::debug!(doing, status, request, "GitLab answered");
        Ok(answer)
    }
}

async fn within<T>(limit: Duration, doing: &str, work: impl Future<Output = T> + Send) -> Result<T> {
    tokio::time::timeout(limit, work).await.map_err(|_| {
        Error::new(ErrorKind::Unavailable, doing).with("no answer within seconds", limit.as_secs())
    })
}

/// `header` that holds a token, so that no log of the library shows it.
pub(crate) fn secret_header(value: &Secret) -> Result<HeaderValue> {
    let mut header = HeaderValue::from_str(value.expose())
        // The cause could quote it.
        .map_err(|_| Error::new(ErrorKind::Invalid, "use a token: it holds letters that no token has"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// Begins as GitLab Runner's does, since servers look at it, and says what we are.
fn user_agent() -> String {
    let (os, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("gitlab-runner {COMPATIBLE_VERSION} (runner {}; {os}/{architecture})", env!("CARGO_PKG_VERSION"))
}

/// The address of the API of the server at `url`.
fn base(url: &str) -> Result<Url> {
    let invalid =
        || Error::new(ErrorKind::Invalid, "read the url of GitLab, which is as https://gitlab.example");
    let written = url.trim().trim_end_matches('/');
    // Old configurations hold the address of a CI server that GitLab has long become itself.
    let written = written.strip_suffix("/ci").unwrap_or(written);
    let mut url = Url::parse(written).map_err(|cause| invalid().because(cause))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid());
    }
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v4"]);
    }
    Ok(url)
}

fn proxies(settings: &Proxies) -> Result<Vec<Proxy>> {
    let except = settings.except.as_deref().and_then(NoProxy::from_string);
    let make = |url: &str, is_secure| if is_secure { Proxy::https(url) } else { Proxy::http(url) };
    let mut proxies = Vec::new();
    for (url, is_secure) in [(&settings.http, false), (&settings.https, true)] {
        let Some(url) = url.as_ref().filter(|url| !url.is_empty()) else { continue };
        // The cause could quote a login.
        let proxy = make(url.expose(), is_secure)
            .map_err(|_| Error::new(ErrorKind::Invalid, "read the address of a proxy"))?;
        proxies.push(proxy.no_proxy(except.clone()));
    }
    Ok(proxies)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> String {
        Client::new(&Connection::new(url)).unwrap().endpoint(&["jobs", "7", "trace"]).to_string()
    }

    #[test]
    fn an_address_may_have_a_path_and_a_slash_at_its_end() {
        for url in ["https://gitlab.example/a", "https://gitlab.example/a/", " https://gitlab.example/a/ci "]
        {
            assert_eq!(endpoint(url), "https://gitlab.example/a/api/v4/jobs/7/trace", "{url}");
        }
        assert_eq!(endpoint("http://[::1]:80/"), "http://[::1]/api/v4/jobs/7/trace");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["", "gitlab.example", "ftp://gitlab.example", "https://", "gitlab.example:443"] {
            let error = Client::new(&Connection::new(url)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
        }
    }

    #[test]
    fn a_part_of_a_path_stays_one() {
        let client = Client::new(&Connection::new("https://gitlab.example")).unwrap();
        assert_eq!(client.endpoint(&["jobs", "1/../2"]).path(), "/api/v4/jobs/1%2F..%2F2");
    }

    #[test]
    fn debug_shows_no_login_of_the_address() {
        let client = Client::new(&Connection::new("https://me:hunter2@gitlab.example")).unwrap();
        let shown = format!("{client:?}");
        assert!(shown.contains("https://gitlab.example/api/v4") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_proxy_that_cannot_be_read_is_not_quoted() {
        let mut connection = Connection::new("https://gitlab.example");
        connection.proxies.http = Some(Secret::new("http://me:hunter2@"));
        let error = Client::new(&connection).unwrap_err();
        assert!(!error.chain().contains("hunter2"), "{}", error.chain());
    }

    #[test]
    fn a_token_with_a_line_end_never_becomes_a_header() {
        assert!(secret_header(&Secret::new("a\r\nb: c")).is_err());
        assert!(secret_header(&Secret::new("glrt-1")).unwrap().is_sensitive());
    }
}
