//! Whom a client believes when it connects by TLS.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_tungstenite::Connector;

/// Why there is nobody to believe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no certificate to believe: {0}")]
pub struct NoCertificate(String);

/// Authorities to believe, and no others.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Believes the authorities whose certificates are in this PEM text.
    ///
    /// # Errors
    ///
    /// If there is none in it, or one that cannot be read.
    pub fn trusting(pem: &[u8]) -> Result<Self, NoCertificate> {
        let no = |error: &dyn fmt::Display| NoCertificate(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| no(&error))?;
            roots.add(certificate).map_err(|error| no(&error))?;
        }
        if roots.is_empty() {
            return Err(no(&"nothing in PEM is there"));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| no(&error))?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        // A session that is resumed shows no certificate: after a change of it nobody would look at the new one.
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// The same for others who make connections by rustls.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        ClientConfig::clone(&self.0)
    }

    pub(crate) fn connector(&self) -> Connector {
        Connector::Rustls(self.0.clone())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

#[cfg(test)]
mod tests {
    use super::Tls;

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            assert!(Tls::trusting(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
