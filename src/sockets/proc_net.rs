//! `/proc/net/tcp` and `/proc/net/tcp6`: a parser over chunks of them.
//!
//! Format: the kernel's `net/ipv4/tcp_ipv4.c` (`tcp4_seq_show`) and `net/ipv6/tcp_ipv6.c` (`tcp6_seq_show`).
//! Addresses are the network-order words printed as host-order numbers in hexadecimal, ports and states
//! hexadecimal, inodes decimal. A line that does not fit the format ends the read with its number and the item
//! that was wrong.

use thiserror::Error;

use super::{
    row::{Endpoint, Family, Row, Timer},
    state::State,
};

/// Longest line taken. The kernel's are 150 (tcp) and about 180 (tcp6) bytes.
pub const MAX_LINE_BYTES: usize = 512;

/// A line that is not in the kernel's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("line {line}: bad {item}")]
pub struct LineError {
    /// From 1, the header being line 1.
    pub line: u64,
    /// What was being read.
    pub item: &'static str,
}

/// Reads one table, chunk by chunk.
///
/// Call order: [`Self::feed`] for each chunk, [`Self::finish`] at the end of the file.
#[derive(Debug)]
pub struct Table {
    family: Family,
    /// Lines completed.
    lines: u64,
    /// Start of a line whose end has not come yet.
    partial: [u8; MAX_LINE_BYTES],
    partial_length: usize,
}

impl Table {
    /// A parser for the table of `family`.
    pub fn new(family: Family) -> Self {
        Self { family, lines: 0, partial: [0; MAX_LINE_BYTES], partial_length: 0 }
    }

    /// Hands the rows that end in `chunk` to `each`. On an error the whole read must be thrown away.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(&Row)) -> Result<(), LineError> {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.partial_length == 0 {
                self.line(line, &mut each)?;
            } else {
                self.keep(line)?;
                let whole = self.partial;
                let length = std::mem::take(&mut self.partial_length);
                self.line(whole.get(..length).unwrap_or_default(), &mut each)?;
            }
        }
        self.keep(rest)
    }

    /// The file has ended.
    pub fn finish(self) -> Result<(), LineError> {
        match (self.lines, self.partial_length) {
            (1.., 0) => Ok(()),
            (0, 0) => Err(self.error("header")),
            _ => Err(self.error("end of line")),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        let end = self.partial_length + bytes.len();
        match self.partial.get_mut(self.partial_length..end) {
            Some(room) => room.copy_from_slice(bytes),
            None => return Err(self.error("line length")),
        }
        self.partial_length = end;
        Ok(())
    }

    fn line(&mut self, line: &[u8], each: &mut impl FnMut(&Row)) -> Result<(), LineError> {
        if line.len() > MAX_LINE_BYTES {
            return Err(self.error("line length"));
        }
        if self.lines == 0 {
            if !line.trim_ascii_start().starts_with(b"sl ") {
                return Err(self.error("header"));
            }
        } else {
            each(&read_row(self.family, line).map_err(|item| self.error(item))?);
        }
        self.lines += 1;
        Ok(())
    }

    fn error(&self, item: &'static str) -> LineError {
        LineError { line: self.lines + 1, item }
    }
}

/// One line, or the item that is wrong in it.
fn read_row(family: Family, line: &[u8]) -> Result<Row, &'static str> {
    let mut items = line.split(|&byte| byte == b' ').filter(|item| !item.is_empty());
    let mut next = |name| items.next().ok_or(name);
    next("sl")?;
    let local = endpoint(family, next("local_address")?).ok_or("local_address")?;
    let remote = endpoint(family, next("rem_address")?).ok_or("rem_address")?;
    let state = hexadecimal(next("st")?).and_then(|n| State::from_kernel(n.try_into().ok()?)).ok_or("st")?;
    let (send_queue, receive_queue) = pair(next("tx_queue rx_queue")?).ok_or("tx_queue rx_queue")?;
    let (timer, _when) = pair(next("tr tm->when")?).ok_or("tr tm->when")?;
    next("retrnsmt")?;
    next("uid")?;
    next("timeout")?;
    let inode = decimal(next("inode")?).ok_or("inode")?;
    let timer = u8::try_from(timer).map_or(Timer::Other, Timer::from_kernel);
    Ok(Row { family, state, timer, local, remote, receive_queue, send_queue, inode, cookie: 0 })
}

/// `ADDRESS:PORT`, both in hexadecimal.
fn endpoint(family: Family, item: &[u8]) -> Option<Endpoint> {
    let (address, port) = halves(item)?;
    let port = u16::try_from(hexadecimal(port)?).ok()?;
    let mut words = [[0_u8; 4]; 4];
    let words = match family {
        Family::Ipv4 => words.get_mut(..1)?,
        Family::Ipv6 => words.get_mut(..)?,
    };
    let (digits, left_over) = address.as_chunks::<8>();
    if digits.len() != words.len() || !left_over.is_empty() {
        return None;
    }
    for (word, digits) in words.iter_mut().zip(digits) {
        *word = hexadecimal(digits)?.to_ne_bytes();
    }
    let bytes = words.as_flattened();
    Some(match bytes.first_chunk::<16>() {
        Some(address) => Endpoint::v6(*address, port),
        None => Endpoint::v4(*bytes.first_chunk()?, port),
    })
}

/// `A:B`, both in hexadecimal.
fn pair(item: &[u8]) -> Option<(u32, u32)> {
    let (a, b) = halves(item)?;
    Some((hexadecimal(a)?, hexadecimal(b)?))
}

fn halves(item: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = item.iter().position(|&byte| byte == b':')?;
    let (before, after) = item.split_at(colon);
    Some((before, after.get(1..)?))
}

/// One to eight hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    // Digits only: `u64::from_str` would take a sign.
    let digits = digits.iter().all(u8::is_ascii_digit).then_some(digits)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
