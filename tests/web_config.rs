//! `--web.config.file`: TLS, client certificates, passwords, headers and what happens when the files change, by curl.

#![allow(clippy::disallowed_methods, reason = "a test writes files and starts programs")]

mod support;

use std::{fs, path::Path, process::Command, time::Duration};

use support::{
    certificates::Authority,
    children,
    curl::{Got, curl},
    exporter::{Exporter, run},
    exposition::Exposition,
    skip, wait,
};

const PROGRAMS: &[&str] = &["curl", "openssl"];
const LIMIT: Duration = Duration::from_secs(60);

/// bcrypt's hash of `secret` at its least cost, made by crypt(3).
const SECRET: &str = "$2b$04$VZY61F9JYy5q0Tc0p3K90e.vWkI8OkKgLse1ublSIHPmSFTWS2J1e";

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

fn sockets_only(config: &Path) -> Exporter {
    let config = config.to_str().unwrap();
    let mut arguments = vec!["--web.config.file", config];
    arguments.extend(cfg!(feature = "capture").then_some("--no-collector.mysql"));
    Exporter::start(&arguments)
}

/// An authority that has signed the server's certificate.
fn authority() -> Authority {
    let authority = Authority::new();
    authority.sign("server", "DNS:localhost,IP:127.0.0.1");
    authority
}

/// Asks for the metrics over HTTPS, trusting the authority.
fn https(exporter: &Exporter, authority: &Authority, arguments: &[&str]) -> Got {
    let ca = authority.path("ca.crt");
    let arguments = [&["--cacert", ca.to_str().unwrap()], arguments].concat();
    curl(&format!("https://{}/metrics", exporter.address()), &arguments)
}

#[test]
fn only_the_right_password_of_a_known_user_opens_any_page() {
    if !skip::programs("only_the_right_password_of_a_known_user_opens_any_page", PROGRAMS) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("web.yml");
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n";
    fs::write(&config, format!("{headers}basic_auth_users:\n  alice: {SECRET}\n")).unwrap();
    let exporter = sockets_only(&config);
    let ask = |path: &str, arguments: &[&str]| {
        let got = curl(&format!("http://{}{path}", exporter.address()), arguments);
        assert!(got.head.contains("x-frame-options: deny"), "{}", got.head);
        got
    };
    assert_eq!(ask("/metrics", &["-u", "alice:secret"]).status, 200);
    for path in ["/metrics", "/", "/-/healthy", "/nowhere"] {
        assert_ne!(ask(path, &["-u", "alice:secret"]).status, 401, "{path}");
        let nobody = ask(path, &[]);
        assert!(nobody.status == 401 && nobody.head.contains("www-authenticate: basic"), "{}", nobody.head);
        for wrong in ["alice:wrong", "bob:secret", "alice:", ":"] {
            // Too many in too short a time are not even compared.
            let got = ask(path, &["-u", wrong]);
            assert!([401, 429].contains(&got.status), "{path} {wrong}: {}", got.head);
        }
    }
}

#[test]
fn tls_is_spoken_in_the_versions_and_with_the_suites_that_are_allowed() {
    if !skip::programs("tls_is_spoken_in_the_versions_and_with_the_suites_that_are_allowed", PROGRAMS) {
        return;
    }
    let authority = authority();
    let cases: &[(&str, &[&str], bool)] = &[
        ("", &[], true),
        ("", &["--tls-max", "1.2"], true),
        ("", &["--tlsv1.1", "--tls-max", "1.1"], false),
        ("  min_version: TLS13\n", &["--tls-max", "1.2"], false),
        ("  max_version: TLS12\n", &["--tlsv1.3"], false),
        (
            "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
            &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            false,
        ),
        (
            "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
            &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"],
            true,
        ),
        ("  curve_preferences: [CurveP384]\n", &["--curves", "X25519"], false),
        ("  curve_preferences: [CurveP384]\n", &["--curves", "P-384"], true),
    ];
    for (index, (more, arguments, expected)) in cases.iter().enumerate() {
        let config = authority.write(&format!("web{index}.yml"), &format!("{TLS}{more}"));
        let exporter = sockets_only(&config);
        let got = https(&exporter, &authority, arguments);
        assert_eq!(got.status == 200, *expected, "{more} {arguments:?}: {}", got.head);
        let clear = curl(&format!("http://{}/metrics", exporter.address()), &[]);
        assert_ne!(clear.status, 200, "in the clear");
    }
}

