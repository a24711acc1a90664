//! The unit's filters of system calls, as programs for seccomp(2): what systemd.exec(5) says of each key.

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{
    BpfProgram, SeccompAction,
    SeccompCmpArgLen::Dword,
    SeccompCmpOp::{self, Eq, Ne},
    SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::support::children::{command, output};

/// A condition on an argument, by its number.
type Argument = (u8, SeccompCmpOp, u64);

/// Numbers of system calls by name.
pub(crate) struct Calls(BTreeMap<String, i64>);

impl Calls {
    /// As the C library's headers have them for this machine.
    pub(crate) fn known() -> Self {
        let mut cc = command("cc");
        let macros = output(cc.args(["-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"]));
        let number = |line: &str| -> Option<(String, i64)> {
            let (name, number) = line.strip_prefix("#define __NR_")?.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        let calls: BTreeMap<_, _> = macros.lines().filter_map(number).collect();
        assert!(calls.len() > 200, "{} system calls", calls.len());
        Self(calls)
    }

    /// What `SystemCallFilter=` and `SystemCallErrorNumber=` allow and refuse: the first line says which of the two the
    /// list is; a line with ~ takes from it.
    pub(crate) fn filter(&self, lines: &[String], error: &str) -> BpfProgram {
        assert_eq!(error, "EPERM", "no other error is known to this test");
        assert!(!lines[0].starts_with('~'), "the first line names what is allowed");
        let mut allowed = expand("@default");
        for line in lines {
            let (taken, names) = line.strip_prefix('~').map_or((false, line.as_str()), |names| (true, names));
            for name in names.split_whitespace().flat_map(expand) {
                if taken {
                    allowed.remove(&name)
                } else {
                    allowed.insert(name)
                };
            }
        }
        let rules = allowed.iter().filter_map(|name| Some((*self.0.get(name)?, Vec::new())));
        program(rules.collect(), SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
    }

    /// What a key that restricts the process refuses; `None` if it is no such key. `SystemCallFilter` itself takes
    /// [`Self::filter`], which has to see all of its lines.
    pub(crate) fn of_key(&self, key: &str, value: &str) -> Option<Vec<BpfProgram>> {
        let filter = match (key, value) {
            ("RestrictAddressFamilies", families) => {
                let others: Vec<_> =
                    families.split(' ').map(|family| (0, Ne, address_family(family))).collect();
                self.refusing_where(&[("socket", &others)], libc::EAFNOSUPPORT)
            }
            ("RestrictNamespaces", "yes") => return Some(vec![self.refusing(&["setns"]), self.namespaces()]),
            ("MemoryDenyWriteExecute", "yes") => {
                let [write, execute] = [libc::PROT_WRITE as u64, libc::PROT_EXEC as u64];
                let rows = [
                    ("mmap", &[has(2, write | execute)][..]),
                    ("mprotect", &[has(2, execute)]),
                    ("pkey_mprotect", &[has(2, execute)]),
                    ("shmat", &[has(2, libc::SHM_EXEC as u64)]),
                ];
                self.refusing_where(&rows, libc::EPERM)
            }
            ("RestrictRealtime", "yes") => {
                let policies = [libc::SCHED_FIFO, libc::SCHED_RR, libc::SCHED_DEADLINE];
                let policies = policies.map(|policy| [(1, Eq, policy as u64)]);
                let rows: Vec<_> =
                    policies.iter().map(|policy| ("sched_setscheduler", &policy[..])).collect();
                self.refusing_where(&rows, libc::EPERM)
            }
            ("RestrictSUIDSGID", "yes") => self.modes(),
            // Asking, and what it is already, are allowed.
            ("LockPersonality", "yes") => {
                self.refusing_where(&[("personality", &[(0, Ne, 0xffff_ffff), (0, Ne, 0)])], libc::EPERM)
            }
            ("ProtectClock", "yes") => self.refusing(&["@clock"]),
            ("ProtectKernelModules", "yes") => self.refusing(&["@module"]),
            ("ProtectKernelLogs", "yes") => self.refusing(&["syslog"]),
            ("ProtectHostname", "yes") => self.refusing(&["sethostname", "setdomainname"]),
            ("SystemCallFilter", _) => return Some(Vec::new()),
            _ => return None,
        };
        Some(vec![filter])
    }

    fn namespaces(&self) -> BpfProgram {
        let flags = NAMESPACES.map(|flag| [has(0, flag as u64)]);
        let of = |call| flags.iter().map(move |flag| (call, &flag[..]));
        let rows: Vec<_> = of("clone").chain(of("unshare")).collect();
        self.refusing_where(&rows, libc::EPERM)
    }

    /// Refuses to give a file a mode with one of the two bits.
    fn modes(&self) -> BpfProgram {
        let mut conditions = Vec::new();
        for (call, argument) in MODES {
            conditions
                .extend([libc::S_ISUID, libc::S_ISGID].map(|bit| (*call, [has(*argument, bit.into())])));
        }
        let rows: Vec<_> = conditions.iter().map(|(call, mode)| (*call, &mode[..])).collect();
        self.refusing_where(&rows, libc::EPERM)
    }

    /// A program that refuses these calls, and lets all others pass.
    fn refusing(&self, names: &[&str]) -> BpfProgram {
        let names = names.iter().flat_map(|name| expand(name));
        let rules = names.filter_map(|name| Some((*self.0.get(&name)?, Vec::new())));
        refusal(rules.collect(), libc::EPERM)
    }

    /// A program that refuses each of these calls where all of its conditions hold, and lets all others pass.
    fn refusing_where(&self, rows: &[(&str, &[Argument])], errno: i32) -> BpfProgram {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        for (name, conditions) in rows {
            // Machines lack the older of two calls that do the same.
            let Some(number) = self.0.get(*name) else { continue };
            let conditions = conditions
                .iter()
                .map(|(argument, is, value)| SeccompCondition::new(*argument, Dword, is.clone(), *value));
            let conditions: Vec<_> = conditions.map(|condition| condition.expect("a condition")).collect();
            rules.entry(*number).or_default().push(SeccompRule::new(conditions).expect("a rule"));
        }
        refusal(rules, errno)
    }
}

/// The system calls of a set (`@network-io`), by what systemd says of it; of anything else, itself.
fn expand(name: &str) -> BTreeSet<String> {
    if !name.starts_with('@') {
        return BTreeSet::from([name.to_owned()]);
    }
    let listed = output(command("systemd-analyze").args(["syscall-filter", "--no-pager", name]));
    let names =
        listed.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    names.flat_map(expand).collect()
}

fn refusal(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> BpfProgram {
    program(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32))
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    then: SeccompAction,
) -> BpfProgram {
    let machine = std::env::consts::ARCH.try_into().expect("a machine that seccompiler knows");
    let filter = SeccompFilter::new(rules, otherwise, then, machine).expect("a filter");
    filter.try_into().expect("a program")
}

/// All of these bits of an argument are set.
fn has(argument: u8, bits: u64) -> Argument {
    (argument, SeccompCmpOp::MaskedEq(bits), bits)
}

/// Flags of clone(2) that make a namespace.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Calls that take a mode, and which argument that is.
const MODES: &[(&str, u8)] = &[
    ("chmod", 1),
    ("fchmod", 1),
    ("mkdir", 1),
    ("mknod", 1),
    ("creat", 1),
    ("fchmodat", 2),
    ("mkdirat", 2),
    ("mknodat", 2),
    ("open", 2),
    ("openat", 3),
];

fn address_family(name: &str) -> u64 {
    let families = [
        ("AF_INET", libc::AF_INET),
        ("AF_INET6", libc::AF_INET6),
        ("AF_UNIX", libc::AF_UNIX),
        ("AF_NETLINK", libc::AF_NETLINK),
        ("AF_PACKET", libc::AF_PACKET),
    ];
    families.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name} is not known")).1
        as u64
}
