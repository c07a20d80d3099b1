//! Signs requests: ours, and those that a holder of a grant will send.

use std::{collections::BTreeMap, time::Duration};

use http::request::Parts;
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::{Context, SignRequest, time::Timestamp};
use reqwest::{Method, header::HeaderMap};
use runner_core::{Error, ErrorKind, Result, Secret, SignedUrl};

use super::{credentials, settings::LONGEST};

/// A signed address is not used in its last seconds: a transfer may be about to begin, and clocks differ.
const MARGIN: Duration = Duration::from_secs(30);

/// Signs with one credential, for one region.
pub(crate) struct Signer {
    credential: Credential,
    requests: RequestSigner,
    /// How long what is signed may be used.
    lifetime: Duration,
    expires: u64,
}

impl Signer {
    /// What this signs is good for `lifetime`, or for as long as the credential is.
    pub(crate) fn new(credential: Credential, region: &str, lifetime: Duration) -> Self {
        let now = Timestamp::now().as_second();
        let ends = credential.expires_in.map(|end| end.as_second().saturating_sub(now).saturating_sub(1));
        let ends = ends.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
        let lifetime = lifetime.min(LONGEST).min(ends.unwrap_or(LONGEST)).max(Duration::from_secs(1));
        let expires = u64::try_from(now).unwrap_or_default() + lifetime.saturating_sub(MARGIN).as_secs();
        // A bucket's name must not decide how a token is sent.
        let requests = RequestSigner::new("s3", region).with_standard_session_token();
        Self { credential, requests, lifetime, expires }
    }

    /// The headers of a request that we send ourselves.
    pub(crate) async fn headers(
        &self,
        method: &Method,
        address: &str,
        headers: &[(&'static str, String)],
    ) -> Result<HeaderMap> {
        let mut parts = parts(method, address, headers)?;
        self.sign(&mut parts, None).await?;
        Ok(parts.headers)
    }

    /// An address that carries its signature. `headers` are signed as well, so that whoever uses it must send them.
    pub(crate) async fn url(
        &self,
        method: &Method,
        address: &str,
        headers: &[(&'static str, String)],
    ) -> Result<SignedUrl> {
        let mut parts = parts(method, address, headers)?;
        self.sign(&mut parts, Some(self.lifetime)).await?;
        Ok(SignedUrl {
            url: Secret::new(parts.uri.to_string()),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect::<BTreeMap<_, _>>(),
            expires: self.expires,
        })
    }

    async fn sign(&self, parts: &mut Parts, expires: Option<Duration>) -> Result<()> {
        let context = Context::new();
        self.requests
            .sign_request(&context, parts, Some(&self.credential), expires)
            .await
            .map_err(credentials::of)
    }
}

fn parts(method: &Method, address: &str, headers: &[(&'static str, String)]) -> Result<Parts> {
    let mut request = http::Request::builder().method(method.clone()).uri(address);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let made = request.body(()).map(|request| request.into_parts().0);
    made.map_err(|cause| {
        Error::new(ErrorKind::Invalid, "make the address of a cache's object").because(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(session: Option<&str>, ends_in: Option<Duration>) -> Signer {
        let credential = Credential {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "the-secret-key".into(),
            session_token: session.map(Into::into),
            expires_in: ends_in.map(|span| Timestamp::now() + span),
        };
        Signer::new(credential, "eu-west-1", Duration::from_hours(3))
    }

    async fn put(signer: &Signer) -> SignedUrl {
        let headers = [("x-amz-server-side-encryption", "AES256".to_owned())];
        signer.url(&Method::PUT, "https://cache.example/a%20b", &headers).await.unwrap()
    }

    #[tokio::test]
    async fn an_address_carries_its_signature_and_the_headers_to_send() {
        let signed = put(&signer(None, None)).await;
        let url = signed.url.expose();
        for part in [
            "https://cache.example/a%20b?",
            "X-Amz-Expires=10800",
            "%2Feu-west-1%2Fs3%2Faws4_request",
            "X-Amz-SignedHeaders=host%3Bx-amz-server-side-encryption",
            "X-Amz-Signature=",
        ] {
            assert!(url.contains(part), "{part} in {url}");
        }
        assert!(!url.contains("the-secret-key") && !url.contains("Security-Token"));
        assert_eq!(signed.headers["x-amz-server-side-encryption"], "AES256");
    }

    #[tokio::test]
    async fn an_address_ends_with_the_credentials_that_signed_it() {
        let signed = put(&signer(Some("token"), Some(Duration::from_mins(10)))).await;
        let url = signed.url.expose();
        assert!(url.contains("X-Amz-Security-Token=token"), "{url}");
        let expires = url.split("X-Amz-Expires=").nth(1).and_then(|rest| rest.split('&').next());
        assert!(expires.unwrap().parse::<u64>().unwrap() < 600, "{url}");
    }
}
