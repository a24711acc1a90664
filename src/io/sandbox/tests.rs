//! A thread gives everything up, and tries what it must not be able to do any more.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::Command,
    ptr, thread,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::*;

/// Runs `attempt` on a thread that has given up everything but reading below `readable`.
fn confined<T: Send + 'static>(readable: &Path, attempt: impl FnOnce(Sandbox) -> T + Send + 'static) -> T {
    let policy = Policy { readable: vec![readable.to_owned()], confine: true };
    let thread = thread::spawn(move || attempt(policy.enforce().unwrap()));
    thread.join().unwrap()
}

/// Whether Landlock is there; seccomp must be.
fn holds(test: &str, sandbox: Sandbox) -> bool {
    assert_eq!(sandbox.seccomp, Guard::Enforced);
    let holds = matches!(sandbox.landlock, Guard::Enforced | Guard::Partial);
    if !holds {
        let _ = writeln!(io::stderr(), "SKIPPED {test}: no Landlock");
    }
    holds
}

fn number<T>(outcome: io::Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

#[test]
fn no_socket_can_be_opened_but_those_that_ask_the_kernel() {
    let refused = confined(Path::new("/proc"), |sandbox| {
        let attempts = [
            ("packet", Domain::from(libc::AF_PACKET), Type::RAW, None),
            ("packet, cooked", Domain::from(libc::AF_PACKET), Type::DGRAM, None),
            ("raw IPv4", Domain::IPV4, Type::RAW, Some(Protocol::TCP)),
            ("raw IPv6", Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)),
            ("TCP", Domain::IPV4, Type::STREAM, None),
            ("TCP over IPv6", Domain::IPV6, Type::STREAM, None),
            ("UDP", Domain::IPV4, Type::DGRAM, None),
            ("Unix datagram", Domain::UNIX, Type::DGRAM, None),
            ("Unix stream", Domain::UNIX, Type::STREAM, None),
            (
                "netlink route",
                Domain::from(libc::AF_NETLINK),
                Type::RAW,
                Some(Protocol::from(libc::NETLINK_ROUTE)),
            ),
            ("vsock", Domain::from(libc::AF_VSOCK), Type::STREAM, None),
        ];
        let refused = attempts
            .map(|(name, domain, kind, protocol)| (name, number(Socket::new(domain, kind, protocol))));
        let diag = Protocol::from(libc::NETLINK_SOCK_DIAG);
        Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(diag)).unwrap();
        holds("no_socket_can_be_opened", sandbox).then_some(refused)
    });
    for (name, error) in refused.into_iter().flatten() {
        assert_eq!(error, Some(libc::EPERM), "{name}");
    }
}

#[test]
fn nothing_is_connected_to_or_listened_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let open = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let outcomes = confined(Path::new("/proc"), move |sandbox| {
        let outcomes = [
            number(TcpStream::connect(address)),
            number(TcpListener::bind("127.0.0.1:0")),
            number(UdpSocket::bind("127.0.0.1:0")),
            // A socket from before does not help.
            number(open.connect(&address.into())),
        ];
        holds("nothing_is_connected_to", sandbox).then_some(outcomes)
    });
    assert!(outcomes.is_none_or(|outcomes| outcomes.iter().all(Option::is_some)), "{outcomes:?}");
}

#[test]
fn files_can_be_read_below_the_given_directory_only_and_nothing_written() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("inside");
    fs::write(&inside, "text").unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    let outside_path = outside.path().to_owned();
    let readable = directory.path().to_owned();
    confined(&readable.clone(), move |sandbox| {
        assert_eq!(fs::read_to_string(&inside).unwrap(), "text");
        if !holds("files_can_be_read_below", sandbox) {
            return;
        }
        for path in [&outside_path, Path::new("/etc/passwd"), Path::new("/proc/self/environ")] {
            assert_eq!(number(File::open(path)), Some(libc::EACCES), "{}", path.display());
        }
        assert_eq!(number(fs::read_dir("/etc")), Some(libc::EACCES));
        assert_eq!(number(OpenOptions::new().write(true).open(&inside)), Some(libc::EACCES));
        assert_eq!(number(OpenOptions::new().append(true).open(&outside_path)), Some(libc::EACCES));
        assert_eq!(number(File::create(readable.join("new"))), Some(libc::EACCES));
        assert_eq!(number(fs::remove_file(&inside)), Some(libc::EPERM));
        assert_eq!(number(fs::rename(&inside, readable.join("other"))), Some(libc::EPERM));
        assert_eq!(number(fs::create_dir(readable.join("directory"))), Some(libc::EPERM));
    });
}

#[test]
fn nothing_can_be_executed_and_no_process_started() {
    let outcomes = confined(Path::new("/"), |sandbox| {
        let program = CString::new("/bin/true").unwrap();
        let arguments = [program.as_ptr(), ptr::null()];
        // SAFETY: the path and the null-terminated list of arguments are valid; the call fails and returns.
        let executed = unsafe { libc::execv(program.as_ptr(), arguments.as_ptr()) };
        let outcomes = (executed, number(Command::new("/bin/true").spawn()), fork(), executable_memory());
        holds("nothing_can_be_executed", sandbox).then_some(outcomes)
    });
    if let Some(outcomes) = outcomes {
        let refused = Some(libc::EPERM);
        assert_eq!(outcomes, (-1, refused, refused, refused));
    }
}

fn fork() -> Option<i32> {
    // SAFETY: clone(2) without a stack of its own is fork(2). Should it succeed, the child ends at once.
    unsafe {
        match libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) {
            0 => libc::_exit(0),
            -1 => io::Error::last_os_error().raw_os_error(),
            _ => None,
        }
    }
}

fn executable_memory() -> Option<i32> {
    let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, wherever the kernel likes, of nobody else's memory.
    let memory =
        unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_EXEC, anonymous, -1, 0) };
    if memory == libc::MAP_FAILED { io::Error::last_os_error().raw_os_error() } else { None }
}

#[test]
fn no_capability_is_left_and_none_comes_back() {
    let status = confined(Path::new("/proc"), |_| {
        assert!(caps::raise(None, caps::CapSet::Effective, caps::Capability::CAP_NET_RAW).is_err());
        fs::read_to_string("/proc/thread-self/status").unwrap()
    });
    let none = format!("\t{:016x}", 0);
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert!(status.contains(&format!("{set}:{none}")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
}

#[test]
fn threads_can_be_started_and_are_held_too() {
    let outcomes = confined(Path::new("/proc"), |sandbox| {
        let inherited = thread::spawn(|| number(File::open("/etc/passwd"))).join().unwrap();
        holds("threads_can_be_started", sandbox).then_some(inherited)
    });
    assert!(outcomes.is_none_or(|error| error == Some(libc::EACCES)));
}

#[test]
fn without_confinement_only_capabilities_go() {
    let policy = Policy { readable: vec![], confine: false };
    thread::spawn(move || {
        let sandbox = policy.enforce().unwrap();
        assert_eq!(sandbox, Sandbox { landlock: Guard::Off, seccomp: Guard::Off });
        File::open("/etc/passwd").unwrap();
        assert!(caps::read(None, caps::CapSet::Permitted).unwrap().is_empty());
    })
    .join()
    .unwrap();
}
