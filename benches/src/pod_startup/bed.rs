//! A namespace of its own, and two ways into it: as the administrator, and as the shipped role allows.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::{Namespace, Pod, ServiceAccount},
        rbac::v1::{Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, PostParams},
    client::ClientBuilder,
    config::AuthInfo,
    runtime::wait::await_condition,
};
use serde_json::json;
use tokio::time::timeout;

use super::requests::Requests;

/// The role that is shipped.
const ROLE: &str = include_str!("../../../runner-k8s/deploy/role.yaml");

/// A namespace with this label is ours to remove.
const LABEL: (&str, &str) = ("app.kubernetes.io/name", "pod-startup-bench");

/// How long a cluster may take to answer.
const ANSWER: Duration = Duration::from_secs(15);

/// How long a namespace may take to get its account, or to vanish.
const PATIENCE: Duration = Duration::from_mins(1);

/// The cluster of `KUBECONFIG`, as the person who runs this.
#[derive(Clone)]
pub struct Access {
    config: Config,
    client: Client,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Access")
    }
}

/// Reaches the cluster.
///
/// # Errors
/// Where there is none.
pub async fn access() -> Result<Access> {
    let config = Config::infer().await.map_err(|_| anyhow::anyhow!("no kubeconfig is found"))?;
    let client = Client::try_from(config.clone())?;
    let answer = timeout(ANSWER, client.apiserver_version()).await;
    let server = config.cluster_url.to_string();
    match answer {
        Ok(Ok(_)) => Ok(Access { config, client }),
        Ok(Err(_)) | Err(_) => bail!("{server} does not answer"),
    }
}

impl Access {
    /// Removes a namespace that a [`Bed`] has made. It vanishes within some seconds.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn remove_namespace(&self, name: &str) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let found = namespaces.get_opt(name).await?;
        if found.is_some_and(|found| found.labels().get(LABEL.0).is_some_and(|value| value == LABEL.1)) {
            namespaces.delete(name, &DeleteParams::default()).await?;
        }
        Ok(())
    }
}

/// Where it is measured.
#[derive(Clone)]
pub struct Bed {
    /// May do everything.
    pub(crate) admin: Client,
    /// May do what the role says; what it sends is counted.
    pub(crate) client: Client,
    /// What [`client`](Self::client) sends.
    pub(crate) requests: Requests,
    /// The namespace.
    pub(crate) namespace: String,
    /// Whose token [`client`](Self::client) has.
    pub(crate) user: String,
    /// A kubeconfig with that token, for programs.
    pub(crate) kubeconfig: String,
}

impl std::fmt::Debug for Bed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Bed").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Bed {
    /// Makes the namespace, and in it an account with the role that is shipped.
    ///
    /// # Errors
    /// Where that is not allowed, or there is such a namespace.
    pub async fn new(access: &Access, name: &str) -> Result<Self> {
        let admin = access.client.clone();
        let labels = [(LABEL.0.to_owned(), LABEL.1.to_owned())].into();
        let metadata = ObjectMeta { labels: Some(labels), ..named(name) };
        let object = Namespace { metadata, ..Namespace::default() };
        let namespaces: Api<Namespace> = Api::all(admin.clone());
        namespaces
            .create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("the namespace {name} cannot be made"))?;
        let account = give_role(&admin, name).await.context("the shipped role cannot be given")?;
        let mut config = access.config.clone();
        let token = token(&admin, name, &account).await?;
        let kubeconfig = kubeconfig(&config, &token)?;
        config.auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
        let requests = Requests::default();
        let client = ClientBuilder::try_from(config)?.with_layer(&requests.layer()).build();
        let user = format!("system:serviceaccount:{name}:{account}");
        Ok(Self { admin, client, requests, namespace: name.to_owned(), user, kubeconfig })
    }

    /// The pods, as the administrator.
    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

/// Makes an account with the role and returns its name. Also waits for the account that pods get.
async fn give_role(admin: &Client, namespace: &str) -> Result<String> {
    let parameters = PostParams::default();
    let role: Role = serde_saphyr::from_str(ROLE)?;
    let name = role.name_any();
    Api::<Role>::namespaced(admin.clone(), namespace).create(&parameters, &role).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    let account = ServiceAccount { metadata: named(&name), ..ServiceAccount::default() };
    accounts.create(&parameters, &account).await?;
    let binding = RoleBinding {
        metadata: named(&name),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".into(),
            kind: "Role".into(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name: name.clone(),
            namespace: Some(namespace.to_owned()),
            ..Subject::default()
        }]),
    };
    Api::<RoleBinding>::namespaced(admin.clone(), namespace).create(&parameters, &binding).await?;
    let exists = await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some());
    timeout(PATIENCE, exists).await.context("the namespace gets no account")??;
    Ok(name)
}

async fn token(admin: &Client, namespace: &str, account: &str) -> Result<String> {
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(7200), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
    Ok(answer.status.context("no token")?.token)
}

/// How a program reaches the same cluster with a token. JSON is YAML as well.
fn kubeconfig(config: &Config, token: &str) -> Result<String> {
    let mut cluster = json!({ "server": config.cluster_url.to_string() });
    if let Some(roots) = &config.root_cert {
        let pem = roots.iter().map(|root| {
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(root))
        });
        cluster["certificate-authority-data"] = json!(BASE64.encode(pem.collect::<String>()));
    }
    if config.accept_invalid_certs {
        cluster["insecure-skip-tls-verify"] = json!(true);
    }
    Ok(serde_json::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{ "name": "bench", "context": { "cluster": "bench", "user": "bench" } }],
        "clusters": [{ "name": "bench", "cluster": cluster }],
        "users": [{ "name": "bench", "user": { "token": token } }],
    }))?)
}
