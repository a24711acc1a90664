//! Listen addresses as Go's exporters write them.

use std::{fmt, net::SocketAddr, path::PathBuf};

use super::Invalid;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `:PORT`: every address, IPv6 and IPv4.
    Everywhere(u16),
    /// `ADDRESS:PORT`, `[ADDRESS]:PORT` for IPv6.
    Address(SocketAddr),
    /// `NAME:PORT`, looked up when the program starts.
    Name(String, u16),
    /// `unix:PATH`: a Unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            let allowed = "must be :PORT, ADDRESS:PORT, NAME:PORT or unix:/PATH, like :9098, 127.0.0.1:9098 or [::1]:9098";
            Invalid::new("--web.listen-address", text, allowed)
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(invalid()) };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let (name, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        // `u16::from_str` takes a sign.
        let port = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok()).flatten();
        let port = port.ok_or_else(invalid)?;
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        match name {
            "" => Ok(Self::Everywhere(port)),
            // What looks like an address but is none (`300.1.1.1`) is not worth a look-up.
            _ if is_name && name.bytes().any(|b| b.is_ascii_alphabetic()) => {
                Ok(Self::Name(name.to_owned(), port))
            }
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_have_the_forms_gos_exporters_take() {
        let address = |text: &str| Ok(ListenAddress::Address(text.parse().unwrap()));
        let name = |name: &str, port| Ok(ListenAddress::Name(name.to_owned(), port));
        let cases = [
            (":9098", Ok(ListenAddress::Everywhere(9098))),
            (":0", Ok(ListenAddress::Everywhere(0))),
            ("0.0.0.0:80", address("0.0.0.0:80")),
            ("127.0.0.1:9098", address("127.0.0.1:9098")),
            ("[::1]:9098", address("[::1]:9098")),
            ("[fe80::1%2]:9098", address("[fe80::1%2]:9098")),
            ("localhost:9098", name("localhost", 9098)),
            ("db-1.example.com:1", name("db-1.example.com", 1)),
            ("unix:/run/dbwire/web.sock", Ok(ListenAddress::Unix("/run/dbwire/web.sock".into()))),
            ("unix:web.sock", Err(())),
            ("unix:", Err(())),
            ("", Err(())),
            (":", Err(())),
            (":x", Err(())),
            (":+80", Err(())),
            (":65536", Err(())),
            ("9098", Err(())),
            ("localhost", Err(())),
            ("::1:9098", Err(())),
            ("300.1.1.1:9098", Err(())),
            ("http://localhost:9098", Err(())),
            ("a b:1", Err(())),
        ];
        for (text, expected) in cases {
            assert_eq!(ListenAddress::parse(text).map_err(drop), expected, "{text:?}");
            if let Ok(address) = expected {
                assert_eq!(address.to_string(), text);
            }
        }
    }
}
