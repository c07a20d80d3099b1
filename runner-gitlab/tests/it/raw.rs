//! A server that says what a test writes, byte for byte, and what stands between us and a server.

use std::time::Duration;

use runner_core::{
    ArtifactStore, ArtifactUpload, ErrorKind, JobId, JobLease, JobOutcome, JobReport, JobSource, JobSpec,
    Result, SavedLease, Secret,
    job::{ArtifactFormat, Dependency},
    source::JobState,
};
use runner_gitlab::{
    Client, Connection, GitLabArtifacts, GitLabReport, GitLabSource, Proxies, SourceSettings,
    register::unregister,
};
use runner_testkit::gitlab::{Endpoint, GitLab, JobPayload};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use tokio_util::sync::CancellationToken;

use crate::bench::{ROOM, next, settings, settings_at};

pub(crate) const REFUSED: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\
    Content-Length: 27\r\nX-Request-Id: 01HREQ\r\n\r\n{\"message\":\"403 Forbidden\"}";
/// What the proxy of a cluster says while GitLab is not there.
const NOT_THERE: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 21\r\n\r\ndefault backend - 404";
/// What a wall of a company says.
const WALL: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<h1>No!</h1>\r";

/// Reads the head of a request, and returns it.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Runs `work` with a server that answers each connection with these bytes and closes it.
async fn with_server<T>(answer: &[u8], work: impl AsyncFnOnce(Client) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&Connection::new(format!("http://{}", listener.local_addr().unwrap()))).unwrap();
    let served = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(answer).await.unwrap();
            // The rest of the request is read, or closing would reset the connection before the answer is read.
            stream.shutdown().await.unwrap();
            while stream.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {}
        }
    };
    tokio::select! {
        () = served => unreachable!(),
        done = work(client) => done,
    }
}

fn job() -> JobSpec {
    JobSpec { token: Secret::new("glcbt-7"), ..JobSpec::new("7", "build") }
}

async fn end(answer: &[u8]) -> Result<runner_core::source::Completion> {
    with_server(answer, async |client| {
        GitLabReport::new(client, &job()).complete(&JobOutcome::Succeeded, None).await
    })
    .await
}

#[tokio::test]
async fn the_page_of_a_proxy_ends_no_job() {
    for page in [NOT_THERE, WALL] {
        let error = end(page).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert!(!error.chain().contains("<h1>") && !error.chain().contains("backend"), "{}", error.chain());
        let beat = with_server(page, async |client| {
            GitLabReport::new(client, &job()).heartbeat(JobState::Running).await
        });
        assert!(beat.await.unwrap_err().is_retryable());
    }
}

