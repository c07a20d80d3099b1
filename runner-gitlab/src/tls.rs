//! Whom we trust, and who we are, in TLS.

use std::sync::Arc;

use runner_core::{Error, ErrorKind, Result};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

use crate::connection::{Connection, Identity};

/// The configuration of TLS for a connection.
///
/// The roots of the system are trusted where it has some, else those of Mozilla; a CA of one's own comes on top, as in
/// GitLab Runner.
///
/// # Errors
/// [`ErrorKind::Invalid`] where a certificate or a key cannot be read.
pub(crate) fn config(connection: &Connection) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let own = connection.ca.as_deref().map(certificates).transpose()?.unwrap_or_default();
    let verifier = Verifier::new(own, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new(ErrorKind::Internal, "set up TLS").because(cause))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(Identity { certificate, key }) = &connection.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        // The cause could quote the key.
        .map_err(|_| Error::new(ErrorKind::Invalid, "read the client's key: it must be a key in PEM"))?;
    builder
        .with_client_auth_cert(certificates(certificate)?, key)
        .map_err(|cause| Error::new(ErrorKind::Invalid, "use the client's certificate").because(cause))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::new(ErrorKind::Invalid, "find a certificate in the PEM that was given")),
        Err(cause) => Err(Error::new(ErrorKind::Invalid, "read a certificate in PEM").because(cause)),
    }
}

/// Judges the server's certificate by the roots, and trusts a certificate that was itself given as one to trust.
///
/// People make certificates for their server with one command, which marks them as those of an authority; as a server's
/// certificate the library refuses these, and other runners do not.
#[derive(Debug)]
struct Verifier {
    by_roots: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(own: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::debug!(%error, "a root of the system cannot be read");
        }
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for certificate in &own {
            roots
                .add(certificate.clone())
                .map_err(|cause| Error::new(ErrorKind::Invalid, "trust a certificate").because(cause))?;
        }
        let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|cause| Error::new(ErrorKind::Internal, "set up TLS").because(cause))?;
        Ok(Self { by_roots, own })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let by_roots =
            self.by_roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // How the library says that a certificate of an authority was used as a server's. Its dates are fine then: they
        // are judged first.
        let is_use = matches!(by_roots, Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))));
        if is_use && self.own.iter().any(|own| own == end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        by_roots
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.by_roots.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.by_roots.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_roots.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused_and_says_so() {
        let mut connection = Connection::new("https://gitlab.example");
        connection.ca = Some("no certificate".into());
        assert_eq!(config(&connection).unwrap_err().kind(), ErrorKind::Invalid);
        connection.ca = Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".into());
        assert_eq!(config(&connection).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_quoted() {
        let mut connection = Connection::new("https://gitlab.example");
        connection.identity =
            Some(Identity { certificate: String::new(), key: runner_core::Secret::new("hunter2") });
        assert!(!config(&connection).unwrap_err().chain().contains("hunter2"));
    }

    #[test]
    fn there_are_roots_on_every_machine() {
        assert!(config(&Connection::new("https://gitlab.example")).is_ok());
    }
}
