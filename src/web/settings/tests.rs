use super::*;

const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

fn parse(text: &str) -> Result<Settings, String> {
    Settings::parse(text, Path::new("/etc/dbwire")).map_err(|error| error.to_string())
}

fn tls(more: &str) -> Result<Tls, String> {
    let text = format!("tls_server_config:\n  cert_file: web.crt\n  key_file: /k/web.key\n{more}");
    parse(&text).map(|settings| settings.tls.expect("TLS"))
}

#[test]
fn nothing_in_the_file_is_nothing_asked_for() {
    for text in
        ["", "# only a comment\n", "{}", "tls_server_config:\nbasic_auth_users:\n", "tls_server_config: {}"]
    {
        assert_eq!(parse(text), Ok(Settings::default()), "{text:?}");
    }
}

#[test]
fn tls_has_the_toolkits_defaults_and_paths_relative_to_the_file() {
    let expected = Tls {
        certificates: Pem::File("/etc/dbwire/web.crt".into()),
        key: Pem::File("/k/web.key".into()),
        client_auth: ClientAuth::None,
        client_ca: None,
        client_allowed_sans: vec![],
        cipher_suites: vec![],
        curves: vec![],
        min_version: TlsVersion::Tls12,
        max_version: TlsVersion::Tls13,
        prefer_server_cipher_suites: true,
    };
    assert_eq!(tls(""), Ok(expected));
}

#[test]
fn every_key_of_the_toolkit_is_read() {
    let text = format!(
        "tls_server_config:\n  cert: |\n    CERT\n  key: KEY\n  client_ca: CA\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [a.example, 10.0.0.1]\n  \
         min_version: TLS13\n  max_version: TLS13\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n  \
         curve_preferences:\n  - X25519\n  - CurveP521\n  prefer_server_cipher_suites: false\n\
         http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    \
         Strict-Transport-Security: max-age=31536000\n\
         basic_auth_users:\n  alice: {HASH}\n\
         rate_limit: {{burst: 20, interval: 1s}}\n"
    );
    let settings = parse(&text).unwrap();
    let tls = settings.tls.as_ref().unwrap();
    assert_eq!(tls.certificates, Pem::Inline("CERT\n".to_owned()));
    assert_eq!(
        (tls.client_auth, &tls.client_ca),
        (ClientAuth::RequireAndVerify, &Some(Pem::Inline("CA".to_owned())))
    );
    assert_eq!(tls.client_allowed_sans, ["a.example", "10.0.0.1"]);
    assert_eq!((tls.min_version, tls.prefer_server_cipher_suites), (TlsVersion::Tls13, false));
    assert_eq!(tls.curves, [Curve::X25519, Curve::P521]);
    assert_eq!(settings.headers.len(), 2);
    assert_eq!(settings.users["alice"].as_str(), HASH);
    assert_eq!(settings.rate_limit, Some(RateLimit { burst: 20, interval: Duration::from_secs(1) }));
    assert_eq!(settings.files().count(), 0);
}

#[test]
fn the_files_it_names_are_listed() {
    let text = "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c, \
                client_auth_type: VerifyClientCertIfGiven}";
    let settings = parse(text).unwrap();
    let files: Vec<_> = settings.files().map(|path| path.display().to_string()).collect();
    assert_eq!(files, ["/etc/dbwire/a", "/etc/dbwire/b", "/etc/dbwire/c"]);
}

