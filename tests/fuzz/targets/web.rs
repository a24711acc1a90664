//! What a scraper says it accepts, and the configuration file of the web side.

use std::path::Path;

use dbwire_exporter::web::{accept, deadline, settings::Settings};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};

use super::input::Input;

/// Lines of `Accept`, and of `Accept-Encoding` where the first byte is odd. Case does not matter, nor whether a list is
/// on one line or on several (RFC 9110 sections 5.3 and 8.3.1), and what is agreed on can be told.
pub fn accept(data: &[u8]) {
    let lines: Vec<_> = data.split(|byte| *byte == b'\n').collect();
    let agreed = negotiate(&lines);
    let shouted: Vec<_> = lines.iter().map(|line| line.to_ascii_uppercase()).collect();
    assert_eq!(negotiate(&shouted.iter().map(Vec::as_slice).collect::<Vec<_>>()), agreed);
    if let Some(agreed) = agreed {
        assert!(HeaderValue::from_str(&agreed.format.content_type(agreed.escaping)).is_ok());
        let plain = |line: &&[u8]| {
            line.first().is_some_and(|kind| kind & 1 == 0) && HeaderValue::from_bytes(line).is_ok()
        };
        let quoted = data.contains(&b'"') || !data.is_ascii();
        let lists: Vec<_> = lines.iter().copied().filter(plain).map(|line| &line[1..]).collect();
        if !quoted && lists.len() > 1 && lists.len() == lines.len() {
            let joined = [b"\0", &lists.join(&b","[..])[..]].concat();
            assert_eq!(negotiate(&[joined.as_slice()]), Some(agreed));
        }
    }
}

fn negotiate(lines: &[&[u8]]) -> Option<accept::Negotiated> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((kind, value)) = line.split_first() else { continue };
        let name = if kind & 1 == 0 { ACCEPT } else { ACCEPT_ENCODING };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), value.clone());
            headers.append(name, value);
        }
    }
    assert!(deadline::within(&headers) <= deadline::LONGEST);
    accept::negotiate(&headers)
}

/// Stands in all secrets.
const CANARY: &str = "canary-7f3a";

/// A file, or one of which parts are secret: neither an error nor a log repeats those.
pub fn web_config(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.u8();
    let folder = Path::new("/etc/dbwire");
    if kind.is_multiple_of(4) {
        if let Ok(settings) = Settings::parse(&String::from_utf8_lossy(input.0), folder) {
            assert!(settings.files().all(|file| file.starts_with("/")), "{settings:?}");
        }
        return;
    }
    let escaped: String = input.0.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let secret = format!("\"{CANARY}{escaped}\"");
    let text = match kind % 4 {
        1 => format!("basic_auth_users: {{prometheus: {secret}}}"),
        2 => format!("tls_server_config: {{cert: a, key: {secret}, min_version: TLS{kind}}}"),
        _ => format!("tls_server_config: {{cert: a, key: {secret}}}\nunknown_{kind}: 1"),
    };
    let said = format!("{:?}", Settings::parse(&text, folder));
    assert!(!said.contains(CANARY), "{said}");
}
