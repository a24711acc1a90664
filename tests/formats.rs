//! The formats of a page, held to readers that are not ours: Python's strict OpenMetrics parser, promtool, and a real
//! Prometheus that scrapes text and protobuf.
#![cfg(feature = "capture")]
#![allow(clippy::disallowed_methods, reason = "a test reads the clock")]

mod support;

use std::{io::Write as _, path::Path, process::Stdio, time::Duration};

use dbwire_exporter::{
    cli,
    config::{Action, Config},
    io::mysql,
    metrics::{
        exemplar::Exemplar,
        family::{Family, HistogramSample},
        format::{Created, Format},
        names,
    },
};
use prometheus::proto::MetricFamily;
use support::{
    children::command,
    dialogue::{Conversation, OK, write_pcap},
    exposition::Exposition,
    page_server::PageServer,
    prometheus::{Prometheus, promtool_check},
    skip, wait,
};

const LIMIT: Duration = Duration::from_secs(60);
const DURATION: &str = "dbwire_mysql_query_duration_seconds";
const SECOND: f64 = 1e9;

/// A text that each format has to escape, or must not take for its own syntax.
const ODD: &str = "a\\b \"quoted\" \n# EOF {x=\"y\"} 1 # {z} é 日本 \u{1f600}";

/// Durations in nanoseconds from 20 µs to 20 s, as many in each decade; the same each time.
fn durations() -> Vec<u64> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..2000).map(|_| (20_000.0 * 10_f64.powf(6.0 * next())) as u64).collect()
}

/// A capture of queries that took `durations`.
fn capture(durations: &[u64], path: &Path) {
    let mut frames = Vec::new();
    let mut conversation =
        Conversation::open(40_000, "shop", 1_700_000_000_000_000_000, |at, frame: &[u8]| {
            frames.push((at, frame.to_vec()));
        });
    for nanos in durations {
        // Less what there is between one packet and the next anyway.
        conversation.answer_time = nanos - 1000;
        conversation.query(b"select a from t", OK);
    }
    conversation.close();
    write_pcap(path, &frames);
}

/// What a replay of `durations` exports, each counted `multiplier` times.
fn replayed(durations: &[u64], multiplier: &str) -> Vec<MetricFamily> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known.pcap");
    capture(durations, &path);
    replay_of(&path, multiplier)
}

/// What a replay of a file exports.
fn replay_of(path: &Path, multiplier: &str) -> Vec<MetricFamily> {
    let path = path.to_str().unwrap();
    let words = ["dbwire_exporter", "replay", path, "--mysql.multiplier", multiplier];
    let cli = cli::parse(words.into_iter().map(Into::into), "").unwrap();
    let Action::Replay(replay) = Config::from_cli(cli).unwrap().action else { panic!("a replay") };
    mysql::replay(&replay).unwrap().families()
}

