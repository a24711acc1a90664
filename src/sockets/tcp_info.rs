//! Round-trip times and retransmissions of connections (`INET_DIAG_INFO`), as quantiles by port.
//!
//! `struct tcp_info` is in the kernel's `include/uapi/linux/tcp.h`; it grows at its end.

/// What is taken of `struct tcp_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// `tcpi_rtt`: smoothed round-trip time, microseconds; 0 before the first measurement.
    pub rtt_micros: u32,
    /// `tcpi_total_retrans`: segments sent again since the connection began.
    pub retransmits: u32,
}

impl TcpInfo {
    /// From the attributes of a row; `None` where the kernel gave none (TIME_WAIT, SYN_RECV).
    pub fn find(attributes: &[u8]) -> Option<Self> {
        let info = find_info(attributes)?;
        Some(Self { rtt_micros: word(info, 68)?, retransmits: word(info, 100)? })
    }
}

/// What a connection has carried; kernels before Linux 4.6 do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// `tcpi_data_segs_in`: segments with payload received.
    pub segments_in: u32,
    /// `tcpi_data_segs_out`: segments with payload sent.
    pub segments_out: u32,
    /// `tcpi_bytes_received`: payload.
    pub bytes_received: u64,
    /// `tcpi_bytes_acked`: payload that the peer has got, the SYN included.
    pub bytes_acked: u64,
}

impl Carried {
    /// From the attributes of a row; `None` where the kernel gave none.
    pub fn find(attributes: &[u8]) -> Option<Self> {
        let info = find_info(attributes)?;
        let long = |at| Some(u64::from_ne_bytes(*info.get(at..)?.first_chunk()?));
        Some(Self {
            segments_in: word(info, 152)?,
            segments_out: word(info, 156)?,
            bytes_received: long(128)?,
            bytes_acked: long(120)?,
        })
    }
}

fn find_info(mut attributes: &[u8]) -> Option<&[u8]> {
    const INET_DIAG_INFO: u16 = 2;
    const HEADER_BYTES: usize = 4;
    loop {
        let &[length0, length1, kind0, kind1] = attributes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([length0, length1]));
        let value = attributes.get(HEADER_BYTES..length)?;
        if u16::from_ne_bytes([kind0, kind1]) == INET_DIAG_INFO {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn word(info: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?))
}

/// Sub-buckets of each power of two.
const STEPS: u32 = 8;

/// A histogram whose buckets are an eighth of a power of two wide: a quantile is high by an eighth at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantiles {
    counts: Box<[u32; 256]>,
    total: u64,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self { counts: Box::new([0; 256]), total: 0 }
    }
}

impl Quantiles {
    /// Adds an observation.
    pub fn add(&mut self, value: u32) {
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// Observations.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The upper end of the bucket that holds the `share`-quantile; `None` without observations.
    pub fn quantile(&self, share: f64) -> Option<u32> {
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        found.map(upper_end)
    }
}

/// Below [`STEPS`] a bucket for each value, above it [`STEPS`] for each power of two.
fn bucket(value: u32) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let power = value.ilog2();
    let step = value >> (power - STEPS.ilog2()) & (STEPS - 1);
    ((power - STEPS.ilog2() + 1) * STEPS + step) as usize
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u32 {
    let bucket = bucket as u32;
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let first = u64::from(STEPS + bucket % STEPS) << shift;
    u32::try_from(first + (1 << shift) - 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(length: usize) -> Vec<u8> {
        let mut info = vec![0; length];
        info[68..72].copy_from_slice(&1500_u32.to_ne_bytes());
        info[100..104].copy_from_slice(&7_u32.to_ne_bytes());
        info
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn info_is_found_behind_other_attributes_whatever_its_length() {
        let expected = Some(TcpInfo { rtt_micros: 1500, retransmits: 7 });
        for length in [104, 192, 280] {
            let attributes = [attribute(8, &[1]), attribute(2, &info(length))].concat();
            assert_eq!(TcpInfo::find(&attributes), expected, "{length}");
        }
    }

    #[test]
    fn what_was_carried_is_at_the_kernels_offsets() {
        let mut info = info(160);
        info[120..128].copy_from_slice(&11_u64.to_ne_bytes());
        info[128..136].copy_from_slice(&12_u64.to_ne_bytes());
        info[152..156].copy_from_slice(&13_u32.to_ne_bytes());
        info[156..160].copy_from_slice(&14_u32.to_ne_bytes());
        let expected = Carried { segments_in: 13, segments_out: 14, bytes_received: 12, bytes_acked: 11 };
        assert_eq!(Carried::find(&attribute(2, &info)), Some(expected));
        assert_eq!(Carried::find(&attribute(2, &info[..159])), None);
    }

    #[test]
    fn attributes_without_a_whole_info_have_none() {
        let whole = attribute(2, &info(104));
        let zero_length = [0, 0, 2, 0, 0, 0, 0, 0];
        for attributes in
            [&[][..], &attribute(8, &[1]), &whole[..107], &zero_length, &attribute(2, &[0; 103])]
        {
            assert_eq!(TcpInfo::find(attributes), None, "{attributes:?}");
        }
    }

    #[test]
    fn buckets_cover_every_value_in_order() {
        let mut below = None;
        for bucket_number in 0..=bucket(u32::MAX) {
            let end = upper_end(bucket_number);
            assert_eq!(bucket(end), bucket_number);
            assert!(below.is_none_or(|below: u32| bucket(below + 1) == bucket_number), "{bucket_number}");
            below = Some(end);
        }
        assert_eq!(below, Some(u32::MAX));
    }

    #[test]
    fn quantiles_are_high_by_an_eighth_at_most() {
        let mut quantiles = Quantiles::default();
        assert_eq!(quantiles.quantile(0.5), None);
        (1..=1000).for_each(|value| quantiles.add(value));
        for (share, exact) in [(0.0, 1), (0.5, 500), (0.9, 900), (0.99, 990), (1.0, 1000)] {
            let found = quantiles.quantile(share).unwrap();
            assert!((exact..=exact + exact / 8).contains(&found), "{share}: {found}");
        }
    }
}
