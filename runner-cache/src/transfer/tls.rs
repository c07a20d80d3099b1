//! Whom we trust in TLS.

use std::sync::Arc;

use runner_core::{Error, ErrorKind, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The roots of the system, or those of Mozilla where it has none, and `own`, certificates in PEM.
///
/// # Errors
/// [`ErrorKind::Invalid`] where a certificate cannot be read.
pub(crate) fn config(own: Option<&str>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for certificate in CertificateDer::pem_slice_iter(own.unwrap_or_default().as_bytes()) {
        let certificate = certificate
            .map_err(|cause| Error::new(ErrorKind::Invalid, "read a certificate in PEM").because(cause))?;
        roots
            .add(certificate)
            .map_err(|cause| Error::new(ErrorKind::Invalid, "trust a certificate").because(cause))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new(ErrorKind::Internal, "set up TLS").because(cause))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
