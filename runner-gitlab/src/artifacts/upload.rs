//! An upload: a form with one part, streamed.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::{Body, Method, Url, header::CONTENT_TYPE};
use runner_core::{
    ArtifactUpload, Error, Result,
    artifact::ByteStream,
    job::{ArtifactFormat, artifact::FOREVER},
};
use tokio_util::io::ReaderStream;

use super::GitLabArtifacts;
use crate::{client::secret_header, fault::fault};

const PIECE: usize = 64 << 10;
const DOING: &str = "upload an artifact";

/// Sends `body` as one artifact.
pub(super) async fn send(store: &GitLabArtifacts, artifact: &ArtifactUpload, body: ByteStream) -> Result<()> {
    store.gate.pass().await;
    let boundary = boundary();
    let request = store
        .client
        .request(Method::POST, address(store, artifact))
        .header("JOB-TOKEN", secret_header(&store.job.token)?)
        .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
        .body(form(&boundary, &artifact.filename, body));
    let connection = store.client.connection();
    let limit = connection.upload_timeout + connection.response_timeout;
    let answer = store.client.send_within(limit, DOING, request).await?;
    store.gate.note(&answer.head);
    if answer.head.status.is_success() {
        answer.drain().await;
        return Ok(());
    }
    let status = answer.head.status.as_u16();
    Err(explained(status, fault(DOING, answer).await))
}

fn explained(status: u16, error: Error) -> Error {
    match status {
        413 => error.with("hint", "it is larger than the project or the instance allows"),
        400 => error.with("hint", "the job may have another artifact of this type already"),
        _ => error,
    }
}

fn address(store: &GitLabArtifacts, artifact: &ArtifactUpload) -> Url {
    let format = match artifact.format {
        ArtifactFormat::Zip => "zip",
        ArtifactFormat::Gzip => "gzip",
        ArtifactFormat::Raw => "raw",
    };
    let mut url = store.client.endpoint(&["jobs", &store.job.id, "artifacts"]);
    let mut query = url.query_pairs_mut();
    query.append_pair("artifact_format", format).append_pair("artifact_type", &artifact.kind);
    if let Some(kept) = artifact.expire_in {
        let kept = if kept == FOREVER { "never".into() } else { format!("{} seconds", kept.as_secs()) };
        query.append_pair("expire_in", &kept);
    }
    drop(query);
    url
}

/// A form whose one part is the file. Its length is not known, so it is sent in chunks; where `body` fails, the request
/// breaks off and counts for nothing.
fn form(boundary: &str, filename: &str, body: ByteStream) -> Body {
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n",
        escaped(filename)
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let fixed = |text: String| stream::iter([io::Result::Ok(Bytes::from(text))]);
    let body = ReaderStream::with_capacity(body, PIECE);
    Body::wrap_stream(fixed(head).chain(body).chain(fixed(tail)))
}

/// A text that is in no artifact: 32 random letters, of the hasher that the standard library seeds anew.
fn boundary() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = || RandomState::new().hash_one(0);
    format!("----runner{:016x}{:016x}", random(), random())
}

/// A file's name as forms have it.
fn escaped(filename: &str) -> String {
    let mut name = String::with_capacity(filename.len());
    for letter in filename.chars() {
        match letter {
            '"' => name.push_str("%22"),
            '\r' => name.push_str("%0D"),
            '\n' => name.push_str("%0A"),
            other => name.push(other),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runner_core::{JobSpec, Secret};

    use super::*;
    use crate::{client::Client, connection::Connection};

    fn store() -> GitLabArtifacts {
        let client = Client::new(&Connection::new("https://gitlab.example")).unwrap();
        let job = JobSpec { token: Secret::new("t"), ..JobSpec::new("7", "build") };
        GitLabArtifacts::new(client, &job)
    }

    fn query(expire_in: Option<Duration>) -> String {
        let artifact = ArtifactUpload {
            filename: "a.xml.gz".into(),
            kind: "junit".into(),
            format: ArtifactFormat::Gzip,
            expire_in,
        };
        address(&store(), &artifact).query().unwrap_or_default().to_owned()
    }

    #[test]
    fn options_stand_in_the_query() {
        assert_eq!(query(None), "artifact_format=gzip&artifact_type=junit");
        assert!(query(Some(Duration::from_hours(1))).ends_with("&expire_in=3600+seconds"));
        assert!(query(Some(FOREVER)).ends_with("&expire_in=never"));
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        assert_eq!(escaped("a\"; name=\"b\r\nX: y"), "a%22; name=%22b%0D%0AX: y");
        assert_eq!(escaped("ä b.zip"), "ä b.zip");
    }

    #[test]
    fn a_boundary_is_never_used_twice() {
        assert_ne!(boundary(), boundary());
    }
}
