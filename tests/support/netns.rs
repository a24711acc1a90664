//! A network namespace of the test's own, joined to this one by a pair of virtual interfaces.

use super::children::{command, output};

/// A namespace and its cable; both go when it is dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    outside: String,
    subnet: u8,
}

impl Namespace {
    /// Makes a namespace with loopback up and `10.231.<subnet>.2` inside, `.1` outside. Needs root.
    ///
    /// # Panics
    ///
    /// When the kernel refuses, or `subnet` is in use by another test.
    pub fn new(label: &str, subnet: u8) -> Self {
        let name = format!("dbwire-{label}-{}", std::process::id());
        // Interface names hold 15 characters.
        let outside = format!("dbw{subnet}x{}", std::process::id() % 100_000);
        output(command("ip").args(["netns", "add", &name]));
        let made = Self { name, outside, subnet };
        let inside = ["peer", "name", "eth0", "netns", made.name.as_str()];
        output(command("ip").args(["link", "add", &made.outside, "type", "veth"]).args(inside));
        output(command("ip").args(["addr", "add", &format!("{}/24", made.outer()), "dev", &made.outside]));
        output(command("ip").args(["link", "set", &made.outside, "up"]));
        for args in [
            vec!["addr", "add", &format!("{}/24", made.inner()), "dev", "eth0"],
            vec!["link", "set", "eth0", "up"],
            vec!["link", "set", "lo", "up"],
        ] {
            output(command("ip").args(["-n", &made.name]).args(args));
        }
        made
    }

    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface at this end.
    pub fn interface(&self) -> &str {
        &self.outside
    }

    /// The address inside.
    pub fn inner(&self) -> String {
        format!("10.231.{}.2", self.subnet)
    }

    /// The address at this end.
    pub fn outer(&self) -> String {
        format!("10.231.{}.1", self.subnet)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The pair of interfaces goes with its inner end, but only once nothing keeps the namespace alive.
        let _ = command("ip").args(["link", "del", &self.outside]).output();
        let _ = command("ip").args(["netns", "del", &self.name]).output();
    }
}
