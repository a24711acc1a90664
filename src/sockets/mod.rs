//! Bytes of a netlink dump or of `/proc/net/tcp{,6}` → counts of sockets by state.

#![forbid(unsafe_code)]
