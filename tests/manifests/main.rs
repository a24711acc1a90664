//! Files of deploy/ that other programs read, shown to those programs: Prometheus' configurations, the Dockerfile,
//! Kubernetes' manifests, the Helm chart, the Ansible role, the mixin.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests start programs and read files"
)]

#[path = "../support/mod.rs"]
mod support;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde_json::Value;
use support::{
    children::{command, output},
    skip,
};
use tempfile::TempDir;

/// The oldest version of Kubernetes that the chart is for, and the newest.
const KUBERNETES: [&str; 2] = ["1.25", "1.37"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where tests/setup/clients.sh has put what Debian lacks; `None`, having said so, if it has not.
fn tools(test: &str) -> Option<PathBuf> {
    let folder = root().join("target/clients/manifests");
    let is_ready = folder.join(".key").exists();
    (is_ready || skip::unavailable(test, "tests/setup/clients.sh has not prepared it")).then_some(folder)
}

fn has(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("a temporary folder");
    path
}

#[test]
fn promtool_takes_every_configuration_of_prometheus() {
    let test = "promtool_takes_every_configuration_of_prometheus";
    if !skip::programs(test, &["promtool"]) {
        return;
    }
    // As the files lie in a container: rules beside the configuration, which the examples look for one folder higher.
    let folder = TempDir::new().expect("a temporary folder");
    let examples = folder.path().join("examples");
    fs::create_dir(&examples).expect("a temporary folder");
    for rules in ["rules.yaml", "fleet.yaml", "alerts.yaml"] {
        has(folder.path(), rules, &read(&format!("deploy/prometheus/{rules}")));
    }
    let mut configurations =
        vec![has(folder.path(), "prometheus.yaml", &read("deploy/compose/prometheus.yaml"))];
    for entry in fs::read_dir(root().join("deploy/prometheus/examples")).expect("the examples") {
        let name = entry.expect("a file").file_name().into_string().expect("a name");
        let text = read(&format!("deploy/prometheus/examples/{name}"));
        // Debian builds promtool without Kubernetes' service discovery: all but that is checked.
        let discovery = "kubernetes_sd_configs:\n      - role: pod\n";
        assert_eq!(text.contains(discovery), name == "kubernetes.yaml", "{name}");
        configurations.push(has(
            &examples,
            &name,
            &text.replace(discovery, "static_configs: [{targets: [pod]}]\n"),
        ));
    }
    assert_eq!(configurations.len(), 6, "{configurations:?}");
    for configuration in configurations {
        output(command("promtool").args(["check", "config"]).arg(configuration));
    }
}

#[test]
fn the_mixin_is_the_files_beside_it_with_the_runbooks_where_one_wants_them() {
    let test = "the_mixin_is_the_files_beside_it_with_the_runbooks_where_one_wants_them";
    if !skip::programs(test, &["jsonnet", "promtool"]) {
        return;
    }
    let mixin = |more: &str| -> Value {
        let program = format!(
            "local m = (import 'mixin.libsonnet') + {{ _config+:: {{ {more} }} }};
             {{ dashboards: m.grafanaDashboards, groups: m.prometheusRules.groups + m.prometheusAlerts.groups }}"
        );
        let printed =
            output(command("jsonnet").current_dir(root().join("dashboards")).args(["-e", &program]));
        serde_json::from_str(&printed).expect("JSON")
    };
    let plain = mixin("");
    let dashboards = plain["dashboards"].as_object().expect("dashboards");
    let named: Vec<_> =
        dashboards.iter().map(|(name, it)| (name.as_str(), it["uid"].as_str().unwrap_or_default())).collect();
    let ids = ["dbwire-exporter", "dbwire-fleet", "dbwire-mysql", "dbwire-sockets"];
    assert_eq!(
        named,
        ids.map(|id| (format!("{id}.json"), id))
            .iter()
            .map(|(name, id)| (name.as_str(), *id))
            .collect::<Vec<_>>()
    );
    let folder = TempDir::new().expect("a temporary folder");
    let rules = serde_json::json!({ "groups": plain["groups"] }).to_string();
    let checked =
        output(command("promtool").args(["check", "rules"]).arg(has(folder.path(), "rules.json", &rules)));
    let files =
        ["rules", "fleet", "alerts"].map(|name| read(&format!("deploy/prometheus/{name}.yaml"))).concat();
    let expected = files.lines().filter(|line| {
        line.trim_start().starts_with("- record:") || line.trim_start().starts_with("- alert:")
    });
    assert!(checked.contains(&format!("{} rules found", expected.count())), "{checked}");
    // The files' own addresses unless another is given.
    for (more, prefix) in
        [("", read_runbook_prefix()), ("runbookURLPrefix: 'https://wiki/'", "https://wiki/".to_owned())]
    {
        let alerts = mixin(more)["groups"].to_string();
        assert!(alerts.contains(&format!("\"runbook_url\":\"{prefix}DbwireDown.md\"")), "{prefix}");
    }
}

/// The prefix in the alerts' own file.
fn read_runbook_prefix() -> String {
    let alerts = read("deploy/prometheus/alerts.yaml");
    let url = alerts.lines().find_map(|line| line.trim().strip_prefix("runbook_url: ")).expect("a runbook");
    url[..=url.rfind('/').expect("an address")].to_owned()
}

#[test]
fn hadolint_has_nothing_to_say_of_the_dockerfile() {
    let Some(tools) = tools("hadolint_has_nothing_to_say_of_the_dockerfile") else { return };
    let mut hadolint = command(tools.join("bin/hadolint"));
    let said = output(
        hadolint.args(["--failure-threshold", "style"]).arg(root().join("deploy/container/Dockerfile")),
    );
    assert_eq!(said, "");
}

#[test]
fn kubernetes_takes_the_manifests_of_kustomize_and_of_the_chart() {
    let Some(tools) = tools("kubernetes_takes_the_manifests_of_kustomize_and_of_the_chart") else { return };
    let kubernetes = root().join("deploy/kubernetes");
    let chart = kubernetes.join("helm/dbwire-exporter");
    let kustomize =
        |name: &str| output(command(tools.join("bin/kubectl")).arg("kustomize").arg(kubernetes.join(name)));
    let template = |values: &[&str]| {
        let mut helm = command(tools.join("bin/helm"));
        output(helm.args(["template", "watch", "--namespace", "monitoring"]).args(values).arg(&chart))
    };
    output(command(tools.join("bin/helm")).args(["lint", "--strict"]).arg(&chart));

    let monitored = ["--set", "podMonitor.enabled=true,podMonitor.labels.release=prometheus"];
    let tolerant = ["--set", "tolerations[0].operator=Exists,port=9099,image.tag=1.2.3"];
    let secured = [
        "--set-json",
        r#"args=["--mysql.port=3306","--web.config.file=/etc/dbwire/web.yml"]"#,
        "--set-json",
        r#"volumes=[{"name":"web","secret":{"secretName":"dbwire-web"}}]"#,
        "--set-json",
        r#"volumeMounts=[{"name":"web","mountPath":"/etc/dbwire","readOnly":true}]"#,
        "--set-json",
        r#"probeHeaders=[{"name":"Authorization","value":"Basic cHJvbWV0aGV1czp4"}]"#,
        "--set-json",
        r#"podMonitor={"enabled":true,"interval":"15s","endpoint":{"tlsConfig":{"insecureSkipVerify":true}}}"#,
        "--set",
        "scheme=HTTPS",
    ];
    let by_environment = [
        "--set-json",
        "args=[]",
        "--set-json",
        r#"env=[{"name":"DBWIRE_LOG_LEVEL","value":"warn"}]"#,
        "--set-json",
        r#"imagePullSecrets=[{"name":"registry"}]"#,
        "--set",
        "podAnnotations.team=dba",
    ];
    // What is rendered, and whether a PodMonitor is part of it: only where it is asked for.
    for (text, has_monitor) in [
        (kustomize("base"), false),
        (kustomize("podmonitor"), true),
        (template(&[]), false),
        (template(&monitored), true),
        (template(&tolerant), false),
        (template(&secured), true),
        (template(&by_environment), false),
    ] {
        let (daemon_sets, others): (Vec<_>, Vec<_>) =
            documents(&text).into_iter().partition(|document| document.contains("\nkind: DaemonSet\n"));
        assert_eq!((daemon_sets.len(), others.len()), (1, usize::from(has_monitor)), "{text}");
        daemon_sets.iter().for_each(|text| validate(&tools, text));
        others.iter().for_each(|text| validate_pod_monitor(&tools, text));
        for promise in [
            "hostNetwork: true",
            "NET_RAW",
            "readOnlyRootFilesystem: true",
            "livenessProbe:",
            "readinessProbe:",
        ] {
            assert!(text.contains(promise), "no {promise} in {text}");
        }
    }
}

fn documents(text: &str) -> Vec<String> {
    let documents = text.split("---\n").filter(|document| !document.trim().is_empty());
    documents.map(|document| format!("\n{document}")).collect()
}

/// Against the schemas of Kubernetes, which know no fields but these.
fn validate(tools: &Path, text: &str) {
    let folder = TempDir::new().expect("a temporary folder");
    let file = has(folder.path(), "manifest.yaml", text);
    for version in KUBERNETES {
        let mut validator = command(tools.join("bin/kubernetes-validate"));
        output(validator.args(["--strict", "-k", version]).arg(&file));
    }
}

fn validate_pod_monitor(tools: &Path, text: &str) {
    let folder = TempDir::new_in(tools).expect("a temporary folder");
    let json = output(
        command(tools.join("bin/python"))
            .args(["-c", "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)"])
            .arg(has(folder.path(), "monitor.yaml", text)),
    );
    let script = has(folder.path(), "pod_monitor.mjs", &read("tests/manifests/pod_monitor.mjs"));
    let input = File::open(has(folder.path(), "monitor.json", &json)).expect("just written");
    output(command("node").arg(script).stdin(input));
}

#[test]
fn ansible_takes_the_role() {
    let Some(tools) = tools("ansible_takes_the_role") else { return };
    let mut ansible = command(tools.join("bin/ansible-playbook"));
    ansible
        .env("ANSIBLE_ROLES_PATH", root().join("deploy/ansible"))
        .env("ANSIBLE_HOME", tools.join("ansible"));
    ansible.args(["--syntax-check", "--inventory", "localhost,"]);
    output(ansible.arg(root().join("tests/manifests/play.yaml")));
}

#[test]
fn every_file_that_the_compose_demo_mounts_is_there() {
    let compose = read("deploy/compose/compose.yaml");
    let mounts: Vec<_> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- .")?.split(':').next())
        .map(|path| root().join("deploy/compose").join(format!(".{path}")))
        .collect();
    assert_eq!(mounts.len(), 7, "{mounts:?}");
    for mount in mounts {
        assert!(mount.exists(), "{} is not there", mount.display());
    }
}