#[test]
fn clients_are_asked_for_the_certificates_that_the_file_wants() {
    if !skip::programs("clients_are_asked_for_the_certificates_that_the_file_wants", PROGRAMS) {
        return;
    }
    let authority = authority();
    authority.sign("prometheus", "DNS:prometheus.example,URI:spiffe://example/prometheus");
    authority.sign("other", "DNS:other.example,IP:10.0.0.9,email:ops@example.org");
    let stranger = Authority::new();
    stranger.sign("prometheus", "DNS:prometheus.example");
    let ours = |name: &str| [format!("{name}.crt"), format!("{name}.key")].map(|name| authority.path(&name));
    let (ours, other) = (ours("prometheus"), ours("other"));
    let theirs = ["prometheus.crt", "prometheus.key"].map(|name| stranger.path(name));
    let ca = "  client_ca_file: ca.crt\n";
    // Which may: nobody, a stranger's, ours, and the other of ours.
    let cases = [
        (String::new(), [true, true, true, true]),
        ("  client_auth_type: RequestClientCert\n".to_owned(), [true, true, true, true]),
        ("  client_auth_type: RequireAnyClientCert\n".to_owned(), [false, true, true, true]),
        (format!("  client_auth_type: VerifyClientCertIfGiven\n{ca}"), [true, false, true, true]),
        (format!("  client_auth_type: RequireAndVerifyClientCert\n{ca}"), [false, false, true, true]),
        (
            format!(
                "  client_auth_type: RequireAndVerifyClientCert\n{ca}  client_allowed_sans: [prometheus.example]\n"
            ),
            [false, false, true, false],
        ),
        (
            format!(
                "  client_auth_type: RequireAndVerifyClientCert\n{ca}  client_allowed_sans: ['spiffe://example/prometheus', x]\n"
            ),
            [false, false, true, false],
        ),
        (
            format!(
                "  client_auth_type: RequireAndVerifyClientCert\n{ca}  client_allowed_sans: [10.0.0.9]\n"
            ),
            [false, false, false, true],
        ),
        (
            "  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [prometheus.example]\n"
                .to_owned(),
            [false, true, true, false],
        ),
    ];
    for (index, (more, expected)) in cases.into_iter().enumerate() {
        let exporter = sockets_only(&authority.write(&format!("web{index}.yml"), &format!("{TLS}{more}")));
        let got = [None, Some(&theirs), Some(&ours), Some(&other)].map(|files| {
            let arguments = files.map(|[certificate, key]| {
                ["--cert", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()]
            });
            https(&exporter, &authority, arguments.as_ref().map_or(&[][..], |it| it)).status == 200
        });
        assert_eq!(got, expected, "{more}");
    }
}

