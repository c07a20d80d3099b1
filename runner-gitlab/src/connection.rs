//! How a server is reached: its address, who it is trusted by, proxies, and how long to wait.

use std::time::Duration;

use runner_core::Secret;
use serde::{Deserialize, Serialize};

/// How a GitLab server is reached. It is serde, so that it can be handed to whoever reports a job elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The address of GitLab, also one with a path; a slash at its end means nothing.
    pub url: String,
    /// Certificates in PEM that are trusted besides those of the system: of authorities, or of the server itself.
    #[serde(default)]
    pub ca: Option<String>,
    /// Whom the server knows us as, where it asks for a certificate.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// Proxies; none are taken from the environment.
    #[serde(default)]
    pub proxies: Proxies,
    /// How long it may take to connect, TLS included. Default 30 s.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: Duration,
    /// How long a request for a job is held at most, and an answer to an artifact is waited for. Default 10 min.
    #[serde(default = "response_timeout")]
    pub response_timeout: Duration,
    /// How long an artifact may take to be sent. Default 1 h.
    #[serde(default = "upload_timeout")]
    pub upload_timeout: Duration,
}

/// A client certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The certificate in PEM, followed by those that lead to its authority.
    pub certificate: String,
    /// The private key in PEM.
    pub key: Secret,
}

/// Proxies, written as in the variables of the same names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proxies {
    /// `HTTP_PROXY`. It may hold a login.
    pub http: Option<Secret>,
    /// `HTTPS_PROXY`. It may hold a login.
    pub https: Option<Secret>,
    /// `NO_PROXY`: hosts, domains and networks that are reached without one, with commas between them.
    pub except: Option<String>,
}

impl Connection {
    /// A connection to the server at `url`, with defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca: None,
            identity: None,
            proxies: Proxies::default(),
            connect_timeout: connect_timeout(),
            response_timeout: response_timeout(),
            upload_timeout: upload_timeout(),
        }
    }
}

fn connect_timeout() -> Duration {
    Duration::from_secs(30)
}

fn response_timeout() -> Duration {
    Duration::from_mins(10)
}

fn upload_timeout() -> Duration {
    Duration::from_hours(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_connection_needs_its_address_only() {
        let read: Connection = serde_json::from_str(r#"{"url":"https://gitlab.example"}"#).unwrap();
        assert_eq!(read, Connection::new("https://gitlab.example"));
    }

    #[test]
    fn debug_shows_neither_a_key_nor_the_login_of_a_proxy() {
        let mut connection = Connection::new("https://gitlab.example");
        connection.identity = Some(Identity { certificate: String::new(), key: Secret::new("hunter2") });
        connection.proxies.http = Some(Secret::new("http://me:hunter2@proxy"));
        assert!(!format!("{connection:?}").contains("hunter2"));
    }
}
