//! [`Tls`] settings → what rustls serves by.

use std::{fmt, sync::Arc};

use rustls::{
    CipherSuite, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::{TLS12, TLS13},
};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _};

use crate::web::settings::{ClientAuth, Curve, Tls, TlsVersion};

/// The PEM texts that [`Tls`] names, read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pems {
    pub(super) certificates: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) client_ca: Option<Vec<u8>>,
}

/// What to serve by.
///
/// # Errors
/// What cannot be used, and why; no part of a key.
pub(super) fn server_config(tls: &Tls, pems: &Pems) -> Result<ServerConfig, String> {
    let provider = Arc::new(provider(tls)?);
    let certificates = certificates("cert_file", &pems.certificates)?;
    let key = PrivateKeyDer::from_pem_slice(&pems.key).map_err(|error| format!("key_file: {error}"))?;
    let verifier = client_verifier(tls, pems, &provider)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(tls))
        .map_err(|error| format!("no version and cipher suite are left: {error}"))?;
    let config = match verifier {
        Some(verifier) => config.with_client_cert_verifier(verifier),
        None => config.with_no_client_auth(),
    };
    let mut config = config
        .with_single_cert(certificates, key)
        .map_err(|error| format!("certificate and key cannot be used: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = tls.prefer_server_cipher_suites;
    Ok(config)
}

fn certificates(key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{key}: no certificate in it")),
        Err(error) => Err(format!("{key}: {error}")),
    }
}

fn versions(tls: &Tls) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_12: [&SupportedProtocolVersion; 1] = [&TLS12];
    static ONLY_13: [&SupportedProtocolVersion; 1] = [&TLS13];
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match (tls.min_version, tls.max_version) {
        (TlsVersion::Tls13, _) => &ONLY_13,
        (_, TlsVersion::Tls12) => &ONLY_12,
        _ => &BOTH,
    }
}

/// ring, with the cipher suites and groups that were chosen and that it has. Names that it has not are passed over,
/// unless that leaves none.
fn provider(tls: &Tls) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if !tls.cipher_suites.is_empty() {
        let chosen =
            |suite: CipherSuite| tls.cipher_suites.iter().any(|name| Some(name.as_str()) == suite.as_str());
        // Go has no choice among those of TLS 1.3 either.
        provider.cipher_suites.retain(|suite| suite.tls13().is_some() || chosen(suite.suite()));
        if tls.max_version == TlsVersion::Tls12
            && provider.cipher_suites.iter().all(|suite| suite.tls13().is_some())
        {
            return Err("cipher_suites: none of them is spoken here with TLS 1.2".to_owned());
        }
    }
    if !tls.curves.is_empty() {
        provider.kx_groups = tls.curves.iter().filter_map(|curve| group(*curve)).collect();
        if provider.kx_groups.is_empty() {
            return Err("curve_preferences: none of them is spoken here".to_owned());
        }
    }
    Ok(provider)
}

fn group(curve: Curve) -> Option<&'static dyn SupportedKxGroup> {
    match curve {
        Curve::X25519 => Some(ring::kx_group::X25519),
        Curve::P256 => Some(ring::kx_group::SECP256R1),
        Curve::P384 => Some(ring::kx_group::SECP384R1),
        Curve::P521 => None,
    }
}

fn client_verifier(
    tls: &Tls,
    pems: &Pems,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let anybody = |mandatory| -> Arc<dyn ClientCertVerifier> {
        Arc::new(Anybody { mandatory, algorithms: provider.signature_verification_algorithms })
    };
    let vouched_for = || {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("client_ca_file", pems.client_ca.as_deref().unwrap_or_default())? {
            roots.add(certificate).map_err(|error| format!("client_ca_file: {error}"))?;
        }
        Ok::<_, String>(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)))
    };
    let unusable = |error| format!("client_ca_file: {error}");
    let verifier = match tls.client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Request => anybody(false),
        ClientAuth::RequireAny => anybody(true),
        ClientAuth::VerifyIfGiven => vouched_for()?.allow_unauthenticated().build().map_err(unusable)?,
        ClientAuth::RequireAndVerify => vouched_for()?.build().map_err(unusable)?,
    };
    if tls.client_allowed_sans.is_empty() {
        return Ok(Some(verifier));
    }
    Ok(Some(Arc::new(Named { verifier, allowed: tls.client_allowed_sans.clone() })))
}

/// Takes any certificate, as long as the client has its key.
#[derive(Debug)]
struct Anybody {
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Takes what another verifier takes, if it has one of the allowed names.
struct Named {
    verifier: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Named {
    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(certificate, intermediates, now)?;
        if alternative_names(certificate).iter().any(|name| self.allowed.contains(name)) {
            return Ok(verified);
        }
        Err(Error::General("the client's certificate has none of client_allowed_sans".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// DNS names, mail addresses, IP addresses and URIs (RFC 5280 section 4.2.1.6), as Go writes them.
fn alternative_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = x509_parser::certificate::X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(name).collect()
}
