//! The way to the API server: where it is, who asks, and how many requests were made.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{InClusterError, KubeConfigOptions, KubeconfigError},
};
use runner_core::{Error, ErrorKind, Result};
use tower::util::MapRequestLayer;

use crate::config::KubernetesConfig;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is being done when there is an error here.
const OPERATION: &str = "find the cluster";

/// What to do where no cluster is named.
const ADVICE: &str = "set KUBECONFIG to a kubeconfig, or `host` in [runners.kubernetes], or run in a pod with the \
                      token of its service account";

/// How many requests were made to the API server. A clone counts together with its original.
#[derive(Debug, Clone, Default)]
pub struct Requests(Arc<AtomicU64>);

impl Requests {
    /// The number of requests up to now. One that is made again counts again; a watch is one.
    pub fn made(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A client for the cluster that the config names: by its `host`, else the one that this process runs in, else that of
/// the kubeconfig. `bearer_token` counts in each case, the files of certificates only with a `host`.
///
/// Nothing is asked of the server yet.
///
/// # Errors
/// [`ErrorKind::NotFound`] where no cluster is named, [`ErrorKind::Invalid`] where what names it is wrong.
pub async fn connect(config: &KubernetesConfig) -> Result<Client> {
    connect_counting(config, &Requests::default()).await
}

/// Like [`connect`], and each request is counted.
///
/// # Errors
/// Those of [`connect`].
pub async fn connect_counting(config: &KubernetesConfig, requests: &Requests) -> Result<Client> {
    client_of(resolve(config).await?, requests)
}

/// A client for the cluster that is named already, whose requests are counted.
///
/// # Errors
/// [`ErrorKind::Invalid`] where a certificate or a key cannot be used.
pub fn client_of(mut config: Config, requests: &Requests) -> Result<Client> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // A watch and the log of a silent job say nothing for hours.
    config.read_timeout = None;
    // Whoever calls repeats, and knows how long that makes sense.
    config.default_retry = false;
    let counter = Arc::clone(&requests.0);
    let count = MapRequestLayer::new(move |request| {
        counter.fetch_add(1, Ordering::Relaxed);
        request
    });
    let builder = ClientBuilder::try_from(config)
        .map_err(|error| invalid("use the credentials of the cluster", error))?;
    Ok(builder.with_layer(&count).build())
}

/// The address that [`connect`] finds, for messages.
pub(crate) async fn address(config: &KubernetesConfig) -> Option<String> {
    Some(resolve(config).await.ok()?.cluster_url.to_string())
}

async fn resolve(config: &KubernetesConfig) -> Result<Config> {
    let mut found = if config.host.is_empty() { infer(&config.context).await? } else { named(config)? };
    let token = config.bearer_token.expose();
    if !token.is_empty() {
        found.auth_info.token = Some(token.to_owned().into());
    }
    Ok(found)
}

/// The cluster of `host`.
fn named(config: &KubernetesConfig) -> Result<Config> {
    let KubernetesConfig { host, cert_file, key_file, ca_file, .. } = config;
    let is_secure =
        [cert_file, ca_file, &config.bearer_token.expose().to_owned()].iter().any(|key| !key.is_empty());
    let scheme = match (host.contains("://"), is_secure) {
        (true, _) => "",
        (false, true) => "https://",
        // Such as the port of `kubectl proxy`.
        (false, false) => "http://",
    };
    let address = format!("{scheme}{host}");
    let address = address
        .parse()
        .map_err(|error| invalid("read the address of the API server", error).with("host", host))?;
    let mut found = Config::new(address);
    if !ca_file.is_empty() {
        found.root_cert_file = Some(readable("ca_file", ca_file)?.into());
    }
    if !cert_file.is_empty() || !key_file.is_empty() {
        if [cert_file, key_file, ca_file].iter().any(|file| file.is_empty()) {
            let text = "a client certificate needs all of `cert_file`, `key_file` and `ca_file`";
            return Err(Error::new(ErrorKind::Invalid, OPERATION).because(text));
        }
        found.auth_info.client_certificate = Some(readable("cert_file", cert_file)?.to_owned());
        found.auth_info.client_key = Some(readable("key_file", key_file)?.to_owned());
    }
    Ok(found)
}

fn readable<'path>(key: &'static str, path: &'path str) -> Result<&'path str> {
    match File::open(Path::new(path)) {
        Ok(_) => Ok(path),
        Err(error) => Err(invalid(format!("read `{key}` of [runners.kubernetes]"), error).with("path", path)),
    }
}

/// The cluster that this process runs in, else that of the kubeconfig.
async fn infer(context: &str) -> Result<Config> {
    let outside = match Config::incluster() {
        Ok(found) => return Ok(found),
        Err(outside) => outside,
    };
    let context = Some(context).filter(|context| !context.is_empty()).map(ToOwned::to_owned);
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    Config::from_kubeconfig(&options).await.map_err(|error| no_cluster(&outside, &error))
}

/// Why there is no cluster, of what a pod and a kubeconfig say.
fn no_cluster(pod: &InClusterError, kubeconfig: &KubeconfigError) -> Error {
    let pod = match pod {
        // Not in a pod, and nobody said so.
        InClusterError::ReadEnvironmentVariable(_) => String::new(),
        other => format!("; as a pod: {other}"),
    };
    let file = match kubeconfig {
        KubeconfigError::ReadConfig(error, path) => format!("{} cannot be read: {error}", path.display()),
        other => other.to_string(),
    };
    let is_absent = match kubeconfig {
        KubeconfigError::FindPath | KubeconfigError::CurrentContextNotSet => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    if is_absent {
        let text = format!("none is named; {ADVICE} ({file}{pod})");
        Error::new(ErrorKind::NotFound, OPERATION).because(text)
    } else {
        Error::new(ErrorKind::Invalid, OPERATION).because(format!("{file}{pod}"))
    }
}

fn invalid(operation: impl Into<String>, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Invalid, operation).because(cause)
}

#[cfg(test)]
mod tests {
    use std::{env, io, path::PathBuf};

