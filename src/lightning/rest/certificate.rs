//! Trust in a node's certificate: the well-known authorities, or exactly one certificate.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper_rustls::ConfigBuilderExt as _;
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

use super::Transport;
use crate::lightning::url::{ConnectError, ConnectErrorKind, unreadable};

/// A node's own certificate, read from its file. No other is trusted.
#[derive(Clone, Debug)]
pub(crate) struct Pinned {
    certificate: CertificateDer<'static>,
    pub(super) file: PathBuf,
}

impl Pinned {
    /// Reads the certificate of a builder, if it names one.
    ///
    /// # Errors
    ///
    /// If the file has none, or there is no TLS that would use it.
    pub(crate) fn of(
        path: Option<&Path>,
        transport: Transport,
    ) -> Result<Option<Self>, ConnectError> {
        match (path, transport) {
            (None, _) => Ok(None),
            (Some(path), Transport::Tls) => Self::from_file(path).map(Some),
            (Some(_), Transport::Insecure | Transport::Plain) => Err(ConnectError::url(
                "a certificate file is for TLS only: connect with TLS, or leave the file out",
            )),
        }
    }

    /// Reads the first certificate of a PEM file.
    ///
    /// # Errors
    ///
    /// If there is none.
    fn from_file(path: &Path) -> Result<Self, ConnectError> {
        let wrong = |what: &str| {
            let text = format!("the certificate file {} {what}", path.display());
            ConnectError::new(ConnectErrorKind::File, text)
        };
        let text = std::fs::read(path).map_err(|error| wrong(unreadable(path)).because(error))?;
        let certificate = CertificateDer::from_pem_slice(&text).map_err(|_| {
            wrong("has no certificate: expected a PEM file that begins with -----BEGIN CERTIFICATE-----")
        })?;
        ParsedCertificate::try_from(&certificate)
            .map_err(|_| wrong("has a certificate that cannot be decoded"))?;
        Ok(Self {
            certificate,
            file: path.to_owned(),
        })
    }
}

/// Returns TLS settings that trust this certificate only, or else the well-known authorities.
pub(super) fn tls(pinned: Option<Pinned>) -> Result<ClientConfig, ConnectError> {
    let failed = |error: &dyn std::error::Error| {
        ConnectError::new(
            ConnectErrorKind::Certificate,
            format!("TLS cannot be set up: {error}"),
        )
    };
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let Some(Pinned { certificate, .. }) = pinned else {
        return Ok(config.with_webpki_roots().with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    roots
        .add(certificate.clone())
        .map_err(|error| failed(&error))?;
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| failed(&error))?;
    let verifier = ExactlyOne { certificate, chain };
    Ok(config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Trusts exactly one certificate, while it is valid and for the hosts that it names. A chain
/// verifier cannot: LND's own certificate is marked as an authority, and those are refused as the
/// certificate of a server.
#[derive(Debug)]
struct ExactlyOne {
    certificate: CertificateDer<'static>,
    chain: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for ExactlyOne {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity != self.certificate {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let chain = self.chain.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match chain {
            // This check comes after that of the period of validity, and before that of the name.
            Err(error) if is_authority(&error) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Returns whether a valid certificate was refused only because it is marked as an authority.
fn is_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}
