//! Servers with certificates.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use runner_core::{ErrorKind, Secret};
use runner_gitlab::{Connection, GitLabSource, Identity, SourceSettings, remote};
use runner_testkit::gitlab::{GitLab, JobPayload, Settings, Tls};

use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use crate::{
    bench::{next, settings, settings_at},
    raw,
};

async fn server(tls: Tls) -> GitLab {
    GitLab::start_with(Settings { tls, ..Settings::default() }).await.unwrap()
}

fn source(gitlab: &GitLab, connection: Connection) -> GitLabSource {
    GitLabSource::new(SourceSettings { connection, ..settings(gitlab) }).unwrap()
}

fn trusting(gitlab: &GitLab) -> Connection {
    Connection { ca: gitlab.authority().map(str::to_owned), ..Connection::new(gitlab.url()) }
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authority_that_is_given() {
    let gitlab = server(Tls::Server).await;
    gitlab.queue(JobPayload::new("build"));
    let lease = next(&source(&gitlab, trusting(&gitlab))).await.unwrap();
    // Elsewhere it is trusted as well.
    remote(&lease.saved.state).unwrap().report.accept().await.unwrap();
    let ca = lease.job.variables.get("CI_SERVER_TLS_CA_FILE").unwrap();
    assert_eq!((ca.file, Some(ca.value.as_str())), (true, gitlab.authority()));
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_spoken_to() {
    let gitlab = server(Tls::Server).await;
    let error = next(&source(&gitlab, Connection::new(gitlab.url()))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.chain().contains("tls-ca-file"), "{}", error.chain());
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_one_and_its_key_stays_here() {
    let gitlab = server(Tls::Mutual).await;
    gitlab.queue(JobPayload::new("build"));
    next(&source(&gitlab, trusting(&gitlab))).await.unwrap_err();
    let identity = gitlab.client_identity().unwrap();
    let identity =
        Identity { certificate: identity.certificate.clone(), key: Secret::new(identity.key.clone()) };
    let connection = Connection { identity: Some(identity), ..trusting(&gitlab) };
    let lease = next(&source(&gitlab, connection)).await.unwrap();
    lease.report.accept().await.unwrap();
    assert_eq!(remote(&lease.saved.state).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Asks a server with a certificate that is for `name`, was made with one command, and is itself given as its authority.
async fn ask_self_made(name: &str) -> ErrorKind {
    let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let served = async {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            raw::read_request(&mut stream).await;
            stream.write_all(raw::REFUSED).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let connection = Connection { ca: Some(certificate.pem()), ..Connection::new(url.clone()) };
    let settings = SourceSettings { connection, ..settings_at(&url, "glrt-1") };
    let source = GitLabSource::new(settings).unwrap();
    tokio::select! {
        () = served => unreachable!(),
        lease = next(&source) => lease.unwrap_err().kind(),
    }
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted_for_its_name_alone() {
    assert_eq!(ask_self_made("127.0.0.1").await, ErrorKind::Unauthorized);
    assert_eq!(ask_self_made("gitlab.example").await, ErrorKind::Unavailable);
}
