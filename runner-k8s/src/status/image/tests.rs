use super::*;
use ImageTrouble as T;

/// What runtimes say, and what it means.
const SAID: &[(&str, ImageTrouble)] = &[
    // containerd
    (
        "failed to resolve reference \"docker.io/library/a:1\": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        T::Denied,
    ),
    (
        "failed to copy: httpReadSeeker: failed open: unexpected status code https://r/v2/x: 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit.",
        T::RateLimited,
    ),
    (
        "failed to resolve reference: unexpected status from HEAD request to https://r/v2/x/manifests/1: 502 Bad Gateway",
        T::RegistryFailed,
    ),
    ("failed to do request: Head \"https://r/v2/x\": dial tcp 10.0.0.1:443: i/o timeout", T::Slow),
    ("failed to do request: Head \"https://r/v2/x\": net/http: TLS handshake timeout", T::Slow),
    ("failed to do request: Head \"https://r/v2/x\": EOF", T::Cut),
    ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", T::Slow),
    ("dial tcp: lookup r on 10.0.0.10:53: read udp 10.0.0.2:1->10.0.0.10:53: i/o timeout", T::NoSuchHost),
    ("failed to extract layer sha256:ab: write /var/x: no space left on device: unknown", T::DiskFull),
    ("failed to verify certificate: x509: certificate has expired or is not yet valid", T::Certificate),
    (
        "rpc error: code = FailedPrecondition desc = failed size validation: 3 != 4: failed precondition",
        T::Corrupt,
    ),
    // CRI-O
    ("reading manifest 9 in docker.io/library/alpine: manifest unknown", T::NotFound),
    (
        "initializing source docker://r/x:1: pinging container registry r: Get \"https://r/v2/\": dial tcp: lookup r: no such host",
        T::NoSuchHost,
    ),
    (
        "unable to retrieve auth token: invalid username/password: unauthorized: incorrect username or password",
        T::Unauthorized,
    ),
    ("choosing image instance: no image found in image index for architecture \"arm64\"", T::NoPlatform),
    ("Source image rejected: A signature was required, but no signature exists", T::Signature),
    // Docker
    (
        "Error response from daemon: manifest for a:1 not found: manifest unknown: manifest unknown",
        T::NotFound,
    ),
    (
        "Error response from daemon: Get https://r/v2/: dial tcp 10.0.0.1:443: connect: connection refused",
        T::Unreachable,
    ),
    ("Error response from daemon: no basic auth credentials", T::Unauthorized),
    // Kubelets before 1.31 and texts that nobody knows
    ("Back-off pulling image \"r/x:1\"", T::Unsaid),
    ("the dog ate it", T::Other),
];

#[test]
fn each_runtime_is_understood() {
    for (message, trouble) in SAID {
        assert_eq!(inner("r/x:1", message), *trouble, "{message}");
    }
}

#[test]
fn the_name_of_an_image_decides_nothing() {
    let image = "r/toomanyrequests/denied:503";
    let message = format!(
        "Back-off pulling image \"{image}\": ErrImagePull: failed to resolve \"{image}\": {image}: not found"
    );
    assert_eq!(inner(image, &message), ImageTrouble::NotFound);
}
