//! The file as it is written.

use std::{collections::BTreeMap, path::Path, time::Duration};

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::{ClientAuth, Curve, PasswordHash, Pem, RateLimit, Settings, SettingsError, Tls, TlsVersion};

/// Sections may be there without anything in them: YAML has null then.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    tls_server_config: Option<TlsSection>,
    http_server_config: Option<HttpSection>,
    basic_auth_users: Option<BTreeMap<String, String>>,
    rate_limit: Option<RateSection>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsSection {
    cert: Option<String>,
    key: Option<String>,
    client_ca: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    client_auth_type: Option<String>,
    client_ca_file: Option<String>,
    client_allowed_sans: Option<Vec<String>>,
    cipher_suites: Option<Vec<String>>,
    curve_preferences: Option<Vec<String>>,
    min_version: Option<String>,
    max_version: Option<String>,
    prefer_server_cipher_suites: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HttpSection {
    /// Whether HTTP/2 is offered. It never is: the toolkit's default, true, means that it may be.
    #[serde(rename = "http2")]
    _http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RateSection {
    burst: Option<u32>,
    interval: Option<String>,
}

/// The headers that can be set, and the values that they can have (any if there are none).
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// Go's cipher suites that are not insecure: those of TLS 1.3, and of 1.2 those spoken here and those not.
pub(super) const CIPHER_SUITES: [&str; 19] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
];

pub(super) fn read(text: &str) -> Result<File, SettingsError> {
    // Errors show the lines around them unless told not to, and those may hold keys and hashes.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options::<Option<File>>(text, options)
        .map(Option::unwrap_or_default)
        .map_err(|error| SettingsError::Form(error.to_string()))
}

fn invalid(key: &'static str, problem: impl Into<String>) -> SettingsError {
    SettingsError::Value { key, problem: problem.into() }
}

impl File {
    pub(super) fn validated(self, folder: &Path) -> Result<Settings, SettingsError> {
        let users = self.basic_auth_users.unwrap_or_default().into_iter();
        let users = users.map(|(user, hash)| {
            let hash = PasswordHash::parse(&hash)
                .map_err(|problem| invalid("basic_auth_users", format!("{user}: {problem}")))?;
            Ok((user, hash))
        });
        Ok(Settings {
            tls: self.tls_server_config.unwrap_or_default().validated(folder)?,
            headers: headers(self.http_server_config.unwrap_or_default().headers.unwrap_or_default())?,
            users: users.collect::<Result<_, _>>()?,
            rate_limit: self.rate_limit.map(RateSection::validated).transpose()?.flatten(),
        })
    }
}

impl TlsSection {
    /// Whether anything here asks for TLS; the other keys alone do not.
    fn is_enabled(&self) -> bool {
        let keys = [
            &self.cert,
            &self.key,
            &self.client_ca,
            &self.cert_file,
            &self.key_file,
            &self.client_auth_type,
            &self.client_ca_file,
        ];
        keys.into_iter().flatten().any(|text| !text.is_empty())
    }

    fn validated(self, folder: &Path) -> Result<Option<Tls>, SettingsError> {
        let enabled = self.is_enabled();
        let cipher_suites = self.cipher_suites.unwrap_or_default();
        if let Some(unknown) = cipher_suites.iter().find(|name| !CIPHER_SUITES.contains(&name.as_str())) {
            return Err(invalid("cipher_suites", format!("unknown cipher: {unknown}")));
        }
        let curves = self.curve_preferences.unwrap_or_default();
        let curves = curves.iter().map(|name| curve(name)).collect::<Result<_, _>>()?;
        let min_version = version("min_version", self.min_version.as_deref())?.unwrap_or(TlsVersion::Tls12);
        let max_version = version("max_version", self.max_version.as_deref())?.unwrap_or(TlsVersion::Tls13);
        if !enabled {
            return Ok(None);
        }
        if min_version > max_version {
            return Err(invalid("min_version", "is above max_version"));
        }
        let pem = |file: Option<String>, inline: Option<String>| {
            let file = file.filter(|path| !path.is_empty()).map(|path| Pem::File(folder.join(path)));
            file.or(inline.filter(|text| !text.is_empty()).map(Pem::Inline))
        };
        let client_auth = client_auth(self.client_auth_type.as_deref().unwrap_or_default())?;
        let client_ca = pem(self.client_ca_file, self.client_ca);
        check_clients(client_auth, client_ca.is_some(), self.client_allowed_sans.is_some())?;
        Ok(Some(Tls {
            certificates: pem(self.cert_file, self.cert)
                .ok_or_else(|| invalid("tls_server_config", "missing one of cert or cert_file"))?,
            key: pem(self.key_file, self.key)
                .ok_or_else(|| invalid("tls_server_config", "missing one of key or key_file"))?,
            client_auth,
            client_ca,
            client_allowed_sans: self.client_allowed_sans.unwrap_or_default(),
            cipher_suites,
            curves,
            min_version,
            max_version,
            prefer_server_cipher_suites: self.prefer_server_cipher_suites.unwrap_or(true),
        }))
    }
}

/// What must not be ignored silently.
fn check_clients(auth: ClientAuth, has_ca: bool, has_sans: bool) -> Result<(), SettingsError> {
    if has_ca && auth == ClientAuth::None {
        return Err(invalid("client_ca_file", "needs a client_auth_type"));
    }
    if !has_ca && matches!(auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify) {
        return Err(invalid("client_auth_type", "needs a client_ca_file to verify by"));
    }
    if has_sans && !matches!(auth, ClientAuth::RequireAny | ClientAuth::RequireAndVerify) {
        let problem = "needs client_auth_type RequireAnyClientCert or RequireAndVerifyClientCert";
        return Err(invalid("client_allowed_sans", problem));
    }
    Ok(())
}

fn client_auth(name: &str) -> Result<ClientAuth, SettingsError> {
    Ok(match name {
        "" | "NoClientCert" => ClientAuth::None,
        "RequestClientCert" => ClientAuth::Request,
        // The second is the toolkit's older name.
        "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
        "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
        "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
        other => return Err(invalid("client_auth_type", format!("unknown: {other}"))),
    })
}

fn curve(name: &str) -> Result<Curve, SettingsError> {
    Ok(match name {
        "X25519" => Curve::X25519,
        "CurveP256" => Curve::P256,
        "CurveP384" => Curve::P384,
        "CurveP521" => Curve::P521,
        other => return Err(invalid("curve_preferences", format!("unknown curve: {other}"))),
    })
}

/// A version that is too old to be spoken is no lower bound, but as an upper bound it leaves none.
fn version(key: &'static str, name: Option<&str>) -> Result<Option<TlsVersion>, SettingsError> {
    Ok(match name {
        None | Some("") => None,
        Some("TLS13") => Some(TlsVersion::Tls13),
        Some("TLS12") => Some(TlsVersion::Tls12),
        Some("TLS10" | "TLS11") if key == "min_version" => Some(TlsVersion::Tls12),
        Some(old @ ("TLS10" | "TLS11")) => return Err(invalid(key, format!("{old} is not spoken any more"))),
        Some(other) => return Err(invalid(key, format!("unknown TLS version: {other}"))),
    })
}

fn headers(headers: BTreeMap<String, String>) -> Result<Vec<(HeaderName, HeaderValue)>, SettingsError> {
    let header = |(name, value): (String, String)| {
        let known = HEADERS.iter().find(|(known, _)| *known == name);
        let (_, allowed) =
            known.ok_or_else(|| invalid("headers", format!("HTTP header {name:?} can not be configured")))?;
        if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
            return Err(invalid("headers", format!("invalid value for {name}: expected one of {allowed:?}")));
        }
        let not_http = || invalid("headers", format!("the value of {name} cannot be sent"));
        let name_read = name.parse().map_err(|_| not_http())?;
        Ok((name_read, value.parse().map_err(|_| not_http())?))
    };
    headers.into_iter().map(header).collect()
}

impl RateSection {
    /// No interval is no limit.
    fn validated(self) -> Result<Option<RateLimit>, SettingsError> {
        let interval = self.interval.as_deref().map_or(Ok(Duration::ZERO), humantime::parse_duration);
        let interval = interval.map_err(|error| invalid("rate_limit", format!("interval: {error}")))?;
        let burst = self.burst.unwrap_or(0);
        if interval.is_zero() {
            return Ok(None);
        }
        // The toolkit would then refuse every request.
        if burst == 0 {
            return Err(invalid("rate_limit", "burst must be 1 or more"));
        }
        Ok(Some(RateLimit { burst, interval }))
    }
}
