//! Why an image is not there: the causes inside what kubelets and runtimes say about a pull.

use runner_core::FailureReason;

use super::{
    container::Seat,
    line::{any, bare, cite},
    waiting::{WaitCause, Waiting},
};

/// Why an image is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageTrouble {
    /// The registry has no such image.
    NotFound,
    /// The image is not made for the node's platform.
    NoPlatform,
    /// The registry wants credentials.
    Unauthorized,
    /// The registry denies access, or hides that the image does not exist.
    Denied,
    /// The registry limits the rate of pulls.
    RateLimited,
    /// The registry answers with an error of its own.
    RegistryFailed,
    /// Nothing listens where the registry should be.
    Unreachable,
    /// The registry does not answer in time.
    Slow,
    /// The registry's host name is not found.
    NoSuchHost,
    /// The connection to the registry broke.
    Cut,
    /// The node does not accept the registry's certificate.
    Certificate,
    /// The registry does not speak TLS.
    NoTls,
    /// The node's disk is full.
    DiskFull,
    /// What arrived is not what the registry announced.
    Corrupt,
    /// The image is not on the node, and its pull policy forbids to pull it.
    NeverPulled,
    /// The image's name is not valid.
    BadName,
    /// The image's signature is not accepted.
    Signature,
    /// The kubelet says only that it backs off.
    Unsaid,
    /// Something else.
    Other,
}

impl ImageTrouble {
    /// Whether waiting can't help.
    pub fn is_permanent(self) -> bool {
        matches!(
            self,
            Self::NotFound
                | Self::NoPlatform
                | Self::Unauthorized
                | Self::Denied
                | Self::Certificate
                | Self::NoTls
                | Self::NeverPulled
                | Self::BadName
                | Self::Signature
        )
    }

    fn reason(self) -> FailureReason {
        match self {
            Self::RateLimited
            | Self::RegistryFailed
            | Self::Unreachable
            | Self::Slow
            | Self::NoSuchHost
            | Self::Cut
            | Self::Corrupt => FailureReason::ExternalDependencyFailure,
            Self::DiskFull => FailureReason::RunnerSystemFailure,
            _ => FailureReason::ImagePullFailure,
        }
    }

    fn words(self, message: &str) -> String {
        let words = match self {
            Self::NotFound => "it does not exist in its registry",
            Self::NoPlatform => "it is not made for the platform of the node",
            Self::Unauthorized => "the registry wants credentials",
            Self::Denied => "the registry denies access to it, or it does not exist",
            Self::RateLimited => "the registry limits the rate of pulls",
            Self::RegistryFailed => "the registry answers with an error of its own",
            Self::Unreachable => "the registry is not reachable",
            Self::Slow => "the registry does not answer in time",
            Self::NoSuchHost => "the host name of the registry is not found",
            Self::Cut => "the registry cuts the connection",
            Self::Certificate => "the node does not accept the certificate of the registry",
            Self::NoTls => "the registry does not speak TLS",
            Self::DiskFull => "the disk of the node is full",
            Self::Corrupt => "what the registry sends is damaged",
            Self::NeverPulled => "it is not on the node, and the pull policy Never forbids to pull it",
            Self::BadName => "that is no valid name of an image",
            Self::Signature => "its signature is not accepted",
            Self::Unsaid => "pulling it failed, and the node tries again later",
            Self::Other => return format!("pulling it failed: {}", cite(core(message))),
        };
        words.to_owned()
    }
}

