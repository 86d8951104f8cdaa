//! The client over TLS: whom it believes, and whom not. The certificates are for these tests alone, and end in 2126.
#![allow(missing_docs)]

use std::{sync::Arc, time::Duration};

use rollcall_client::{Client, Config, Event, Tls};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpListener, time::timeout};
use tokio_rustls::TlsAcceptor;

const AUTHORITY: &[u8] = include_bytes!("tls/authority.pem");
const OTHER_AUTHORITY: &[u8] = include_bytes!("tls/other_authority.pem");
const PATIENCE: Duration = Duration::from_secs(20);

fn acceptor() -> TlsAcceptor {
    let certificates = CertificateDer::pem_slice_iter(include_bytes!("tls/server.pem"));
    let certificates = certificates.collect::<Result<_, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocols")
        .with_no_client_auth()
        .with_single_cert(certificates, key);
    TlsAcceptor::from(Arc::new(config.expect("a pair that belongs together")))
}

/// Whether a server with that certificate gets so far as to be asked for something, and what the client says of it.
async fn connects(authority: &[u8]) -> (bool, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let tls = Tls::trusting(authority).expect("an authority");
    let mut config = Config::new(&url, "Teal", &["den"]);
    config.tls = Some(tls);
    let (_handle, mut events) = Client::start(config);
    let (stream, _) =
        timeout(PATIENCE, listener.accept()).await.expect("in time").expect("a client");
    let shaken = timeout(PATIENCE, acceptor().accept(stream)).await.expect("in time");
    let is_believed = shaken.is_ok();
    // It is told that nobody welcomes it, by whichever step that fails at.
    drop(shaken);
    let failed = events.find(|event| match event {
        Event::ConnectFailed { error, .. } => Some(error),
        _ => None,
    });
    (is_believed, timeout(PATIENCE, failed).await.expect("in time").expect("a client that lives"))
}

#[tokio::test]
async fn an_authority_that_it_knows_is_believed() {
    let (is_believed, error) = connects(AUTHORITY).await;
    assert!(is_believed, "{error}");
}

#[tokio::test]
async fn no_other_authority_is() {
    let (is_believed, error) = connects(OTHER_AUTHORITY).await;
    assert!(!is_believed && error.contains("UnknownIssuer"), "{error}");
}
