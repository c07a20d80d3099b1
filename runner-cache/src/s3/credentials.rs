//! What is shown to a store: keys, or what a role gives for a while.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use reqsign_aws_v4::{
    AssumeRoleCredentialProvider, Credential, DefaultCredentialProvider, RequestSigner,
    StaticCredentialProvider,
};
use reqsign_core::{
    Context, FileRead, HttpSend, ProvideCredentialDyn, Signer, SigningCredential, StaticEnv, time::Timestamp,
};
use runner_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use super::settings::{S3Credentials, S3Settings};

/// Credentials that end before what is to be signed does are asked for anew, but not more often than this.
const PAUSE: Duration = Duration::from_mins(5);
/// How long a service of a role or of a machine may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

type Provider = Arc<dyn ProvideCredentialDyn<Credential = Credential>>;

/// Gives credentials, and keeps them until they end.
pub(crate) struct Credentials {
    provider: Provider,
    context: Context,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    credential: Credential,
    since: Timestamp,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Those of `settings`, in the role `role`.
    pub(crate) fn new(
        settings: &S3Settings,
        role: Option<&str>,
        http: reqwest::Client,
        region: &str,
    ) -> Self {
        let envs = settings.environment.clone().into_iter().collect();
        let home_dir = settings.environment.get("HOME").map(Into::into);
        let context = Context::new()
            .with_env(StaticEnv { home_dir, envs })
            .with_file_read(Files)
            .with_http_send(Http(http));
        let own: Provider = match &settings.credentials {
            S3Credentials::Keys { access_key, secret_key, session_token } => {
                let keys = StaticCredentialProvider::new(access_key.expose(), secret_key.expose());
                match session_token.expose() {
                    "" => Arc::new(keys),
                    token => Arc::new(keys.with_session_token(token)),
                }
            }
            S3Credentials::Machine => Arc::new(DefaultCredentialProvider::new()),
        };
        let provider: Provider = match role {
            None => own,
            Some(role) => {
                let signer = Signer::new(context.clone(), own, RequestSigner::new("sts", region));
                let assumed = AssumeRoleCredentialProvider::new(role.to_owned(), signer);
                let assumed = assumed.with_role_session_name("runner-cache".to_owned());
                Arc::new(assumed.with_region(region.to_owned()).with_regional_sts_endpoint())
            }
        };
        Self { provider, context, kept: Mutex::default() }
    }

    /// Credentials that are good for `lifetime`, or for as long as there are any.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] where nothing gives any, [`ErrorKind::Unavailable`] where what gives them does not answer.
    ///
    /// # Cancellation
    /// May be dropped.
    pub(crate) async fn get(&self, lifetime: Duration) -> Result<Credential> {
        let mut kept = self.kept.lock().await;
        let now = Timestamp::now();
        if let Some(Kept { credential, since }) = kept.as_ref()
            && credential.is_valid()
            && (credential.is_valid_at(now + lifetime) || *since + PAUSE > now)
        {
            return Ok(credential.clone());
        }
        let asked = self.provider.provide_credential_dyn(&self.context).await;
        match (asked, kept.as_ref()) {
            (Ok(Some(credential)), _) => {
                *kept = Some(Kept { credential: credential.clone(), since: now });
                Ok(credential)
            }
            // What is there still is good for a while.
            (_, Some(Kept { credential, .. })) if credential.is_valid() => Ok(credential.clone()),
            (Ok(None), _) => {
                Err(Error::new(ErrorKind::Unauthorized, "find credentials for the cache's store")
                    .with("asked", "environment, files, web identity, metadata of the machine"))
            }
            (Err(cause), _) => Err(of(cause)),
        }
    }
}

/// Its message, and not its whole chain: that may quote an answer with credentials in it.
pub(crate) fn of(cause: reqsign_core::Error) -> Error {
    let kind = if cause.is_retryable() { ErrorKind::Unavailable } else { ErrorKind::Unauthorized };
    Error::new(kind, "get credentials for the cache's store").with("because", cause)
}

/// Reads the files that credentials are in.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || fs_err::read(path)).await;
        read.map_err(std::io::Error::other).flatten().map_err(|cause| {
            reqsign_core::Error::config_invalid("a file of credentials cannot be read").with_source(cause)
        })
    }
}

/// Asks the services that give credentials.
#[derive(Debug)]
struct Http(reqwest::Client);

impl HttpSend for Http {
    async fn http_send(&self, request: http::Request<Bytes>) -> reqsign_core::Result<http::Response<Bytes>> {
        let failed = |cause: reqwest::Error| {
            reqsign_core::Error::unexpected("a service of credentials does not answer")
                .with_source(cause.without_url())
                .set_retryable(true)
        };
        let (parts, body) = request.into_parts();
        let address = parts.uri.to_string();
        let sent = self.0.request(parts.method, address).headers(parts.headers).body(body).timeout(ANSWER);
        let response = sent.send().await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = http::Response::new(response.bytes().await.map_err(failed)?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}
