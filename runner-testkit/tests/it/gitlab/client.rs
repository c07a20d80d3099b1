//! One request over a socket of its own, written and read by hand.

use std::{collections::BTreeMap, io};

use runner_testkit::gitlab::{GitLab, JobPayload};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// Sends a request to an address such as `http://127.0.0.1:1234`.
pub(crate) async fn send(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Reply> {
    let stream = TcpStream::connect(address.trim_start_matches("http://")).await?;
    exchange(stream, method, path, headers, body).await
}

pub(crate) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Reply> {
    let length = body.len();
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nhost: gitlab\r\nconnection: close\r\ncontent-length: {length}\r\n"
    );
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    stream.write_all(&[text.as_bytes(), body].concat()).await?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await?;
    parse(&reply).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no answer"))
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers = lines.filter_map(header).collect();
    Some(Reply { status, headers, body: bytes[end + 4..].to_vec() })
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// A runner that does by hand what a test tells it.
pub(crate) struct Runner<'a> {
    pub(crate) gitlab: &'a GitLab,
    pub(crate) features: Value,
}

impl<'a> Runner<'a> {
    pub(crate) fn of(gitlab: &'a GitLab) -> Self {
        Self { gitlab, features: json!({ "cancel_gracefully": true, "two_phase_job_commit": true }) }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Reply {
        let path = format!("/api/v4/{path}");
        send(self.gitlab.url(), method, &path, &[JSON], body.to_string().as_bytes()).await.unwrap()
    }

    pub(crate) fn identity(&self) -> Value {
        json!({ "token": self.gitlab.runner_token(), "system_id": "s_1", "info": { "features": self.features } })
    }

    pub(crate) async fn request(&self, last_update: &str) -> Reply {
        let mut body = self.identity();
        body["last_update"] = json!(last_update);
        self.call("POST", "jobs/request", &body).await
    }

    /// Takes the next job and acknowledges it.
    pub(crate) async fn take(&self) -> Job<'_> {
        let reply = self.request("").await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let payload = reply.json();
        let job = Job {
            runner: self,
            id: payload["id"].as_u64().unwrap(),
            token: payload["token"].as_str().unwrap().to_owned(),
            payload,
        };
        assert_eq!(job.put("running").await.status, 200);
        job
    }

    /// Queues a job, takes it and acknowledges it.
    pub(crate) async fn run(&self, payload: JobPayload) -> Job<'_> {
        self.gitlab.queue(payload);
        self.take().await
    }
}

/// A job that this runner has.
pub(crate) struct Job<'a> {
    runner: &'a Runner<'a>,
    pub(crate) id: u64,
    pub(crate) token: String,
    pub(crate) payload: Value,
}

impl Job<'_> {
    pub(crate) async fn put(&self, state: &str) -> Reply {
        self.put_with(state, json!({})).await
    }

    pub(crate) async fn put_with(&self, state: &str, mut more: Value) -> Reply {
        more["token"] = json!(self.token);
        more["state"] = json!(state);
        self.runner.call("PUT", &format!("jobs/{}", self.id), &more).await
    }

    pub(crate) async fn try_patch(&self, start: usize, piece: &str) -> io::Result<Reply> {
        let range = format!("{start}-{}", (start + piece.len()).saturating_sub(1));
        let headers = [
            ("job-token", self.token.as_str()),
            ("content-type", "text/plain"),
            ("content-range", range.as_str()),
        ];
        let path = format!("/api/v4/jobs/{}/trace", self.id);
        send(self.runner.gitlab.url(), "PATCH", &path, &headers, piece.as_bytes()).await
    }

    pub(crate) async fn patch(&self, start: usize, piece: &str) -> Reply {
        self.try_patch(start, piece).await.unwrap()
    }

    /// Uploads an archive.
    pub(crate) async fn upload(&self, query: &str, bytes: &str) -> Reply {
        let body = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"artifacts.zip\"\r\n\
             content-type: application/octet-stream\r\n\r\n{bytes}\r\n--edge--\r\n"
        );
        let headers =
            [("job-token", self.token.as_str()), ("content-type", "multipart/form-data; boundary=edge")];
        let path = format!("/api/v4/jobs/{}/artifacts?{query}", self.id);
        send(self.runner.gitlab.url(), "POST", &path, &headers, body.as_bytes()).await.unwrap()
    }
}
