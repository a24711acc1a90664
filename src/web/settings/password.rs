//! bcrypt hashes, as far as their form goes.

use std::fmt;

/// A hash in its usual form: `$2y$COST$SALT…`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    cost: u32,
}

/// Hashes are not for logs.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash(cost {})", self.cost)
    }
}

impl PasswordHash {
    /// bcrypt's least cost.
    pub const MIN_COST: u32 = 4;
    /// Each step doubles the work: this is some five seconds of a CPU, which nobody should be able to ask for again
    /// and again. Common tools choose 10 to 12.
    pub const MAX_COST: u32 = 16;

    /// Reads a hash.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let not_bcrypt = || "is not a bcrypt hash (make one with htpasswd -nBC 10 '')".to_owned();
        let mut parts = text.split('$');
        let (empty, version, cost, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
        let version_known = matches!(version, Some("2a" | "2b" | "2x" | "2y"));
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
        let rest_fits = rest.is_some_and(|rest| rest.len() == 53 && rest.bytes().all(base64));
        if empty != Some("") || !version_known || !rest_fits || parts.next().is_some() {
            return Err(not_bcrypt());
        }
        let cost =
            cost.filter(|cost| cost.len() == 2).and_then(|cost| cost.parse().ok()).ok_or_else(not_bcrypt)?;
        if !(Self::MIN_COST..=Self::MAX_COST).contains(&cost) {
            return Err(format!("has cost {cost}; {} to {} are possible", Self::MIN_COST, Self::MAX_COST));
        }
        Ok(Self { text: text.to_owned(), cost })
    }

    /// A hash that takes as long to compare with as the dearest of `others`, and that no known password has: for
    /// users that do not exist, so that the time an answer takes does not tell.
    pub fn decoy<'a>(others: impl Iterator<Item = &'a Self>) -> Self {
        let cost = others.map(|hash| hash.cost).max().unwrap_or(10);
        Self { text: format!("$2b${cost:02}${:.<53}", ""), cost }
    }

    /// The hash as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