    use runner_core::Secret;

    use super::*;

    fn config(host: &str) -> KubernetesConfig {
        KubernetesConfig { host: host.into(), ..KubernetesConfig::default() }
    }

    #[tokio::test]
    async fn the_host_of_the_config_comes_first() {
        let address = |config| async move { address(&config).await.unwrap() };
        assert_eq!(address(config("https://k8s.example:6443")).await, "https://k8s.example:6443/");
        assert_eq!(address(config("localhost:8001")).await, "http://localhost:8001/");
    }

    #[tokio::test]
    async fn a_token_is_never_sent_in_the_clear_unless_the_host_says_so() {
        let mut with_token = config("k8s.example:6443");
        with_token.bearer_token = Secret::new("t");
        let found = resolve(&with_token).await.unwrap();
        assert_eq!(found.cluster_url.to_string(), "https://k8s.example:6443/");
        assert!(found.auth_info.token.is_some());
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let mut without = config("https://k8s.example");
        without.ca_file = "/no/such/ca.crt".into();
        let error = connect(&without).await.err().unwrap();
        assert_eq!(
            error.chain(),
            "read `ca_file` of [runners.kubernetes] (path /no/such/ca.crt): No such file or directory (os error 2)"
        );
        without.ca_file = String::new();
        without.cert_file = "/no/such/client.crt".into();
        let error = connect(&without).await.err().unwrap();
        assert_eq!(
            error.chain(),
            "find the cluster: a client certificate needs all of `cert_file`, `key_file` and `ca_file`"
        );
    }

    #[tokio::test]
    async fn a_host_that_is_no_address_is_told() {
        let error = connect(&config("https://k8s example")).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.chain().starts_with("read the address of the API server (host https://k8s example): "));
    }

    #[test]
    fn without_any_cluster_the_error_says_how_to_name_one() {
        let pod = InClusterError::ReadEnvironmentVariable(env::VarError::NotPresent);
        let file =
            KubeconfigError::ReadConfig(io::ErrorKind::NotFound.into(), PathBuf::from("/etc/kube/config"));
        let error = no_cluster(&pod, &file);
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.chain(),
            "find the cluster: none is named; set KUBECONFIG to a kubeconfig, or `host` in [runners.kubernetes], or \
             run in a pod with the token of its service account (/etc/kube/config cannot be read: entity not found)"
        );
    }

    #[test]
    fn a_kubeconfig_that_is_wrong_is_not_taken_for_none() {
        let pod = InClusterError::ReadEnvironmentVariable(env::VarError::NotPresent);
        let error = no_cluster(&pod, &KubeconfigError::LoadContext("prod".into()));
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.chain(), "find the cluster: failed to load current context: prod");
    }

    #[tokio::test]
    async fn each_request_is_counted() {
        let requests = Requests::default();
        // Nothing listens on the port of `discard`.
        let client = connect_counting(&config("http://127.0.0.1:9"), &requests).await.unwrap();
        assert_eq!(requests.made(), 0);
        client.apiserver_version().await.unwrap_err();
        assert_eq!(requests.clone().made(), 1);
    }
}
