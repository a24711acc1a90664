//! A real Prometheus that scrapes what the test tells it to.

use std::{fs, process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    children::{Running, command, free_port, tied},
    wait,
};

/// A running Prometheus server with storage of its own; gone when dropped.
#[derive(Debug)]
pub struct Prometheus {
    _server: Running,
    _folder: TempDir,
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
        let folder = TempDir::with_prefix("dbwire-prometheus-").expect("a temporary folder");
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: dbwire, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        fs::write(&config, text).expect("the temporary folder is writable");
        let address = format!("127.0.0.1:{}", free_port());
        let mut server = tied("prometheus");
        server
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--log.level=error", "--enable-feature=native-histograms"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Self { _server: Running::start(&mut server), _folder: folder, address };
        wait::until(Duration::from_secs(60), "Prometheus to be ready", || started.get("/-/ready"));
        started
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
        let mut curl = command("curl");
        curl.args(["-sf", "-G", "--data-urlencode", &format!("query={query}")]);
        let answer = curl.arg(format!("http://{}/api/v1/query", self.address)).output().ok()?;
        let answer: Value = serde_json::from_slice(&answer.stdout).ok()?;
        let series = answer["data"]["result"].as_array()?;
        series
            .iter()
            .map(|one| Some((one["metric"].clone(), one["value"][1].as_str()?.parse().ok()?)))
            .collect()
    }

    fn get(&self, path: &str) -> Option<String> {
        let answer =
            command("curl").args(["-sf", &format!("http://{}{path}", self.address)]).output().ok()?;
        answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
    }
}

/// Feeds an exposition to `promtool check metrics`.
///
/// # Panics
///
/// When it finds fault: with what it says.
pub fn promtool_check(exposition: &str) {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("metrics");
    fs::write(&file, exposition).expect("the temporary folder is writable");
    let script = format!("promtool check metrics < '{}' 2>&1", file.display());
    let check = command("sh").args(["-c", &script]).output().expect("a shell");
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(check.status.success() && said.is_empty(), "promtool: {}\n{said}", check.status);
}
