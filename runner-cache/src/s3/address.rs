//! Where the objects of a bucket are.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runner_core::{Error, ErrorKind, Result};

use super::settings::S3Settings;

/// The region that is asked first, and that stores take which have none.
pub(crate) const FIRST_REGION: &str = "us-east-1";

/// What stands for itself in a path that is signed: RFC 3986's unreserved letters, and the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where a bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Scheme, host, and the bucket where it stands in the path; without a slash at the end.
    base: String,
}

impl Address {
    /// The bucket of `settings`, in a region.
    pub(crate) fn new(settings: &S3Settings, region: &str) -> Self {
        let bucket = &settings.bucket;
        let scheme = if settings.is_insecure { "http" } else { "https" };
        let host = match &settings.address {
            Some(host) if !is_amazon(host) => host.trim_end_matches('/').to_owned(),
            _ => amazon(settings, region),
        };
        // A certificate for `*.host` is good for one more name, and a name has no underscore.
        let fits = is_host_name(bucket) && (settings.is_insecure || !bucket.contains('.'));
        let base = if !settings.path_style && fits {
            format!("{scheme}://{bucket}.{host}")
        } else {
            format!("{scheme}://{host}/{}", utf8_percent_encode(bucket, PATH))
        };
        Self { base }
    }

    /// Where an object is; an empty key for the bucket itself.
    pub(crate) fn of(&self, key: &str, query: &[(&str, &str)]) -> String {
        let mut url = format!("{}/{}", self.base, utf8_percent_encode(key, PATH));
        for (number, (name, value)) in query.iter().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            url.push(mark);
            url.extend(utf8_percent_encode(name, QUERY));
            url.push('=');
            url.extend(utf8_percent_encode(value, QUERY));
        }
        url
    }

    /// The address of the store, for people.
    pub(crate) fn origin(&self) -> String {
        let (scheme, rest) = self.base.split_once("://").unwrap_or_default();
        format!("{scheme}://{}", rest.split('/').next().unwrap_or_default())
    }
}

/// Whether the address is the one of Amazon that stands for all regions.
pub(crate) fn is_amazon(host: &str) -> bool {
    host.trim_end_matches(":443") == "s3.amazonaws.com"
}

fn amazon(settings: &S3Settings, region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    match (settings.accelerate, settings.dual_stack) {
        (true, true) => format!("s3-accelerate.dualstack.{domain}"),
        (true, false) => format!("s3-accelerate.{domain}"),
        (false, true) => format!("s3.dualstack.{region}.{domain}"),
        (false, false) => format!("s3.{region}.{domain}"),
    }
}

fn is_host_name(bucket: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    bucket.split('.').all(|part| !part.is_empty() && part.chars().all(is_part))
}

/// What the names of all objects begin with, with a slash at its end; empty for nothing.
///
/// # Errors
/// [`ErrorKind::Invalid`] where a part of it would be taken for something else on the way.
pub(crate) fn prefix(text: &str) -> Result<String> {
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..") || part.contains(char::is_control)) {
        return Err(Error::new(ErrorKind::Invalid, "use the Path of a cache").with("Path", text));
    }
    Ok(parts.iter().fold(String::new(), |all, part| format!("{all}{part}/")))
}

#[cfg(test)]
mod tests {
    use runner_core::Secret;

    use super::*;
    use crate::s3::settings::S3Credentials;

    fn settings(address: &str) -> S3Settings {
        let (access_key, secret_key) = (Secret::new("a"), Secret::new("s"));
        let keys = S3Credentials::Keys { access_key, secret_key, session_token: Secret::default() };
        S3Settings::new(address, "cache", keys)
    }

    fn check(settings: &S3Settings, expected: &str) {
        assert_eq!(Address::new(settings, "eu-west-1").of("a/b c", &[]), expected);
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let minio = S3Settings { is_insecure: true, ..settings("minio:9000") };
        check(&minio, "http://minio:9000/cache/a/b%20c");
        check(&S3Settings { path_style: false, ..minio.clone() }, "http://cache.minio:9000/a/b%20c");
        let dots = S3Settings { path_style: false, bucket: "my.cache".into(), ..minio };
        check(&dots, "http://my.cache.minio:9000/a/b%20c");
        check(&S3Settings { is_insecure: false, ..dots }, "https://minio:9000/my.cache/a/b%20c");
        let odd = S3Settings { path_style: false, bucket: "My_cache".into(), ..settings("minio") };
        check(&odd, "https://minio/My_cache/a/b%20c");
    }

    #[test]
    fn amazon_has_an_address_for_each_region_and_way() {
        let amazon = S3Settings { address: None, path_style: false, ..settings("") };
        check(&amazon, "https://cache.s3.eu-west-1.amazonaws.com/a/b%20c");
        check(
            &S3Settings { address: Some("s3.amazonaws.com".into()), ..amazon.clone() },
            "https://cache.s3.eu-west-1.amazonaws.com/a/b%20c",
        );
        check(
            &S3Settings { dual_stack: true, ..amazon.clone() },
            "https://cache.s3.dualstack.eu-west-1.amazonaws.com/a/b%20c",
        );
        check(
            &S3Settings { accelerate: true, ..amazon.clone() },
            "https://cache.s3-accelerate.amazonaws.com/a/b%20c",
        );
        let china = Address::new(&amazon, "cn-north-1");
        assert_eq!(china.origin(), "https://cache.s3.cn-north-1.amazonaws.com.cn");
    }

    #[test]
    fn a_prefix_never_leads_elsewhere() {
        let check = |text: &str, expected: &str| assert_eq!(prefix(text).unwrap(), expected);
        check("", "");
        check("/", "");
        check("/ci//team/", "ci/team/");
        for wrong in ["..", "a/../b", "./a", "a\nb"] {
            assert_eq!(prefix(wrong).unwrap_err().kind(), ErrorKind::Invalid, "{wrong:?}");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        let address = Address::new(&settings("h"), FIRST_REGION);
        assert_eq!(
            address.of("", &[("list-type", "2"), ("prefix", "a/b&")]),
            "https://h/cache/?list-type=2&prefix=a%2Fb%26"
        );
    }
}