fn exemplar(value: f64) -> Exemplar {
    let labels = [("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"), ("span_id", "00f067aa0ba902b7")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Exemplar { labels, value, at: now }
}

/// A page with all that is hard: odd labels, fractions, exemplars, extremes.
fn rich() -> Vec<MetricFamily> {
    let mut families = replayed(&durations(), "2.5");
    let histogram = families.iter_mut().find(|family| family.name() == DURATION).unwrap();
    for value in [0.0003, 0.02, 1e6] {
        exemplar(value).attach_to_bucket(histogram.mut_metric()[0].histogram.as_mut().unwrap());
    }
    families.retain(|family| family.name() != names::MYSQL_DIGEST_INFO.name);
    families.push(Family::new(&names::MYSQL_DIGEST_INFO).sample(&["0123456789ABCDEF", ODD], 1.0).build());
    let extremes = [("nan", f64::NAN), ("inf", f64::INFINITY), ("tiny", 5e-324), ("huge", 1.7e308)];
    let mut gauge = Family::new(&names::TCP_SOURCE_INFO);
    extremes.iter().for_each(|(label, value)| gauge.push(&[label], *value));
    families.push(gauge.build());
    families.push(Family::new(&names::TCP_ORPHANS).build());
    let empty = HistogramSample { buckets: vec![(1.0, 0.0)], count: 0.0, sum: 0.0 };
    families.push(Family::new(&names::MYSQL_FIRST_RESPONSE).histogram(&[ODD], &empty).build());
    families.dedup_by(|a, b| a.name() == b.name());
    let mut seen = std::collections::BTreeSet::new();
    families.reverse();
    families.retain(|family| seen.insert(family.name().to_owned()));
    families
}

fn page(format: Format, created: Option<Created>) -> String {
    let mut page = Vec::new();
    format.encode(rich(), created, &mut page).unwrap();
    String::from_utf8(page).unwrap()
}

fn text() -> String {
    page(Format::ALL[0], None)
}

/// Where `tests/setup/clients.sh` put Python's libraries.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/python/bin/python");

/// Reads a page by a parser of prometheus_client: how many samples, exemplars and units it has, and the odd label.
fn parsed_by_python(parser: &str, page: &str) -> (usize, usize, usize, String) {
    let script = format!(
        "import sys, json\nfrom prometheus_client.{parser} import text_string_to_metric_families as parse\n\
         families = list(parse(sys.stdin.buffer.read().decode()))\n\
         samples = [s for f in families for s in f.samples]\n\
         odd = [s.labels['digest_text'] for s in samples if 'digest_text' in s.labels]\n\
         exemplars = [s for s in samples if getattr(s, 'exemplar', None)]\n\
         print(json.dumps([len(samples), len(exemplars), len([f for f in families if f.unit]), odd[0]]))\n"
    );
    let mut python = command(PYTHON);
    python.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut python = python.spawn().expect("Python runs");
    python.stdin.take().unwrap().write_all(page.as_bytes()).expect("Python reads");
    let output = python.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "{}\n{page}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("what the script prints")
}

#[test]
fn pythons_strict_parser_reads_the_openmetrics_page() {
    let test = "pythons_strict_parser_reads_the_openmetrics_page";
    if !Path::new(PYTHON).exists() && !skip::unavailable(test, "run tests/setup/clients.sh") {
        return;
    }
    let plain = page(Format::ALL[2], None);
    let lines = plain.lines().filter(|line| !line.starts_with('#')).count();
    let (samples, exemplars, units, odd) = parsed_by_python("openmetrics.parser", &plain);
    assert_eq!((samples, exemplars, odd.as_str()), (lines, 3, ODD));
    assert!(units > 5, "{units} families with a unit");
    let created =
        page(Format::ALL[2], Some(Created { at: Duration::from_millis(1_700_000_000_123), samples: true }));
    assert!(parsed_by_python("openmetrics.parser", &created).0 > lines + 20, "with _created");
}

#[test]
fn the_text_page_is_read_by_python_promtool_and_ourselves_alike() {
    let test = "the_text_page_is_read_by_python_promtool_and_ourselves_alike";
    if !Path::new(PYTHON).exists() && !skip::unavailable(test, "run tests/setup/clients.sh") {
        return;
    }
    let text = text();
    let (samples, _, _, odd) = parsed_by_python("parser", &text);
    assert_eq!(odd, ODD);
    assert_eq!(samples, Exposition::parse(&text).samples.len());
    if skip::programs(test, &["promtool"]) {
        promtool_check(&text);
    }
}

/// The duration that `share` of `durations` do not exceed, in seconds.
fn quantile(durations: &[u64], share: f64) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    sorted[(share * sorted.len() as f64).ceil() as usize - 1] as f64 / SECOND
}

/// The classic bucket that a duration is in.
fn bucket(seconds: f64, page: &str) -> (f64, f64) {
    let page = Exposition::parse(page);
    let mut bounds: Vec<f64> = page
        .of(&format!("{DURATION}_bucket"))
        .map(|sample| sample.labels["le"].parse().unwrap())
        .filter(|bound: &f64| bound.is_finite())
        .collect();
    bounds.sort_by(f64::total_cmp);
    let upper = bounds.iter().copied().find(|bound| seconds <= *bound).unwrap_or(f64::INFINITY);
    let lower = bounds.iter().copied().rfind(|bound| *bound < seconds).unwrap_or(0.0);
    // Prometheus gives the last finite bound for what is above it.
    if upper.is_infinite() { (lower, lower) } else { (lower, upper) }
}

