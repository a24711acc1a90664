//! The packages, as `make test-packages` has built them: installed, run and removed in a clean Debian; and what lintian and
//! rpm say of them. Skipped without: building them takes minutes.

#![cfg(feature = "capture")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests start programs and read files"
)]

mod support;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{
    children::{command, output},
    exporter::Exporter,
    skip,
};
use tempfile::TempDir;

/// The package with this extension; `None`, having said so, where none has been built.
fn package(test: &str, extension: &str) -> Option<PathBuf> {
    let Some(folder) = env::var_os("DBWIRE_PACKAGES") else {
        skip::skipped(test, "make test-packages runs it");
        return None;
    };
    let version = env!("CARGO_PKG_VERSION");
    let files =
        fs::read_dir(folder).expect("DBWIRE_PACKAGES is a folder").map(|file| file.expect("a file").path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("dbwire") && name.contains(version) && name.ends_with(extension)
    };
    let mut found: Vec<_> = files.filter(is_ours).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop()
}

#[test]
fn lintian_finds_nothing_in_the_debian_package() {
    let Some(package) = package("lintian_finds_nothing_in_the_debian_package", ".deb") else { return };
    let mut lintian = command("lintian");
    let said = output(lintian.args(["--allow-root", "--fail-on", "error,warning"]).arg(package));
    assert_eq!(said, "");
}

#[test]
fn the_debian_package_is_as_old_as_the_program() {
    // The revision is cargo-deb's, 1 unless told otherwise.
    let changelog = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/debian/changelog"));
    let first = format!("dbwire-exporter ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(
        changelog.expect("deploy/debian/changelog").starts_with(&first),
        "it does not begin with {first}"
    );
}

#[test]
fn the_rpm_package_holds_the_program_the_unit_and_the_manual() {
    let Some(package) = package("the_rpm_package_holds_the_program_the_unit_and_the_manual", ".rpm") else {
        return;
    };
    let listed = output(command("rpm").args(["--query", "--package", "--list"]).arg(package));
    for path in [
        "/usr/bin/dbwire_exporter",
        "/usr/lib/systemd/system/dbwire-exporter.service",
        "/usr/lib/sysusers.d/dbwire-exporter.conf",
        "/etc/default/dbwire-exporter",
        "/usr/share/man/man1/dbwire_exporter.1",
        "/usr/share/dbwire_exporter/dashboards/dbwire-fleet.json",
        "/usr/share/dbwire_exporter/prometheus/alerts.yaml",
    ] {
        assert!(listed.lines().any(|line| line == path), "no {path} in {listed}");
    }
}

#[test]
fn the_rpm_package_starts_what_runs_anew_and_stops_it_when_it_goes() {
    let Some(package) = package("the_rpm_package_starts_what_runs_anew_and_stops_it_when_it_goes", ".rpm")
    else {
        return;
    };
    let scripts = output(command("rpm").args(["--query", "--package", "--scripts"]).arg(package));
    for part in ["try-restart dbwire-exporter.service", "disable --now dbwire-exporter.service"] {
        assert!(scripts.contains(part), "no {part} in {scripts}");
    }
}

#[test]
fn the_debian_package_brings_no_server_along() {
    let Some(package) = package("the_debian_package_brings_no_server_along", ".deb") else { return };
    let field = |name: &str| output(command("dpkg-deb").arg("--field").arg(&package).arg(name));
    assert_eq!(field("Recommends").trim(), "", "apt installs what is recommended");
    assert!(!field("Depends").contains("prometheus"), "{}", field("Depends"));
}

#[test]
fn in_a_clean_debian_the_package_installs_runs_and_leaves_nothing() {
    let test = "in_a_clean_debian_the_package_installs_runs_and_leaves_nothing";
    let Some(package) = package(test, ".deb") else { return };
    if !skip::root(test) {
        return;
    }
    let root = Root::new();
    let before = root.contents();
    fs::copy(package, root.path().join("package.deb")).expect("the new Debian is writable");
    root.run(&["dpkg", "--install", "/package.deb"]);
    fs::remove_file(root.path().join("package.deb")).expect("just written");

    let user = root.run(&["getent", "passwd", "dbwire-exporter"]);
    assert!(user.trim_end().ends_with(":/usr/sbin/nologin"), "{user}");
    let enabled = "etc/systemd/system/multi-user.target.wants/dbwire-exporter.service";
    assert!(root.path().join(enabled).is_symlink(), "the unit is not enabled");
    for path in [
        "usr/share/man/man1/dbwire_exporter.1.gz",
        "usr/share/bash-completion/completions/dbwire_exporter",
        "usr/share/dbwire_exporter/dashboards/dbwire-fleet.json",
        "usr/share/dbwire_exporter/prometheus/fleet.yaml",
    ] {
        assert!(root.path().join(path).exists(), "no {path}");
    }
    let flags = ["--web.listen-address=127.0.0.1:0", "--mysql.interface=lo"];
    let exporter = Exporter::start_command(root.with_proc("dbwire_exporter").args(flags), 1);
    assert_eq!(exporter.page().value("dbwire_capture_up", &[]), Some(1.0), "{:#?}", exporter.log());
    assert_eq!(exporter.stop().code(), Some(0));

    root.run(&["dpkg", "--purge", "dbwire-exporter"]);
    let after = root.contents();
    let left: Vec<_> = after.symmetric_difference(&before).collect();
    assert!(left.is_empty(), "{left:#?}");
}

/// A Debian of its own in a folder, with what the package depends on.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(TempDir::with_prefix_in("dbwire-debian-", "/var/tmp").expect("a temporary folder"));
        let mut debootstrap = command("debootstrap");
        debootstrap.args([
            "--variant=minbase",
            "--include=libpcap0.8,systemd-standalone-sysusers",
            "bookworm",
        ]);
        output(debootstrap.arg(root.path()));
        root
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, words: &[&str]) -> String {
        output(command("chroot").arg(self.path()).args(words).env("DEBIAN_FRONTEND", "noninteractive"))
    }

    /// A program of its own, with /proc for as long as it runs.
    fn with_proc(&self, program: &str) -> Command {
        let mut inside = command("unshare");
        let script = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$@\"";
        inside.args(["--mount", "sh", "-c", script]).arg(self.path()).arg(program);
        inside
    }

    /// Every path, and every user; but not what dpkg and those who change users keep for themselves.
    fn contents(&self) -> BTreeSet<String> {
        let kept = ["var/log/", "var/lib/dpkg/", "var/lib/systemd/deb-systemd-helper", "var/cache/"];
        let backups = ["etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock"];
        let paths = output(command("find").arg(self.path()).args(["-xdev", "-printf", "%P\\n"]));
        let paths = paths
            .lines()
            .filter(|path| !kept.iter().any(|prefix| path.starts_with(prefix)) && !backups.contains(path));
        let users = ["passwd", "group"].map(|file| fs::read_to_string(self.path().join("etc").join(file)));
        let users = users.map(|text| text.expect("users"));
        paths.chain(users.iter().flat_map(|text| text.lines())).map(str::to_owned).collect()
    }
}
