//! How spans get to their collector: by the client of HTTP that everything else uses.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

/// Sends what the exporter gives it. That has a thread of its own without a runtime, so it is done in ours.
#[derive(Debug)]
pub(super) struct Post {
    client: reqwest::Client,
    runtime: Handle,
}

impl Post {
    /// Must be called within a runtime, which must outlive the exporter.
    pub(super) fn new(client: reqwest::Client) -> Self {
        Self { client, runtime: Handle::current() }
    }
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let answered = self.runtime.spawn(async move {
            let answer = client.execute(request).await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                headers.clone_from(answer.headers());
            }
            Ok::<_, HttpError>(response.body(answer.bytes().await?)?)
        });
        answered.await?
    }
}
