//! What a store lacks, said before the first job with what mends it.

use bytes::Bytes;
use reqwest::Method;
use runner_core::{Error, ErrorKind, Finding, Severity};

use super::{
    address::FIRST_REGION,
    client::{Answer, Ask, Client},
    refusal::Refusal,
};

/// Stores refuse a request whose time is a quarter of an hour off.
const SKEW: i64 = 5 * 60;

/// What is written to see whether something can be written.
const PROBE: &str = "check";

/// What is missing for jobs to have a cache in the bucket, below `prefix`.
pub(crate) async fn check(client: &Client, prefix: &str, create: bool) -> Vec<Finding> {
    let mut findings: Vec<Finding> = skew(client).await.into_iter().collect();
    findings.extend(bucket(client, prefix, create).await);
    findings
}

async fn skew(client: &Client) -> Option<Finding> {
    let skew = client.clock_skew().await.filter(|skew| skew.abs() > SKEW)?;
    let way = if skew > 0 { "behind" } else { "ahead of" };
    Some(warning(
        format!(
            "The clock here is {} s {way} the one of the cache's store, which refuses what is signed then.",
            skew.abs()
        ),
        "set the clock: timedatectl set-ntp true".into(),
    ))
}

async fn bucket(client: &Client, prefix: &str, create: bool) -> Option<Finding> {
    let query = [("list-type", "2"), ("max-keys", "1"), ("prefix", prefix)];
    let list = Ask { query: &query, limit: 1 << 20, ..Ask::new("list the cache's bucket", Method::GET, "") };
    match client.send(&list).await {
        Ok(Answer::Done(_)) => probe(client, prefix).await,
        Ok(Answer::Refused(refusal)) if refusal.is_without_bucket() => {
            if !create {
                return Some(missing(client));
            }
            match make(client).await {
                Ok(None) => probe(client, prefix).await,
                Ok(Some(refusal)) => Some(refused(client, "make the bucket", "s3:CreateBucket", &refusal)),
                Err(error) => Some(unreachable(client, &error)),
            }
        }
        // Keys that may not list may still read and write.
        Ok(Answer::Refused(refusal)) if refusal.is_forbidden() => probe(client, prefix).await,
        Ok(Answer::Refused(refusal)) => Some(refused(client, "use the bucket", "s3:ListBucket", &refusal)),
        Err(error) => Some(unreachable(client, &error)),
    }
}

/// Makes the bucket; why not, where the store refuses.
async fn make(client: &Client) -> runner_core::Result<Option<Refusal>> {
    let region = client.region();
    let body = if region == FIRST_REGION {
        Bytes::new()
    } else {
        Bytes::from(format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        ))
    };
    let ask = Ask { body, ..Ask::new("make the cache's bucket", Method::PUT, "") };
    match client.send(&ask).await? {
        Answer::Done(_) => Ok(None),
        // Another manager was quicker.
        Answer::Refused(refusal) if refusal.code == "BucketAlreadyOwnedByYou" => Ok(None),
        Answer::Refused(refusal) => Ok(Some(refusal)),
    }
}

/// Writes, reads and removes an object, with everything that an object of a job has.
async fn probe(client: &Client, prefix: &str) -> Option<Finding> {
    let key = format!("{prefix}{PROBE}");
    let steps = [
        (Method::PUT, "write to the bucket", "s3:PutObject"),
        (Method::GET, "read from the bucket", "s3:GetObject"),
    ];
    for (method, what, permission) in steps {
        let body = if method == Method::PUT { Bytes::from_static(b"x") } else { Bytes::new() };
        let ask = Ask { body, ..Ask::new("try the cache's bucket", method, &key) };
        match client.send(&ask).await {
            Ok(Answer::Done(_)) => {}
            Ok(Answer::Refused(refusal)) => return Some(refused(client, what, permission, &refusal)),
            Err(error) => return Some(unreachable(client, &error)),
        }
    }
    // Who may not remove has a cache as well; a lifecycle policy removes then.
    drop(client.send(&Ask::new("try the cache's bucket", Method::DELETE, &key)).await);
    None
}

