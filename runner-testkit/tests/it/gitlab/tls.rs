//! TLS, with and without a certificate of the client.

use std::{io, sync::Arc};

use runner_testkit::gitlab::{GitLab, Identity, Settings, Tls};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use super::client::{Reply, exchange};

async fn start(tls: Tls) -> GitLab {
    GitLab::start_with(Settings { tls, ..Settings::default() }).await.unwrap()
}

async fn ask(gitlab: &GitLab, authority: Option<&str>, identity: Option<&Identity>) -> io::Result<Reply> {
    let mut roots = RootCertStore::empty();
    if let Some(authority) = authority {
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let address = gitlab.url().strip_prefix("https://").unwrap();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    exchange(stream, "POST", "/api/v4/jobs/request", &[], b"{}").await
}

#[tokio::test]
async fn the_server_shows_a_certificate_of_its_own_authority() {
    let gitlab = start(Tls::Server).await;
    assert_eq!(ask(&gitlab, gitlab.authority(), None).await.unwrap().status, 400);
    let other = start(Tls::Server).await;
    assert!(ask(&gitlab, other.authority(), None).await.is_err());
    assert!(ask(&gitlab, None, None).await.is_err());
}

#[tokio::test]
async fn a_client_without_its_certificate_is_refused() {
    let gitlab = start(Tls::Mutual).await;
    assert!(ask(&gitlab, gitlab.authority(), None).await.is_err());
    let other = start(Tls::Mutual).await;
    assert!(ask(&gitlab, gitlab.authority(), other.client_identity()).await.is_err());
    let reply = ask(&gitlab, gitlab.authority(), gitlab.client_identity()).await.unwrap();
    assert_eq!(reply.status, 400);
}
