//! Capability flags: what the two ends agreed on.

use std::ops::BitAnd;

/// Flags of the greeting and the login request; the upper 32 bits are MariaDB's extended ones.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html>,
/// <https://mariadb.com/kb/en/connection/#capabilities>
///
/// Only what both ends set is in force: `client & server`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// `CLIENT_LONG_PASSWORD` for MySQL; a MariaDB server leaves it unset to say that it has extended flags.
    pub const MYSQL: Self = Self(1);
    /// `CLIENT_CONNECT_WITH_DB`: the login request names a schema.
    pub const CONNECT_WITH_DB: Self = Self(1 << 3);
    /// `CLIENT_COMPRESS`: zlib after the login.
    pub const COMPRESS: Self = Self(1 << 5);
    /// `CLIENT_PROTOCOL_41`.
    pub const PROTOCOL_41: Self = Self(1 << 9);
    /// `CLIENT_SSL`: TLS before the login.
    pub const SSL: Self = Self(1 << 11);
    /// `CLIENT_SECURE_CONNECTION`: a length precedes the authentication data.
    pub const SECURE_CONNECTION: Self = Self(1 << 15);
    /// `CLIENT_MULTI_STATEMENTS`: a COM_QUERY may hold several statements.
    pub const MULTI_STATEMENTS: Self = Self(1 << 16);
    /// `CLIENT_PLUGIN_AUTH`.
    pub const PLUGIN_AUTH: Self = Self(1 << 19);
    /// `CLIENT_CONNECT_ATTRS`.
    pub const CONNECT_ATTRS: Self = Self(1 << 20);
    /// `CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA`: that length is length-encoded.
    pub const PLUGIN_AUTH_LENENC: Self = Self(1 << 21);
    /// `CLIENT_SESSION_TRACK`: OK packets tell of changes of the session.
    pub const SESSION_TRACK: Self = Self(1 << 23);
    /// `CLIENT_DEPRECATE_EOF`: no EOF packets; a result ends with an OK whose header is 0xfe.
    pub const DEPRECATE_EOF: Self = Self(1 << 24);
    /// `CLIENT_OPTIONAL_RESULTSET_METADATA`: a result may come without column definitions.
    pub const OPTIONAL_METADATA: Self = Self(1 << 25);
    /// `CLIENT_ZSTD_COMPRESSION_ALGORITHM`: zstd after the login.
    pub const ZSTD: Self = Self(1 << 26);
    /// `CLIENT_QUERY_ATTRIBUTES`: COM_QUERY and COM_STMT_EXECUTE carry parameters of their own.
    pub const QUERY_ATTRIBUTES: Self = Self(1 << 27);
    /// `MARIADB_CLIENT_CACHE_METADATA`: an execute's result may come without column definitions.
    pub const MARIADB_CACHE_METADATA: Self = Self(1 << 36);

    /// Whether all flags of `other` are set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With all flags of `other`.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Capabilities {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}