#[tokio::test]
async fn of_a_runner_that_has_other_machines_only_this_one_is_removed() {
    for (token, path) in [("glrt-1", "/api/v4/runners/managers"), ("old-1", "/api/v4/runners")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::new(&Connection::new(url)).unwrap();
        let asked = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            request
        };
        let token = Secret::new(token);
        let (request, removed) = tokio::join!(asked, unregister(&client, &token, "s_test"));
        removed.unwrap();
        assert!(request.starts_with(&format!("DELETE {path} HTTP/1.1\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_name_is_resolved() {
    let gitlab = GitLab::start().await.unwrap();
    gitlab.queue(JobPayload::new("build"));
    let url = gitlab.url().replace("127.0.0.1", "localhost");
    let source = GitLabSource::new(settings_at(&url, gitlab.runner_token())).unwrap();
    next(&source).await.unwrap();
}

#[tokio::test]
async fn an_error_names_the_request_as_the_server_does() {
    let error = with_server(REFUSED, async |client| GitLabReport::new(client, &job()).accept().await);
    let text = error.await.unwrap_err().chain();
    assert!(text.contains("403 Forbidden") && text.contains("request 01HREQ"), "{text}");
}

#[tokio::test]
async fn nonsense_instead_of_an_answer_is_tried_again() {
    for nonsense in
        [&b"220 smtp.example ESMTP\r\n"[..], b"", b"HTTP/1.1 200", b"\x15\x03\x01\x00\x02\x02\x16"]
    {
        assert!(end(nonsense).await.unwrap_err().is_retryable(), "{nonsense:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    let mut endless = b"HTTP/1.1 200 OK\r\n".to_vec();
    endless.extend((0..200_000).flat_map(|line| format!("X-{line}: y\r\n").into_bytes()));
    assert!(end(&endless).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn an_upload_that_is_refused_before_it_was_sent_whole_says_why() {
    let refusal =
        b"HTTP/1.1 413 Payload Too Large\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\
        Connection: close\r\n\r\n{\"message\":\"413 Too large file\"}";
    let artifact = ArtifactUpload {
        filename: "a.zip".into(),
        kind: "archive".into(),
        format: ArtifactFormat::Zip,
        expire_in: None,
    };
    let error = with_server(refusal, async |client| {
        let body = tokio::io::repeat(b'x').take(64 << 20);
        GitLabArtifacts::new(client, &job()).upload(&artifact, Box::new(body)).await
    });
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Exhausted);
}

#[tokio::test]
async fn an_archive_that_breaks_off_is_an_error_of_its_stream() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nPK half of it";
    with_server(half, async |client| {
        let earlier = Dependency { id: Some(JobId::new("6")), ..Dependency::default() };
        let mut stream = GitLabArtifacts::new(client, &job()).download(&earlier).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap_err();
        assert_eq!(bytes, b"PK half of it");
    })
    .await;
}

/// Takes a job through a proxy, and returns what the proxy was asked for.
async fn through_proxy(proxies: impl FnOnce(Secret) -> Proxies, gitlab: &GitLab) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Secret::new(format!("http://me:secret@{}", listener.local_addr().unwrap()));
    let connection = Connection { proxies: proxies(proxy), ..Connection::new(gitlab.url()) };
    let source = GitLabSource::new(SourceSettings { connection, ..settings(gitlab) }).unwrap();
    gitlab.queue(JobPayload::new("build"));
    let asked = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await
    };
    tokio::select! {
        request = asked => Some(request),
        lease = next(&source) => lease.map(|_| None).unwrap(),
    }
}

#[tokio::test]
async fn a_proxy_is_used_unless_the_server_is_excepted() {
    let gitlab = GitLab::start().await.unwrap();
    let http = |proxy| Proxies { http: Some(proxy), ..Proxies::default() };
    let asked = through_proxy(http, &gitlab).await.unwrap();
    assert!(asked.starts_with(&format!("POST {}/api/v4/jobs/request", gitlab.url())), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("proxy-authorization: basic "), "{asked}");
    let https = |proxy| Proxies { https: Some(proxy), ..Proxies::default() };
    assert_eq!(through_proxy(https, &gitlab).await, None);
    let except =
        |proxy| Proxies { http: Some(proxy), except: Some("127.0.0.0/8".into()), ..Proxies::default() };
    assert_eq!(through_proxy(except, &gitlab).await, None);
    assert_eq!(gitlab.count(Endpoint::Request), 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_answer_has_begun_is_read_to_its_end_though_nobody_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let source = GitLabSource::new(settings_at(&url, "glrt-1")).unwrap();
    let stop = CancellationToken::new();
    let slow_server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let head = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n";
        stream.write_all(head).await.unwrap();
        stop.cancel();
        // Longer than a request is given that nobody waits for.
        tokio::time::sleep(Duration::from_secs(20)).await;
        stream.write_all(b"{\"id\":7,\"token\":\"glcbt\"}").await.unwrap();
        stream
    };
    let (early, _stream) = tokio::join!(source.next(ROOM, &stop), slow_server);
    assert!(early.unwrap().is_none());
    assert_eq!(next(&source).await.unwrap().job.id.as_str(), "7");
}

#[tokio::test]
async fn a_stored_job_is_gone_on_with_while_a_proxy_has_lost_gitlab() {
    let resumed: Result<JobLease> = with_server(NOT_THERE, async |client| {
        let url = format!("{client:?}");
        let (_, url) = url.split_once("http://").unwrap();
        let (address, _) = url.split_once('/').unwrap();
        let source = GitLabSource::new(settings_at(&format!("http://{address}"), "glrt-1")).unwrap();
        let saved = SavedLease { runner: "mine".into(), job: job().into(), state: Secret::default() };
        source.resume(saved).await
    })
    .await;
    assert_eq!(resumed.unwrap().job.id.as_str(), "7");
}
