//! Frames put on an interface as they are.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(20);

/// Sends frames as they are on an interface of this thread's namespace.
pub(crate) fn inject(interface: &str, frames: &[Vec<u8>]) {
    wait_until_it_sends(interface);
    let socket = Socket::new(Domain::from(libc::AF_PACKET), Type::RAW, None).unwrap();
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: a sockaddr_ll is a form that the storage may take.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = index_of(interface);
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the storage holds a sockaddr_ll of this length.
    let address = unsafe { SockAddr::new(storage, length) };
    for frame in frames {
        assert_eq!(socket.send_to(frame, &address).unwrap(), frame.len());
    }
}

/// An interface whose other end has just come up drops what it is to send until the kernel has taken notice.
fn wait_until_it_sends(interface: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = Command::new("ip").args(["-o", "link", "show", interface]).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        if shown.contains("state UP") || shown.contains("state UNKNOWN") {
            return;
        }
        assert!(Instant::now() < deadline, "{shown}");
    }
}

fn index_of(interface: &str) -> i32 {
    let name = std::ffi::CString::new(interface).unwrap();
    // SAFETY: a C string that outlives the call.
    unsafe { libc::if_nametoindex(name.as_ptr()) as i32 }
}