/// What is wrong with the image of `seat`, where the `reason` it waits for is one of images.
pub(super) fn waiting(seat: &Seat<'_>, reason: &str, message: &str) -> Option<Waiting> {
    let trouble = match reason {
        "ErrImageNeverPull" => ImageTrouble::NeverPulled,
        "InvalidImageName" => ImageTrouble::BadName,
        "SignatureValidationFailed" => ImageTrouble::Signature,
        "ErrImagePull" | "ImagePullBackOff" | "ImageInspectError" | "RegistryUnavailable" => {
            match inner(seat.image, message) {
                ImageTrouble::Other | ImageTrouble::Unsaid if reason == "RegistryUnavailable" => {
                    ImageTrouble::RegistryFailed
                }
                trouble => trouble,
            }
        }
        _ => return None,
    };
    let (image, who, why) = (seat.image, seat.words(), trouble.words(message));
    let whose = if seat.words().contains(image) {
        format!("the image of {who}")
    } else {
        format!("the image {image} of {who}")
    };
    let line = if trouble.is_permanent() {
        format!("cannot get {whose}: {why}")
    } else {
        format!("waiting for {whose}: {why}")
    };
    Some(Waiting {
        cause: WaitCause::Image(trouble),
        line,
        permanent: trouble.is_permanent(),
        reason: trouble.reason(),
        container: Some(seat.name.to_owned()),
    })
}

/// The message without what each pull of the runtime begins with.
fn core(message: &str) -> &str {
    ["desc = ", "failed to do request: ", "ErrImagePull: "]
        .iter()
        .find_map(|lead| message.rsplit_once(lead))
        .map_or(message, |(_, core)| core)
}

/// What decides, in this order: a later text may stand in a message together with an earlier one, which is more precise.
const TELLTALES: &[(ImageTrouble, &[&str])] = &[
    (
        ImageTrouble::NoPlatform,
        &[
            "no match for platform",
            "no matching manifest for",
            "no image found in image index",
            "no image found in manifest list",
        ],
    ),
    (ImageTrouble::RateLimited, &["toomanyrequests", "too many requests", "rate limit", "status code 429"]),
    (ImageTrouble::Certificate, &["x509:", "failed to verify certificate"]),
    (ImageTrouble::NoTls, &["server gave http response", "first record does not look like"]),
    (ImageTrouble::NoSuchHost, &["no such host", "server misbehaving", "name resolution", "lookup "]),
    (
        ImageTrouble::Unreachable,
        &["connection refused", "no route to host", "network is unreachable", "host is down"],
    ),
    (ImageTrouble::DiskFull, &["no space left on device", "disk quota exceeded"]),
    (
        ImageTrouble::RegistryFailed,
        &[
            "internal server error",
            "bad gateway",
            "service unavailable",
            "gateway time",
            "status code 5",
            "status: 5",
            "http status: 5",
        ],
    ),
    (ImageTrouble::Slow, &["i/o timeout", "handshake timeout", "deadline exceeded", "timed out", "timeout"]),
    (ImageTrouble::Signature, &["signature"]),
    (ImageTrouble::Denied, &["denied", "forbidden", "insufficient_scope"]),
    (
        ImageTrouble::Unauthorized,
        &[
            "unauthorized",
            "authentication required",
            "no basic auth",
            "username/password",
            "authorization failed",
        ],
    ),
    (
        ImageTrouble::Corrupt,
        &["failed size validation", "digest", "checksum", "unexpected content", "invalid tar"],
    ),
    (
        ImageTrouble::NotFound,
        &["manifest unknown", "name unknown", "not found", "does not exist", "status code 404"],
    ),
    (ImageTrouble::Cut, &["eof", "connection reset", "broken pipe", "stream error", "http2"]),
];

/// The cause in the text of a kubelet, which has it from the runtime, which has it from the registry.
fn inner(image: &str, message: &str) -> ImageTrouble {
    let text = bare(message, &[image]);
    let found = TELLTALES.iter().find(|(_, needles)| any(&text, needles)).map(|(trouble, _)| *trouble);
    // "Back-off pulling image", of some kubelets with the time for which they back off in it, and no more.
    let unsaid = text.starts_with("back-off") && !text.contains(':') || text.is_empty();
    found.unwrap_or(if unsaid { ImageTrouble::Unsaid } else { ImageTrouble::Other })
}

#[cfg(test)]
mod tests;
