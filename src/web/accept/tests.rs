use super::*;
use crate::metrics::format::{OpenMetricsVersion, TextVersion};

const TEXT: Format = Format::Text(TextVersion::V0_0_4);
const TEXT_1: Format = Format::Text(TextVersion::V1_0_0);
const OPENMETRICS: Format = Format::OpenMetrics(OpenMetricsVersion::V1_0_0);
const DRAFT: Format = Format::OpenMetrics(OpenMetricsVersion::V0_0_1);

fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
}

fn accepted(accept: &str) -> Option<(Format, Option<Escaping>)> {
    format(&headers(&[(ACCEPT, accept)]))
}

#[test]
fn what_known_clients_ask_for_is_what_they_get() {
    let utf8 = Some(Escaping::AllowUtf8);
    let cases = [
        ("curl", "*/*", TEXT, None),
        (
            "Prometheus 2.42",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPENMETRICS,
            None,
        ),
        (
            "Prometheus 2.42 with native histograms",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
             application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::Protobuf,
            None,
        ),
        (
            "Prometheus 3",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OPENMETRICS,
            utf8,
        ),
        ("VictoriaMetrics", "text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT, None),
        ("Telegraf", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT, None),
        (
            "Firefox",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            TEXT,
            None,
        ),
    ];
    for (client, accept, format, escaping) in cases {
        assert_eq!(accepted(accept), Some((format, escaping)), "{client}");
    }
    assert_eq!(format(&HeaderMap::new()), Some((TEXT, None)), "who says nothing");
}

#[test]
fn the_most_specific_range_counts_and_then_the_highest_quality() {
    let cases = [
        ("text/plain", Some(TEXT)),
        ("TEXT/Plain; Version=0.0.4", Some(TEXT)),
        ("text/plain; version=1.0.0", Some(TEXT_1)),
        ("text/plain; charset=utf-8", Some(TEXT)),
        ("text/plain; charset=latin1", None),
        ("text/plain; version=\"0.0.4\"", Some(TEXT)),
        ("text/plain; version=0.0.5", None),
        ("text/*;q=0.5, application/*;q=0.4", Some(TEXT)),
        ("text/*;q=0.4, application/*;q=0.5", Some(OPENMETRICS)),
        ("application/openmetrics-text", Some(OPENMETRICS)),
        ("application/openmetrics-text; version=0.0.1", Some(DRAFT)),
        ("application/openmetrics-text; version=2.0.0, */*;q=0.1", Some(TEXT)),
        ("application/vnd.google.protobuf", Some(Format::Protobuf)),
        ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text", None),
        ("text/plain;q=0.2, application/openmetrics-text;q=0.201", Some(OPENMETRICS)),
        ("*/*, text/plain;q=0, text/plain;version=1.0.0;q=0", Some(OPENMETRICS)),
        ("text/plain;q=0", None),
        ("*/*;q=0", None),
        ("application/json", None),
        ("text/html", None),
        ("text", None),
        ("", None),
        (",,;;=,\"", None),
        ("text/plain;q=x", None),
        ("text/plain;q=7", Some(TEXT)),
        ("a/b;c=\",text/plain,\"", None),
        ("a/b;c=\"\\\",text/plain", None),
    ];
    for (accept, expected) in cases {
        assert_eq!(accepted(accept).map(|(format, _)| format), expected, "{accept:?}");
    }
}

#[test]
fn several_lines_are_one_list() {
    let lines = [(ACCEPT, "text/plain;q=0.1"), (ACCEPT, "application/openmetrics-text;q=0.2")];
    assert_eq!(format(&headers(&lines)), Some((OPENMETRICS, None)));
}

#[test]
fn a_scheme_of_escaping_is_told_back_if_there_is_such() {
    for escaping in Escaping::ALL {
        let accept = format!("text/plain;version=0.0.4;escaping={}", escaping.label());
        assert_eq!(accepted(&accept), Some((TEXT, Some(escaping))));
    }
    assert_eq!(accepted("text/plain;escaping=none"), Some((TEXT, None)));
}

#[test]
fn the_best_coding_is_chosen_that_the_client_accepts() {
    let cases = [
        (None, Some(Coding::Identity)),
        (Some(""), Some(Coding::Identity)),
        (Some("gzip"), Some(Coding::Gzip)),
        (Some("X-GZip"), Some(Coding::Gzip)),
        (Some("gzip, deflate, br, zstd"), Some(Coding::Zstd)),
        (Some("zstd;q=0.5, gzip"), Some(Coding::Gzip)),
        (Some("br, deflate"), Some(Coding::Identity)),
        (Some("*"), Some(Coding::Zstd)),
        (Some("*;q=0.5, zstd;q=0"), Some(Coding::Gzip)),
        (Some("gzip;q=0"), Some(Coding::Identity)),
        (Some("gzip;q=0.001"), Some(Coding::Gzip)),
        (Some("gzip;q=0.5, identity"), Some(Coding::Identity)),
        (Some("identity;q=0"), None),
        (Some("*;q=0"), None),
        (Some("*;q=0, identity"), Some(Coding::Identity)),
        (Some("identity;q=0, gzip"), Some(Coding::Gzip)),
    ];
    for (accepted, expected) in cases {
        let lines = accepted.map(|line| (ACCEPT_ENCODING, line));
        assert_eq!(coding(&headers(lines.as_slice())), expected, "{accepted:?}");
    }
}

#[test]
fn nothing_suits_where_either_does_not() {
    assert_eq!(negotiate(&headers(&[(ACCEPT, "image/png")])), None);
    assert_eq!(negotiate(&headers(&[(ACCEPT_ENCODING, "identity;q=0")])), None);
    let both = headers(&[(ACCEPT, "text/plain"), (ACCEPT_ENCODING, "gzip")]);
    assert_eq!(negotiate(&both), Some(Negotiated { format: TEXT, escaping: None, coding: Coding::Gzip }));
}
