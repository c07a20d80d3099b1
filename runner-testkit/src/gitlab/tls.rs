//! An authority of the test's own, and the certificates that it signs.

use std::{io, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
    },
};

use super::settings::Tls;

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// What a client needs to speak with the server.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub(super) authority: String,
    pub(super) client: Identity,
}

/// Makes an authority, a certificate for `names`, and one for a client.
pub(super) fn acceptor(kind: Tls, names: Vec<String>) -> io::Result<(TlsAcceptor, Trust)> {
    let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(io::Error::other)?)
        .map_err(io::Error::other)?;

    let sign = |names: Vec<String>, usage: ExtendedKeyUsagePurpose| {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &authority)?;
        Ok::<_, rcgen::Error>((certificate, key))
    };
    let (server, server_key) = sign(names, ExtendedKeyUsagePurpose::ServerAuth).map_err(io::Error::other)?;
    let (client, client_key) =
        sign(vec!["runner.example.invalid".into()], ExtendedKeyUsagePurpose::ClientAuth)
            .map_err(io::Error::other)?;

    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let config = if kind == Tls::Mutual {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).map_err(io::Error::other)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        config.with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
    } else {
        config.with_no_client_auth()
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let config = config.with_single_cert(vec![server.der().clone()], key).map_err(io::Error::other)?;
    let trust = Trust {
        authority: authority.pem(),
        client: Identity { certificate: client.pem(), key: client_key.serialize_pem() },
    };
    Ok((TlsAcceptor::from(Arc::new(config)), trust))
}