fn missing(client: &Client) -> Finding {
    let (bucket, store) = (&client.settings().bucket, client.address().origin());
    warning(
        format!("There is no bucket {bucket} at {store}, so jobs run without a cache."),
        format!("{}, or set `create_bucket = true` in [runners.cache]", making(client)),
    )
}

/// The command that makes the bucket.
fn making(client: &Client) -> String {
    let (settings, region) = (client.settings(), client.region());
    let bucket = &settings.bucket;
    match &settings.address {
        Some(address) if !super::address::is_amazon(address) => {
            let scheme = if settings.is_insecure { "http" } else { "https" };
            format!("aws --endpoint-url {scheme}://{address} s3 mb s3://{bucket}")
        }
        _ => format!("aws s3 mb s3://{bucket} --region {region}"),
    }
}

/// What a refusal means, and what mends it.
fn refused(client: &Client, what: &str, permission: &str, refusal: &Refusal) -> Finding {
    let settings = client.settings();
    let (bucket, store) = (&settings.bucket, client.address().origin());
    let said =
        if refusal.code.is_empty() { format!("status {}", refusal.status) } else { refusal.code.clone() };
    let message = |why: &str| {
        format!("Jobs run without a cache: the store at {store} refuses to {what} {bucket}: {why} ({said}).")
    };
    if refusal.is_elsewhere() {
        let (is, asked) = (&refusal.region, client.region());
        let region = if is.is_empty() { "the region of the bucket" } else { is };
        return warning(
            message(&format!("it is not in the region {asked}")),
            format!("BucketLocation = \"{region}\" in [runners.cache.s3]"),
        );
    }
    let (why, mend) = match refusal.code.as_str() {
        "InvalidAccessKeyId" | "NotSignedUp" | "XAdminUserNotFound" | "InvalidToken" | "ExpiredToken" | "TokenRefreshRequired" => {
            ("it does not know the access key, or no longer", "set AccessKey and SecretKey in [runners.cache.s3] to keys that the store knows: aws sts get-caller-identity".to_owned())
        }
        "SignatureDoesNotMatch" => ("the secret key is not that of the access key", "set SecretKey in [runners.cache.s3] to the one that belongs to AccessKey".to_owned()),
        "RequestTimeTooSkewed" => ("the clocks differ too much", "set the clock: timedatectl set-ntp true".to_owned()),
        "BucketAlreadyExists" => ("the name belongs to somebody else", "choose another BucketName in [runners.cache.s3]".to_owned()),
        _ if refusal.is_forbidden() => ("the access key may not", format!("allow it {permission} on arn:aws:s3:::{bucket}/*: docs/cache.md has the whole policy")),
        "" if refusal.status == 400 && settings.is_insecure => {
            ("it may want TLS", "set `Insecure = false` in [runners.cache.s3]".to_owned())
        }
        _ if refusal.is_passing() => ("it is not well", format!("look at the store: curl -v {store}")),
        _ => (refusal.message.as_str(), format!("look at [runners.cache.s3], and at the store: curl -v {store}")),
    };
    warning(message(why), mend)
}

fn unreachable(client: &Client, error: &Error) -> Finding {
    let store = client.address().origin();
    let text = error.chain();
    let mend = if error.kind() == ErrorKind::Unauthorized {
        "set AccessKey and SecretKey in [runners.cache.s3], or give the machine or the service account a role"
            .to_owned()
    } else if text.contains("certificate") || text.contains("UnknownIssuer") {
        "name the authority of its certificate: tls-ca-file in [[runners]]".to_owned()
    } else if text.contains("InvalidContentType") || text.contains("corrupt message") {
        "set `Insecure = true` in [runners.cache.s3]: it speaks no TLS".to_owned()
    } else {
        format!("look whether it answers from here: curl -v {store}")
    };
    warning(format!("Jobs run without a cache: the store at {store} cannot be used: failed to {text}."), mend)
}

fn warning(message: String, mend: String) -> Finding {
    Finding { severity: Severity::Warning, message, mend }
}
