//! Images, services and the logins to their registries.

use serde::{Deserialize, Serialize};

use super::Variables;
use crate::Secret;

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// Where it is not present.
    IfNotPresent,
    /// Not at all: it must be present.
    Never,
}

/// The image that a job's steps run in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// The reference, before variable expansion.
    pub name: String,
    /// Replaces the image's entrypoint; `[""]` empties it.
    pub entrypoint: Option<Vec<String>>,
    /// Pull policies to try in order; empty: what the executor is configured for.
    pub pull_policies: Vec<PullPolicy>,
    /// The user that the steps run as.
    pub user: Option<String>,
    /// The platform, such as `linux/arm64`.
    pub platform: Option<String>,
}

/// A service that runs beside a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Its image.
    pub image: Image,
    /// Names that it is reachable by, besides those made of the image's name.
    pub aliases: Vec<String>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Variables of this service alone.
    pub variables: Variables,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// What for: `registry` and others.
    pub kind: String,
    /// The host, with a port where it has one.
    pub url: String,
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: Secret,
}
