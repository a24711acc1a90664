//! Starts the program as systemd would: what each key of the unit means, done by other tools.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use seccompiler::BpfProgram;
use tempfile::TempDir;

use crate::{
    filters::Calls,
    support::children::{command, output},
    unit::{Unit, size},
};

/// Keys that tell systemd how to mind the process, not what it may do; or what is done once it has ended.
const MINDING: &[&str] = &[
    "Type",
    "ExecReload",
    "Restart",
    "RestartSec",
    "RestartPreventExitStatus",
    "WatchdogSec",
    "TimeoutStopSec",
    "RemoveIPC",
    // A session keyring of its own, which it never asks for.
    "KeyringMode",
    // Its file names settings only; the test has its own.
    "EnvironmentFile",
    // Measured at the end.
    "MemoryMax",
    "TasksMax",
    // What seccompiler's programs do anyhow: another architecture's call ends the process. The number of the error goes
    // with SystemCallFilter.
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
];

/// Loads filters, then runs what comes behind `--`: setpriv(1) cannot before util-linux 2.39.
const LOADER: &str = r#"
import ctypes, os, sys
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
split = sys.argv.index("--")
texts = [open(path, "rb").read() for path in sys.argv[1:split]]
prctl = ctypes.CDLL(None, use_errno=True).prctl
for text in texts:
    # PR_SET_SECCOMP and SECCOMP_MODE_FILTER of linux/prctl.h and linux/seccomp.h
    if prctl(22, 2, ctypes.byref(Program(len(text) // 8, text)), 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[split + 1], sys.argv[split + 1:])
"#;

/// The unit, ready to be started.
pub(crate) struct Launch {
    /// Files that are readable whatever the unit hides: neither below /home nor /tmp.
    folder: TempDir,
    user: (u32, u32),
    /// Namespaces other than that of mounts, as flags of unshare(1).
    namespaces: Vec<String>,
    /// Lines of a shell that changes what files there are.
    mounts: Vec<String>,
    /// Programs that each change one thing about themselves and run the next.
    chain: Vec<String>,
    /// Flags of setpriv(1).
    privileges: Vec<String>,
    umask: String,
    filters: Vec<BpfProgram>,
    /// Flags of the program itself.
    arguments: Vec<String>,
    memory_max: u64,
    tasks_max: usize,
    limits: Vec<(&'static str, String)>,
}

impl Launch {
    pub(crate) const PROGRAMS: &'static [&'static str] = &[
        "systemd-analyze",
        "systemd-sysusers",
        "unshare",
        "findmnt",
        "prlimit",
        "nice",
        "ionice",
        "choom",
        "setpriv",
        "python3",
        "cc",
    ];

    /// What `unit` says, with the user that systemd-sysusers(8) makes of `users`.
    pub(crate) fn of(unit: &Unit, users: &Path) -> Self {
        let folder = TempDir::with_prefix_in("dbwire-unit-", "/run").expect("/run is writable");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder of ours");
        let mut launch = Self {
            folder,
            user: user(unit.value("User"), users),
            namespaces: Vec::new(),
            mounts: Vec::new(),
            chain: Vec::new(),
            privileges: Vec::new(),
            umask: "0022".to_owned(),
            filters: Vec::new(),
            arguments: Vec::new(),
            memory_max: size(unit.value("MemoryMax")),
            tasks_max: unit.value("TasksMax").parse().expect("a number"),
            limits: Vec::new(),
        };
        let calls = Calls::known();
        for (key, values) in unit.keys() {
            let is_done = launch.apply(key, values)
                || launch.hide(key, &values[0])
                || launch.refuse(key, &values[0], &calls)
                || MINDING.contains(&key);
            assert!(is_done, "this test does not know what {key} does");
        }
        let error = unit.value("SystemCallErrorNumber");
        let lines: Vec<String> = unit
            .keys()
            .filter(|(key, _)| *key == "SystemCallFilter")
            .flat_map(|(_, lines)| lines.to_vec())
            .collect();
        launch.filters.push(calls.filter(&lines, error));
        launch
    }

    /// The command that starts it.
    pub(crate) fn command(&self) -> Command {
        let inside = |name: &str| self.folder.path().join(name).display().to_string();
        let write = |name: &str, bytes: &[u8]| fs::write(inside(name), bytes).expect("a folder of ours");
        write("load.py", LOADER.as_bytes());
        write("dbwire_exporter", b"");
        let paths: Vec<_> =
            (0..self.filters.len()).map(|number| inside(&format!("filter-{number}"))).collect();
        for (path, filter) in paths.iter().zip(&self.filters) {
            let bytes = filter.iter().flat_map(|op| {
                let [a, b] = op.code.to_ne_bytes();
                let [e, f, g, h] = op.k.to_ne_bytes();
                [a, b, op.jt, op.jf, e, f, g, h]
            });
            fs::write(path, bytes.collect::<Vec<_>>()).expect("a folder of ours");
        }
        let program = inside("dbwire_exporter");
        let bind = format!("mount --bind '{}' '{program}'", env!("CARGO_BIN_EXE_dbwire_exporter"));
        let script = format!("{bind}\n{}\numask {}\nexec \"$@\"", self.mounts.join("\n"), self.umask);

        let mut command = command("unshare");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DBWIRE_"))
        {
            command.env_remove(name);
        }
        command.args(["--mount", "--propagation", "slave"]).args(&self.namespaces);
        command.args(["--", "/bin/sh", "-ec", &script, "sh"]).args(&self.chain);
        let (uid, gid) = self.user;
        command.arg("setpriv").args(["--clear-groups", &format!("--reuid={uid}"), &format!("--regid={gid}")]);
        command.args(&self.privileges).args(["--", "/usr/bin/python3", "-I", &inside("load.py")]);
        command.args(&paths).args(["--", &program]).args(&self.arguments);
        command
    }

    /// Keys that a program changes about itself.
    fn apply(&mut self, key: &str, values: &[String]) -> bool {
        let value = values[0].as_str();
        let mut chain = |words: &[&str]| self.chain.extend(words.iter().map(|word| (*word).to_owned()));
        match key {
            "ExecStart" => {
                let rest =
                    value.strip_prefix("/usr/bin/dbwire_exporter").expect("the program as it is installed");
                self.arguments.extend(rest.split_whitespace().map(str::to_owned));
            }
            "User" => {}
            "Nice" => chain(&["nice", "-n", value]),
            "IOSchedulingClass" if value == "idle" => chain(&["ionice", "-c", "idle"]),
            "OOMScoreAdjust" => chain(&["choom", "-n", value, "--"]),
            "LimitNOFILE" => {
                chain(&["prlimit", &format!("--nofile={value}")]);
                self.limits.push(("Max open files", value.to_owned()));
            }
            "LimitCORE" => {
                chain(&["prlimit", &format!("--core={value}")]);
                self.limits.push(("Max core file size", value.to_owned()));
            }
            "UMask" => value.clone_into(&mut self.umask),
            "NoNewPrivileges" if value == "yes" => self.privileges.push("--no-new-privs".to_owned()),
            "AmbientCapabilities" => {
                let capabilities = capabilities(value);
                self.privileges.push(format!("--inh-caps={capabilities}"));
                self.privileges.push(format!("--ambient-caps={capabilities}"));
            }
            "CapabilityBoundingSet" => {
                self.privileges.push(format!("--bounding-set={}", capabilities(value)))
            }
            _ => return false,
        }
        true
    }

    /// Keys that hide files, or make them read-only.
    fn hide(&mut self, key: &str, value: &str) -> bool {
        let lines = match (key, value) {
            // All but the kernel's own file systems. The folders that are writable all the same come later.
            ("ProtectSystem", "strict") => {
                "findmnt --list --noheadings --output TARGET | while read -r target; do
                    case $target in /dev | /dev/* | /proc | /proc/* | /sys | /sys/*) continue ;; esac
                    mount -o remount,bind,ro \"$target\"
                done"
            }
            ("ProtectHome", "yes") => {
                "for home in /home /root /run/user; do
                    [ ! -d $home ] || mount -t tmpfs -o ro,mode=000 tmpfs $home
                done"
            }
            ("PrivateTmp", "yes") => {
                "for tmp in /tmp /var/tmp; do mount -t tmpfs -o mode=1777 tmpfs $tmp; done"
            }
            ("PrivateDevices", "yes") => {
                "mount -t tmpfs -o mode=755 tmpfs /dev
                mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/full c 1 7
                mknod -m 666 /dev/random c 1 8; mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/tty c 5 0
                mount -o remount,ro,noexec /dev"
            }
            ("ProtectKernelTunables", "yes") => {
                "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; mount -o remount,bind,ro /sys"
            }
            ("ProtectControlGroups", "yes") => {
                "findmnt --list --noheadings --types cgroup,cgroup2 --output TARGET | while read -r target; do
                    mount -o remount,bind,ro \"$target\"
                done"
            }
            // A /proc that is mounted anew, before anything below it is.
            ("ProtectProc", "invisible") => {
                self.mounts.insert(0, "mount -t proc -o hidepid=invisible proc /proc".to_owned());
                return true;
            }
            ("PrivateIPC", "yes") => {
                self.namespaces.push("--ipc".to_owned());
                return true;
            }
            // Its calls are refused, too.
            ("ProtectHostname", "yes") => {
                self.namespaces.push("--uts".to_owned());
                return false;
            }
            // As all are here.
            ("PrivateMounts", "yes") => return true,
            _ => return false,
        };
        self.mounts.push(lines.to_owned());
        true
    }

    /// Keys that refuse system calls.
    fn refuse(&mut self, key: &str, value: &str, calls: &Calls) -> bool {
        let filters = calls.of_key(key, value);
        let is_done = filters.is_some();
        self.filters.extend(filters.unwrap_or_default());
        is_done
    }

    /// Whether the kernel agrees, of the process `id`: nothing on the way has been lost.
    pub(crate) fn assert_in_force(&self, id: u32) {
        let file = |name: &str| fs::read_to_string(format!("/proc/{id}/{name}")).expect("it runs");
        let status = file("status");
        let field = |name: &str| status_field(&status, name);
        let (uid, gid) = self.user;
        assert_eq!(field("Uid"), [uid; 4].map(|id| id.to_string()).join("\t"));
        assert_eq!(field("Gid"), [gid; 4].map(|id| id.to_string()).join("\t"));
        assert_eq!(field("Groups"), "");
        assert_eq!(field("NoNewPrivs"), "1");
        // Those of whoever runs the test, the unit's, and at least one of the program's own.
        let before: usize =
            status_field(&fs::read_to_string("/proc/self/status").expect("ours"), "Seccomp_filters")
                .parse()
                .expect("a number");
        let seen: usize = field("Seccomp_filters").parse().expect("a number");
        assert!(seen > before + self.filters.len(), "{seen} filters");
        assert_eq!(field("Umask"), self.umask);
        let limits = file("limits");
        for (name, value) in &self.limits {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), [value, value], "{name}");
        }
        let given = |key: &str| -> i32 {
            let place = self.chain.iter().position(|word| word == key).expect(key);
            self.chain[place + 2].parse().expect("a number")
        };
        assert_eq!(file("oom_score_adj").trim(), given("choom").to_string());
        // nice(1) adds to what whoever runs the test has.
        let before = nice(&fs::read_to_string("/proc/self/stat").expect("ours"));
        assert_eq!(nice(&file("stat")), (before + given("nice")).min(19));
        let peak = field("VmHWM").trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024;
        let threads = field("Threads").parse::<usize>().expect("a number");
        assert!(peak <= self.memory_max, "{peak} bytes");
        assert!(threads <= self.tasks_max, "{threads} threads");
    }
}

/// A line of `/proc/PID/status` (proc(5)).
fn status_field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("no {name}")).trim().to_owned()
}

/// User and group id that systemd-sysusers(8) gives `name`, on a host that has nobody yet.
fn user(name: &str, users: &Path) -> (u32, u32) {
    let root = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(root.path().join("etc")).expect("writable");
    output(command("systemd-sysusers").arg(format!("--root={}", root.path().display())).arg(users));
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).expect("it has been made");
    let line = passwd.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).expect(name);
    let ids: Vec<u32> = line.split(':').filter_map(|field| field.parse().ok()).collect();
    assert!(ids.len() == 2 && ids[0] != 0, "{line}");
    (ids[0], ids[1])
}

/// `CAP_A CAP_B` as setpriv(1) takes them.
fn capabilities(value: &str) -> String {
    let names = value.split_whitespace().map(|name| name.strip_prefix("CAP_").expect(name).to_lowercase());
    names.fold("-all".to_owned(), |all, name| all + ",+" + &name)
}

/// The nice value in `/proc/PID/stat` (proc(5)): the 17th field behind the name in brackets.
fn nice(stat: &str) -> i32 {
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    fields.split_whitespace().nth(16).expect("a field").parse().expect("a number")
}
