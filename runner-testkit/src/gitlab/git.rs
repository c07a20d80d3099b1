//! Bare repositories over smart HTTP: `git http-backend` as a CGI program, with bodies that are streamed both ways.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts};
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::answer::{self, Answer};

/// How a task of a request is started by whoever owns it.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server of the bare repositories in a folder, open to everybody, as long as it lives.
#[derive(Debug)]
pub struct GitServer {
    address: SocketAddr,
    _stop: DropGuard,
}

impl GitServer {
    /// Serves `folder` at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// Where the address cannot be listened on.
    pub async fn start(address: SocketAddr, folder: impl Into<PathBuf>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let folder: Arc<Path> = folder.into().into();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let spawn = {
            let (stop, tasks) = (stop.clone(), tasks.clone());
            move |task: Task| {
                let stop = stop.clone();
                tasks.spawn(async move {
                    stop.run_until_cancelled(task).await;
                });
            }
        };
        let inner = spawn.clone();
        spawn(Box::pin(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (folder, spawn) = (Arc::clone(&folder), inner.clone());
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let (folder, spawn) = (Arc::clone(&folder), spawn.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        Ok::<_, io::Error>(answer(&folder, &head, body, spawn).await)
                    }
                });
                inner(Box::pin(async move {
                    // A client that goes away in the middle is its own business.
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                }));
            }
        }));
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers a request of git for a repository below `folder`.
pub(super) async fn answer(folder: &Path, head: &Parts, body: Incoming, spawn: impl Fn(Task)) -> Answer {
    match run(folder, head) {
        Ok((child, stdin, stdout)) => {
            spawn(Box::pin(feed(body, stdin)));
            match reply(child, stdout).await {
                Ok(answer) => answer,
                Err(fault) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, &fault.to_string()),
            }
        }
        Err(fault) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, &fault.to_string()),
    }
}

fn run(folder: &Path, head: &Parts) -> io::Result<(Child, ChildStdin, ChildStdout)> {
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", head.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        // As GitLab serves: a commit may be asked for by its name, and a clone may be partial.
        .envs([("GIT_CONFIG_COUNT", "3"), ("GIT_CONFIG_KEY_0", "uploadpack.allowAnySHA1InWant")])
        .envs([("GIT_CONFIG_VALUE_0", "true"), ("GIT_CONFIG_KEY_1", "uploadpack.allowFilter")])
        .envs([("GIT_CONFIG_VALUE_1", "true"), ("GIT_CONFIG_KEY_2", "safe.directory")])
        .env("GIT_CONFIG_VALUE_2", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if !header("content-length").is_empty() {
        command.env("CONTENT_LENGTH", header("content-length"));
    }
    let mut child = command.spawn()?;
    let closed = || io::Error::other("git http-backend has no pipes");
    let stdin = child.stdin.take().ok_or_else(closed)?;
    let stdout = child.stdout.take().ok_or_else(closed)?;
    Ok((child, stdin, stdout))
}

/// Gives the body to git. One that breaks off, or that git does not want, is seen by git or in its answer.
async fn feed(mut body: Incoming, mut stdin: ChildStdin) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(piece) = frame.into_data()
            && stdin.write_all(&piece).await.is_err()
        {
            return;
        }
    }
}

/// Reads the head that a CGI program writes, and passes on what follows.
async fn reply(child: Child, stdout: ChildStdout) -> io::Result<Answer> {
    let mut stdout = BufReader::new(stdout);
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).await? == 0 {
            return Err(io::Error::other("git http-backend ended without an answer"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            status = code.parse().map_err(io::Error::other)?;
        } else {
            let name: HeaderName = name.parse().map_err(io::Error::other)?;
            headers.append(name, HeaderValue::from_str(value).map_err(io::Error::other)?);
        }
    }
    let frames = stream::try_unfold((child, stdout), |(child, mut stdout)| async move {
        let mut piece = Vec::with_capacity(32 << 10);
        let count = stdout.read_buf(&mut piece).await?;
        Ok((count > 0).then(|| (Frame::data(Bytes::from(piece)), (child, stdout))))
    });
    let mut answer = Answer::new(StreamBody::new(frames).boxed_unsync());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}
