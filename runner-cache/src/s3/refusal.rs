//! What a store says when it does not do what it was asked for.

use reqwest::{StatusCode, header::HeaderMap};
use runner_core::{Error, ErrorKind};
use serde::Deserialize;

/// So much of a store's words is told.
const TOLD: usize = 200;

/// Why a store refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Refusal {
    /// One of the codes of S3; empty where the answer has none.
    pub(crate) code: String,
    /// The store's words.
    pub(crate) message: String,
    /// The region that the store wants.
    pub(crate) region: String,
    /// The status of the answer.
    #[serde(skip)]
    pub(crate) status: u16,
}

impl Refusal {
    /// What an answer says.
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let parsed =
            std::str::from_utf8(body).ok().and_then(|text| quick_xml::de::from_str::<Self>(text).ok());
        let mut refusal = parsed.unwrap_or_default();
        refusal.status = status.as_u16();
        if let Some(region) = headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok()) {
            region.clone_into(&mut refusal.region);
        }
        for text in [&mut refusal.code, &mut refusal.message, &mut refusal.region] {
            *text = text.chars().filter(|letter| !letter.is_control()).take(TOLD).collect();
        }
        refusal
    }

    /// Whether there is no such object.
    pub(crate) fn is_missing(&self) -> bool {
        self.code == "NoSuchKey" || (self.status == 404 && self.code.is_empty())
    }

    /// Whether there is no such bucket. The status alone does not say so: stores use it for unknown keys as well.
    pub(crate) fn is_without_bucket(&self) -> bool {
        self.code == "NoSuchBucket" || (self.status == 404 && self.code.is_empty())
    }

    /// Whether the key is known and may not do this. A store says so of an object that is not there as well, where the
    /// key may not list.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AllAccessDisabled")
            || (self.status == 403 && self.code.is_empty())
    }

    /// Whether the bucket is in another region than the one that was asked.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(
            self.code.as_str(),
            "PermanentRedirect"
                | "TemporaryRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
        ) || (matches!(self.status, 301 | 307) && !self.region.is_empty())
    }

    /// Whether another try may have another end.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 429 | 500 | 502 | 503 | 504)
    }

    /// What could not be done. `doing` completes "failed to …".
    pub(crate) fn into_error(self, doing: &str) -> Error {
        let kind = match self.status {
            _ if self.code == "NoSuchBucket" => ErrorKind::NotFound,
            404 => ErrorKind::NotFound,
            401 | 403 => ErrorKind::Unauthorized,
            409 | 412 => ErrorKind::Conflict,
            507 => ErrorKind::Exhausted,
            _ if self.is_passing() => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        let error = Error::new(kind, doing).with("status", self.status);
        match (self.code.is_empty(), self.message.is_empty()) {
            (true, _) => error,
            (false, true) => error.with("the store says", self.code),
            (false, false) => error.with("the store says", format!("{}: {}", self.code, self.message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Refusal {
        Refusal::of(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn the_code_of_an_answer_is_what_counts() {
        let text = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>The bucket\nis not there</Message><Extra/></Error>";
        let refusal = of(404, text);
        assert_eq!((refusal.code.as_str(), refusal.is_missing()), ("NoSuchBucket", false));
        assert_eq!(refusal.message, "The bucketis not there");
        assert!(of(404, "<Error><Code>NoSuchKey</Code></Error>").is_missing());
        assert!(of(404, "").is_missing() && of(404, "").is_without_bucket());
        let unknown = of(404, "<Error><Code>XAdminUserNotFound</Code></Error>");
        assert!(!unknown.is_missing() && !unknown.is_without_bucket(), "some stores say so of a key");
    }

    #[test]
    fn what_is_no_answer_of_a_store_is_told_by_its_status() {
        let refusal = of(502, "<html>");
        assert!(refusal.is_passing());
        let error = refusal.into_error("read");
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true));
    }

    #[test]
    fn a_region_is_learned_from_the_body_or_the_head() {
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
        let refusal = of(400, body);
        assert!(refusal.is_elsewhere());
        assert_eq!(refusal.region, "eu-west-1");
        let headers =
            HeaderMap::from_iter([("x-amz-bucket-region".parse().unwrap(), "eu-west-2".parse().unwrap())]);
        let refusal = Refusal::of(StatusCode::MOVED_PERMANENTLY, &headers, b"");
        assert!(refusal.is_elsewhere());
        assert_eq!(refusal.region, "eu-west-2");
    }
}
