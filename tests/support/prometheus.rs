//! A real Prometheus that scrapes what the test tells it to.

use std::{fs, io::Write, path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    children::{Running, command, free_port, output, tied},
    wait,
};

/// A running Prometheus server with storage of its own; gone when dropped.
#[derive(Debug)]
pub struct Prometheus {
    _server: Running,
    folder: TempDir,
    address: String,
}

impl Prometheus {
    /// Programs it needs.
    pub const PROGRAMS: &'static [&'static str] = &["prometheus", "curl", "setpriv"];

    /// Starts one that scrapes `target` (`host:port`) each second, and returns when it is ready.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn scraping(target: &str) -> Self {
        Self::with_features(target, &["native-histograms"])
    }

    /// The same with these of Prometheus' optional features.
    pub fn with_features(target: &str, features: &[&str]) -> Self {
        let job = format!("[{{job_name: dbwire, static_configs: [{{targets: ['{target}']}}]}}]");
        Self::with_jobs(&format!("scrape_configs: {job}\n"), &[], features)
    }

    /// One with these of Prometheus' optional features that evaluates the rules in these files' texts, too.
    pub fn with_rules(target: &str, rules: &[String], features: &[&str]) -> Self {
        let names: Vec<_> = (0..rules.len()).map(|number| format!("rules-{number}.yaml")).collect();
        let often: Vec<_> = rules.iter().map(|text| text.replace("interval: 30s", "interval: 1s")).collect();
        let files: Vec<_> = names.iter().map(String::as_str).zip(often.iter().map(String::as_str)).collect();
        let job = format!("[{{job_name: dbwire, static_configs: [{{targets: ['{target}']}}]}}]");
        let config = format!("rule_files: ['rules-*.yaml']\nscrape_configs: {job}\n");
        Self::with_jobs(&config, &files, features)
    }

    /// Starts one with `scrape_configs` as written, and `files` (name, text) beside its configuration.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn with_jobs(scrape_configs: &str, files: &[(&str, &str)], features: &[&str]) -> Self {
        let config = format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n{scrape_configs}");
        Self::start(&config, files, &[&format!("--enable-feature={}", features.join(","))])
    }

    /// Starts one with a whole configuration, `files` (name, text) beside it, and these further flags.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(config: &str, files: &[(&str, &str)], flags: &[&str]) -> Self {
        let folder = TempDir::with_prefix("dbwire-prometheus-").expect("a temporary folder");
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, config).expect("the temporary folder is writable");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("the temporary folder is writable");
        }
        let address = format!("127.0.0.1:{}", free_port());
        let mut server = tied("prometheus");
        server
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Self { _server: Running::start(&mut server), folder, address };
        wait::until(Duration::from_secs(60), "Prometheus to be ready", || started.get("/-/ready"));
        started
    }

    /// `HOST:PORT` of its API.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A copy of all it has stored, as blocks; it must have been started with `--web.enable-admin-api`.
    ///
    /// # Panics
    ///
    /// When it does not make one.
    pub fn snapshot(&self) -> PathBuf {
        let mut curl = command("curl");
        let url = format!("http://{}/api/v1/admin/tsdb/snapshot", self.address);
        let answer: Value =
            serde_json::from_str(&output(curl.args(["-sf", "-X", "POST", &url]))).expect("JSON");
        let name = answer["data"]["name"].as_str().expect("a name");
        self.folder.path().join("data/snapshots").join(name)
    }

    /// The exemplars of a metric's series in the last hour; `None` while Prometheus cannot answer.
    pub fn exemplars(&self, metric: &str) -> Option<Vec<Value>> {
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let mut curl = command("curl");
        curl.args(["-sf", "-G", "--data-urlencode", &format!("query={{__name__=~\"{metric}.*\"}}")]);
        curl.args(["-d", &format!("start={}", now - 3600), "-d", &format!("end={}", now + 60)]);
        let answer = curl.arg(format!("http://{}/api/v1/query_exemplars", self.address)).output().ok()?;
        let answer: Value = serde_json::from_slice(&answer.stdout).ok()?;
        let series = answer["data"].as_array()?;
        Some(series.iter().flat_map(|one| one["exemplars"].as_array().cloned().unwrap_or_default()).collect())
    }

    /// The value of an instant query that selects one series; `None` while there is no such series.
    ///
    /// # Panics
    ///
    /// When there are several.
    pub fn value(&self, query: &str) -> Option<f64> {
        let series = self.query(query)?;
        assert!(series.len() <= 1, "{query} selects {} series", series.len());
        Some(series.first()?.1)
    }

    /// The labels and values of an instant query's series; `None` while Prometheus cannot answer.
    pub fn query(&self, query: &str) -> Option<Vec<(Value, f64)>> {
        let answer = self.ask("query", &format!("query={query}"))?;
        let series = answer["result"].as_array()?;
        series
            .iter()
            .map(|one| Some((one["metric"].clone(), one["value"][1].as_str()?.parse().ok()?)))
            .collect()
    }

    /// The rules it evaluates: each as its API describes it (`name`, `query`, `lastError`, `type` …).
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn rules(&self) -> Vec<Value> {
        let answer = self.ask("rules", "").expect("an answer");
        let groups = answer["groups"].as_array().expect("groups");
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }

    /// `data` of an API's answer; `None` unless it succeeded.
    fn ask(&self, api: &str, parameter: &str) -> Option<Value> {
        let mut curl = command("curl");
        curl.args(["-sf", "-G", "--data-urlencode", parameter]);
        let answer = curl.arg(format!("http://{}/api/v1/{api}", self.address)).output().ok()?;
        let mut answer: Value = serde_json::from_slice(&answer.stdout).ok()?;
        Some(answer["data"].take())
    }

    fn get(&self, path: &str) -> Option<String> {
        let answer =
            command("curl").args(["-sf", &format!("http://{}{path}", self.address)]).output().ok()?;
        answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
    }
}

/// promtool takes every `bits` in a name for a unit of data; these are bits of a port number, and the name is a
/// contract.
const KNOWN_COMPLAINT: &str = "dbwire_mysql_sample_bits use base unit \"bytes\" instead of \"bits\"";

/// Feeds a page to `promtool check metrics`.
///
/// # Panics
///
/// When it finds fault: with what it says.
pub fn promtool_check(page: &str) {
    let mut promtool = command("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool runs");
    promtool.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("promtool reads");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    let complaints: Vec<_> =
        said.lines().filter(|line| !line.is_empty() && *line != KNOWN_COMPLAINT).collect();
    // 0: nothing found; 3: only what is known.
    assert!(matches!(output.status.code(), Some(0 | 3)) && complaints.is_empty(), "{complaints:#?}\n{page}");
}