#[test]
fn changed_files_are_read_again_and_broken_ones_leave_the_old_in_force() {
    let test = "changed_files_are_read_again_and_broken_ones_leave_the_old_in_force";
    if !skip::programs(test, PROGRAMS) {
        return;
    }
    let authority = authority();
    let users = |name: &str| format!("{TLS}basic_auth_users:\n  {name}: {SECRET}\n");
    let config = authority.write("web.yml", &users("alice"));
    let mut exporter = sockets_only(&config);
    let opens = |exporter: &Exporter, user: &str| {
        let got = https(exporter, &authority, &["-u", &format!("{user}:secret")]);
        (got.status == 200).then(|| Exposition::parse(&got.text()))
    };
    let reloads = |page: &Exposition| {
        let count = |result| page.value("dbwire_web_config_reloads_total", &[("result", result)]);
        (count("success"), count("failure"), page.value("dbwire_web_config_last_reload_successful", &[]))
    };
    let first = wait::until(LIMIT, "the first page", || opens(&exporter, "alice"));
    assert_eq!(reloads(&first), (Some(0.0), Some(0.0), Some(1.0)));

    let mut failures = 0.0;
    let key = fs::read_to_string(authority.path("server.key")).unwrap();
    for (file, text) in [
        ("web.yml", "tls_server_config: {cert_file: nowhere.crt, key_file: server.key}\n"),
        ("web.yml", ""),
        ("web.yml", TLS),
        ("web.yml", "basic_auth_users: {alice: secret}\n"),
        ("web.yml", "\0\u{1}: ["),
        ("server.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
    ] {
        if file == "server.key" {
            authority.write("web.yml", &users("alice"));
        }
        authority.write(file, text);
        failures += 1.0;
        wait::until(LIMIT, &format!("{text:?} to be refused"), || {
            opens(&exporter, "alice")
                .filter(|page| reloads(page).1 == Some(failures) && reloads(page).2 == Some(0.0))
        });
    }
    exporter.wait_for_log("the web configuration has changed but cannot be used");

    authority.write("server.key", &key);
    authority.write("web.yml", &users("bob"));
    let page = wait::until(LIMIT, "bob to be let in", || opens(&exporter, "bob"));
    assert_eq!(reloads(&page).2, Some(1.0));
    assert!(opens(&exporter, "alice").is_none(), "alice is no user any more");
    assert!(!exporter.log().iter().any(|line| line.contains("$2b$")), "{:#?}", exporter.log());
}

#[test]
fn a_new_certificate_is_served_without_a_restart() {
    if !skip::programs("a_new_certificate_is_served_without_a_restart", PROGRAMS) {
        return;
    }
    let authority = authority();
    let exporter = sockets_only(&authority.write("web.yml", TLS));
    assert_eq!(https(&exporter, &authority, &[]).status, 200);
    let next = self::authority();
    for name in ["server.crt", "server.key"] {
        authority.write(name, &fs::read_to_string(next.path(name)).unwrap());
    }
    wait::until(LIMIT, "the new certificate", || (https(&exporter, &next, &[]).status == 200).then_some(()));
    assert_ne!(https(&exporter, &authority, &[]).status, 200, "the old one is gone");
}

#[test]
fn a_file_that_cannot_be_used_is_told_at_the_start_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("web.yml");
    let config = config.to_str().unwrap();
    let cases = [
        (None, "No such file or directory"),
        (Some("tls_server_config: {cert_file: a, key_file: b}"), "No such file or directory"),
        (Some("tls_config: {}"), "tls_config"),
        (Some("basic_auth_users: {alice: hunter2}"), "basic_auth_users: alice: is not a bcrypt hash"),
    ];
    for (text, expected) in cases {
        if let Some(text) = text {
            fs::write(config, text).unwrap();
        }
        let output = run(&["--web.listen-address=127.0.0.1:0", "--web.config.file", config]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("--web.config.file") && said.contains(expected), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn promtool_and_the_exporter_accept_the_shipped_examples() {
    if !skip::programs(
        "promtool_and_the_exporter_accept_the_shipped_examples",
        &["promtool", "curl", "openssl"],
    ) {
        return;
    }
    let authority = authority();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/web-config");
    let mut names: Vec<_> = fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|it| it == "yml"));
    assert!(names.len() >= 3, "{names:?}");
    for example in names {
        // The examples name files beside them.
        let copy = authority.write("example.yml", &fs::read_to_string(example).unwrap());
        children::output(children::command("promtool").args(["check", "web-config"]).arg(&copy));
        sockets_only(&copy);
    }
}

#[test]
fn a_unix_socket_and_those_of_systemd_are_served_on() {
    if !skip::programs("a_unix_socket_and_those_of_systemd_are_served_on", &["curl", "python3"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let path = path.to_str().unwrap();
    let ask = |socket: &str| curl("http://exporter/-/healthy", &["--unix-socket", socket]).status;
    let exporter = Exporter::start_on(&[&format!("unix:{path}")], &[]);
    assert_eq!(ask(path), 200);
    assert!(exporter.stop().success());
    // Sockets at 3 and 4, as systemd has them: sd_listen_fds(3).
    let passed = folder.path().join("passed.sock");
    let passed = passed.to_str().unwrap();
    let passer = "import os, socket, sys\n\
                  tcp = socket.create_server(('127.0.0.1', 0)); unix = socket.socket(socket.AF_UNIX)\n\
                  unix.bind(sys.argv[1]); unix.listen(); low = os.dup2(tcp.fileno(), 13), os.dup2(unix.fileno(), 14)\n\
                  os.dup2(13, 3, inheritable=True); os.dup2(14, 4, inheritable=True)\n\
                  os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))\n\
                  os.execv(sys.argv[2], sys.argv[2:])\n";
    let mut command = Command::new("python3");
    command.args(["-c", passer, passed, env!("CARGO_BIN_EXE_dbwire_exporter"), "--web.systemd-socket"]);
    let exporter = Exporter::start_command(&mut command, 2);
    assert_eq!(ask(passed), 200);
    assert_eq!(exporter.request("GET", "/-/healthy").status, 200);
    let output = run(&["--web.systemd-socket"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("systemd passed no sockets on"), "{said}");
}