#[test]
fn what_makes_no_sense_is_refused_by_its_key() {
    let cases = [
        ("  min_version: SSL3", "min_version: unknown TLS version: SSL3"),
        ("  max_version: TLS11", "max_version: TLS11 is not spoken any more"),
        ("  min_version: TLS13\n  max_version: TLS12", "min_version: is above max_version"),
        (
            "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]",
            "cipher_suites: unknown cipher: TLS_RSA_WITH_RC4_128_SHA",
        ),
        ("  curve_preferences: [P256]", "curve_preferences: unknown curve: P256"),
        ("  client_auth_type: Maybe", "client_auth_type: unknown: Maybe"),
        ("  client_ca_file: ca", "client_ca_file: needs a client_auth_type"),
        (
            "  client_auth_type: RequireAndVerifyClientCert",
            "client_auth_type: needs a client_ca_file to verify by",
        ),
        (
            "  client_auth_type: RequestClientCert\n  client_allowed_sans: [a]",
            "client_allowed_sans: needs client_auth_type RequireAnyClientCert or RequireAndVerifyClientCert",
        ),
    ];
    for (more, expected) in cases {
        assert_eq!(tls(more), Err(expected.to_owned()), "{more}");
    }
    let cases = [
        ("tls_server_config: {cert_file: a}", "tls_server_config: missing one of key or key_file"),
        ("tls_server_config: {key: a}", "tls_server_config: missing one of cert or cert_file"),
        (
            "http_server_config: {headers: {X-Other: a}}",
            "headers: HTTP header \"X-Other\" can not be configured",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}",
            "headers: invalid value for X-Frame-Options: expected one of [\"deny\", \"sameorigin\"]",
        ),
        (
            "http_server_config: {headers: {Content-Security-Policy: \"a\\nb\"}}",
            "headers: the value of Content-Security-Policy cannot be sent",
        ),
        ("rate_limit: {interval: 1s}", "rate_limit: burst must be 1 or more"),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn an_unknown_or_repeated_key_is_an_error_and_so_is_another_type() {
    for text in [
        "tls_config: {}",
        "tls_server_config: {cert: a, key: b, certificate: c}",
        "http_server_config: {http3: true}",
        "basic_auth_users: {a: b}\nbasic_auth_users: {c: d}",
        "basic_auth_users: {a: x, a: y}",
        "tls_server_config: {cert: a, key: b, cipher_suites: x}",
        "tls_server_config: {prefer_server_cipher_suites: 7}",
        "- a",
        "a: [",
        "text",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn passwords_are_bcrypt_hashes_of_a_bearable_cost() {
    let hash = |text: &str| PasswordHash::parse(text).map(|hash| hash.as_str().to_owned());
    for version in ["2a", "2b", "2x", "2y"] {
        let text = HASH.replace("2y", version);
        assert_eq!(hash(&text), Ok(text));
    }
    for text in [
        "",
        "secret",
        &HASH[1..],
        &HASH[..59],
        &HASH.replace("10", "1"),
        &HASH.replace("2y", "2"),
        "$2y$10$é",
    ] {
        assert!(hash(text).unwrap_err().starts_with("is not a bcrypt hash"), "{text}");
    }
    for cost in ["03", "17", "31"] {
        assert!(hash(&HASH.replace("10", cost)).unwrap_err().contains("4 to 16 are possible"), "{cost}");
    }
}

#[test]
fn a_decoy_costs_what_the_dearest_costs() {
    let hashes = ["04", "12", "10"].map(|cost| PasswordHash::parse(&HASH.replace("10", cost)).unwrap());
    let decoy = PasswordHash::decoy(hashes.iter());
    assert!(decoy.as_str().starts_with("$2b$12$"));
    assert_eq!(PasswordHash::parse(decoy.as_str()), Ok(decoy));
}

#[test]
fn errors_and_debugging_tell_no_secret() {
    let secret = "hunter2";
    for text in [
        format!("basic_auth_users: {{alice: {secret}}}"),
        format!("tls_server_config:\n  key: {secret}\n  certificate: x\n"),
        format!("basic_auth_users:\n  alice: \"{secret}\n"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(!error.contains(secret), "{error}");
    }
    let settings =
        parse(&format!("tls_server_config: {{cert: a, key: {secret}}}\nbasic_auth_users: {{a: {HASH}}}"));
    let debugged = format!("{:?}", settings.unwrap());
    assert!(!debugged.contains(secret) && !debugged.contains("QOauh"), "{debugged}");
}
