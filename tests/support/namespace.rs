//! Network namespaces for the length of a test: a thread's own, gone when its last thread and socket are.

use std::{
    fs, io,
    process::Command,
    sync::mpsc,
    thread::{self, Scope, ScopedJoinHandle},
};

use super::skip;

/// Runs `test` on a thread with a network namespace of its own, loopback up. Threads it spawns share it.
///
/// Where that is not allowed, prints `SKIPPED` with the name and the reason.
pub(crate) fn with_namespace(name: &str, test: impl FnOnce() + Send) {
    let result = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Err(error) = enter_new_namespace() {
                skip::skipped(name, &format!("needs root ({error})"));
                return;
            }
            ip("link set lo up");
            test();
        });
        thread.join()
    });
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// A second namespace, joined to this one by a pair of interfaces: here `veth0` with 192.0.2.1 and 2001:db8::1,
/// there `veth1` with 192.0.2.2 and 2001:db8::2. `there` runs on a thread in it.
pub(crate) fn with_peer<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    there: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let (thread_id, receive_thread_id) = mpsc::channel();
    let (moved, wait_until_moved) = mpsc::channel();
    let thread = scope.spawn(move || {
        enter_new_namespace().expect("the first namespace was allowed");
        thread_id.send(own_thread_id()).unwrap();
        wait_until_moved.recv().unwrap();
        configure("veth1", 2);
        there()
    });
    ip("link add veth0 type veth peer name veth1");
    ip(&format!("link set veth1 netns {}", receive_thread_id.recv().unwrap()));
    configure("veth0", 1);
    moved.send(()).unwrap();
    thread
}

fn configure(interface: &str, host: u8) {
    ip(&format!("addr add 192.0.2.{host}/24 dev {interface}"));
    ip(&format!("addr add 2001:db8::{host}/64 dev {interface} nodad"));
    ip(&format!("link set {interface} up"));
}

/// Runs ip(8) in this thread's namespace.
pub(crate) fn ip(arguments: &str) {
    let status =
        Command::new("ip").args(arguments.split_whitespace()).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments}: {status}");
}

fn own_thread_id() -> String {
    let link = fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().to_owned()
}

fn enter_new_namespace() -> io::Result<()> {
    // SAFETY: no pointers; only this thread changes its namespace.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