#[test]
fn prometheus_finds_the_true_quantiles_in_classic_and_native_histograms() {
    let test = "prometheus_finds_the_true_quantiles_in_classic_and_native_histograms";
    if !skip::programs(test, Prometheus::PROGRAMS) {
        return;
    }
    let known = durations();
    for multiplier in ["1", "2.5"] {
        let families = replayed(&known, multiplier);
        let mut text = Vec::new();
        Format::ALL[0].encode(families.clone(), None, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let server = PageServer::start(families);
        let classic = Prometheus::with_features(&server.address, &[]);
        let native = Prometheus::with_features(&server.address, &["native-histograms"]);
        for share in [0.1, 0.5, 0.9, 0.95] {
            let truth = quantile(&known, share);
            let query = format!("histogram_quantile({share}, {DURATION}_bucket{{statement=\"select\"}})");
            let found = wait::until(LIMIT, &query, || classic.value(&query));
            let (lower, upper) = bucket(truth, &text);
            assert!(
                lower <= found && found <= upper,
                "classic ×{multiplier}: {found} not in {lower}..{upper}"
            );
            let query = format!("histogram_quantile({share}, {DURATION}{{statement=\"select\"}})");
            let found = wait::until(LIMIT, &query, || native.value(&query));
            // Its buckets are 9.1 % wide.
            assert!((found / truth - 1.0).abs() < 0.091, "native ×{multiplier}: {found}, in truth {truth}");
        }
        let count = known.len() as f64 * multiplier.parse::<f64>().unwrap();
        let query = format!("histogram_count({DURATION}{{statement=\"select\"}})");
        assert_eq!(wait::until(LIMIT, &query, || native.value(&query)), count);
        let query = format!("{DURATION}_count{{statement=\"select\"}}");
        assert_eq!(wait::until(LIMIT, &query, || classic.value(&query)), count);
        let formats = server.formats();
        assert!(formats.contains(&Format::ALL[2]) && formats.contains(&Format::Protobuf), "{formats:?}");
    }
}

#[test]
fn prometheus_ingests_the_rich_page_in_either_format() {
    let test = "prometheus_ingests_the_rich_page_in_either_format";
    if !skip::programs(test, Prometheus::PROGRAMS) {
        return;
    }
    let server = PageServer::start(rich());
    for features in [&["exemplar-storage"][..], &["exemplar-storage", "native-histograms"]] {
        let prometheus = Prometheus::with_features(&server.address, features);
        let info = wait::until(LIMIT, "the odd label", || {
            prometheus.query("dbwire_mysql_digest_info").filter(|series| !series.is_empty())
        });
        assert_eq!(info[0].0["digest_text"], ODD, "{features:?}");
        let fraction = "dbwire_mysql_commands_total{command=\"query\"}";
        assert_eq!(prometheus.value(fraction), Some(5000.0));
        let exemplars = wait::until(LIMIT, "exemplars", || {
            let found = prometheus.exemplars(DURATION)?;
            (!found.is_empty()).then_some(found)
        });
        assert!(exemplars.iter().any(|it| it["labels"]["span_id"] == "00f067aa0ba902b7"), "{exemplars:?}");
        let scraped = prometheus.value("scrape_samples_scraped").unwrap();
        assert!(scraped > 200.0, "{scraped}");
    }
}

#[test]
fn a_traced_statement_becomes_an_exemplar_and_nothing_else_of_its_comment_leaves() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traced.pcap");
    let mut frames = Vec::new();
    let mut conversation =
        Conversation::open(40_000, "shop", 1_700_000_000_000_000_000, |at, frame: &[u8]| {
            frames.push((at, frame.to_vec()));
        });
    for (nanos, flags) in [(3_500_000, "01"), (4_000_000, "01"), (300_000_000, "01"), (30_000_000, "00")] {
        let comment = format!("/*route='%2Fsecret',traceparent='00-{TRACE}-{:016x}-{flags}'*/", nanos);
        conversation.answer_time = nanos - 1000;
        conversation.query(format!("select a from t where b = 'x' {comment}").as_bytes(), OK);
    }
    conversation.answer_time = 1_000_000;
    // Executions of what was prepared belong to other traces than the prepare.
    let prepared = format!("delete from t where a = ? /*traceparent='00-{TRACE}-00f067aa0ba902b7-01'*/");
    conversation.execute(1, prepared.as_bytes(), b"x", OK);
    conversation.close();
    write_pcap(&path, &frames);
    let mut page = Vec::new();
    Format::ALL[2].encode(replay_of(&path, "1"), None, &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    let exemplars: Vec<_> = page.lines().filter_map(|line| line.split_once(" # ")).collect();
    assert_eq!(exemplars.len(), 2, "the latest of two buckets: {exemplars:?}");
    for ((series, exemplar), nanos) in exemplars.into_iter().zip([4_000_000_u64, 300_000_000]) {
        assert!(
            series.starts_with("dbwire_mysql_query_duration_seconds_bucket{statement=\"select\""),
            "{series}"
        );
        let value = nanos as f64 / SECOND;
        let labels = format!("{{trace_id=\"{TRACE}\",span_id=\"{nanos:016x}\"}} {value} 1700000000.");
        assert!(exemplar.starts_with(&labels), "{exemplar}");
    }
    assert!(!page.contains("secret") && !page.contains("route"), "{page}");
}
