//! `[runners.kubernetes.container_lifecycle]`. The structures are those of Kubernetes with keys of TOML.

use serde::{Deserialize, Serialize};

/// What Kubernetes does in the build container around its life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all(serialize = "camelCase"))]
pub struct ContainerLifecycle {
    /// Right after its start, beside its main process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_start: Option<LifecycleHandler>,
    /// Before it is told to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_stop: Option<LifecycleHandler>,
}

/// One of the three things that Kubernetes can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all(serialize = "camelCase"))]
pub struct LifecycleHandler {
    /// Run a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecAction>,
    /// Send a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpGetAction>,
    /// Open a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TcpSocketAction>,
}

/// A program with its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all(serialize = "camelCase"))]
pub struct ExecAction {
    /// The command line; no shell is involved.
    pub command: Vec<String>,
}

/// A GET request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all(serialize = "camelCase"))]
pub struct HttpGetAction {
    /// The host; empty: the pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_headers: Vec<HttpHeader>,
    /// The path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The port, from 1 to 65535.
    pub port: i32,
    /// `HTTP` or `HTTPS`; empty: `HTTP`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scheme: String,
}

/// A header of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all(serialize = "camelCase"))]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all(serialize = "camelCase"))]
pub struct TcpSocketAction {
    /// The host; empty: the pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The port, from 1 to 65535.
    pub port: i32,
}
