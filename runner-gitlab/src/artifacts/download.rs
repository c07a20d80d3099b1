//! A download: redirects are followed by hand, and what comes is streamed.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::{Method, Url};
use runner_core::{Error, ErrorKind, Result, Secret, artifact::ByteStream, job::Dependency};
use tokio::time::sleep;
use tokio_util::io::StreamReader;

use super::GitLabArtifacts;
use crate::{
    answer::Answer,
    client::secret_header,
    fault::fault,
    retry::{DOWNLOAD_PAUSE, DOWNLOADS},
};

const DOING: &str = "download artifacts";
/// The server sends to its store, which may send to another place.
const REDIRECTS: usize = 10;

/// Asks for the archive of an earlier job, a few times where the server does not answer.
pub(super) async fn begin(store: &GitLabArtifacts, dependency: &Dependency) -> Result<ByteStream> {
    let Some(id) = &dependency.id else {
        return Err(Error::new(ErrorKind::Invalid, "download artifacts of a job without an id"));
    };
    let mut url = store.client.endpoint(&["jobs", id.as_str(), "artifacts"]);
    url.set_query(Some("direct_download=true"));
    let mut pause = DOWNLOAD_PAUSE;
    for _ in 1..DOWNLOADS {
        match follow(store, url.clone(), &dependency.token).await {
            Err(error) if error.is_retryable() => {
                tracing::debug!(error = error.chain(), "a download is tried again");
            }
            done => return done.map(into_stream),
        }
        sleep(pause).await;
        pause *= 2;
    }
    follow(store, url, &dependency.token).await.map(into_stream)
}

/// Follows redirects to the archive itself. Only the server that the token is for ever sees it.
async fn follow(store: &GitLabArtifacts, home: Url, token: &Secret) -> Result<Answer> {
    let token = secret_header(token)?;
    let mut url = home.clone();
    for _ in 0..=REDIRECTS {
        store.gate.pass().await;
        let is_home = url.origin() == home.origin();
        let mut request = store.client.request(Method::GET, url.clone());
        if is_home {
            request = request.header("JOB-TOKEN", token.clone());
        }
        let limit = store.client.connection().response_timeout;
        let answer = store.client.send_within(limit, DOING, request).await?;
        if is_home {
            store.gate.note(&answer.head);
        }
        let status = answer.head.status;
        if status.is_success() {
            return Ok(answer);
        }
        let next = answer.head.location().and_then(|to| url.join(to).ok());
        match next.filter(|next| status.is_redirection() && matches!(next.scheme(), "http" | "https")) {
            Some(next) => {
                answer.drain().await;
                url = next;
            }
            None => return Err(explained(is_home, status.as_u16(), fault(DOING, answer).await)),
        }
    }
    Err(Error::new(ErrorKind::Invalid, "download artifacts: the server redirects in a circle")
        .with("redirects", REDIRECTS))
}

fn explained(is_home: bool, status: u16, error: Error) -> Error {
    match status {
        401 if is_home => error.with("hint", "they are given to running jobs only, and this one is over"),
        404 if is_home => error.with("hint", "they are gone or expired: run that job again"),
        _ if !is_home => error.with("hint", "the store that the server sends to said so"),
        _ => error,
    }
}

fn into_stream(answer: Answer) -> ByteStream {
    let pieces = stream::unfold(Some(answer), |answer| async move {
        let mut answer = answer?;
        match answer.piece().await {
            Ok(Some(piece)) => Some((io::Result::<Bytes>::Ok(piece), Some(answer))),
            Ok(None) => None,
            Err(error) => Some((Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)), None)),
        }
    });
    Box::new(StreamReader::new(pieces.boxed()))
}
