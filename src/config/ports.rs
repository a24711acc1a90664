//! Sets of TCP ports.

/// A non-empty set of TCP ports, at most [`PortSet::MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSet {
    ports: Vec<u16>,
    /// The same, the first one as often as there is room: asked for each packet, and so compared all at once.
    padded: [u16; PortSet::MAX],
}

impl PortSet {
    /// Most ports a set holds: each is a comparison in the capture filter.
    pub const MAX: usize = 16;

    /// Sorts and de-duplicates `ports`; `None` if there is none, a port is 0, or there are too many.
    pub fn new(ports: &[u16]) -> Option<Self> {
        let mut ports = ports.to_vec();
        ports.sort_unstable();
        ports.dedup();
        let valid = !ports.is_empty() && ports.len() <= Self::MAX && !ports.contains(&0);
        valid.then(|| Self::of(ports))
    }

    fn of(ports: Vec<u16>) -> Self {
        let mut padded = [ports[0]; Self::MAX];
        padded[..ports.len()].copy_from_slice(&ports);
        Self { ports, padded }
    }

    /// Whether `port` is in the set.
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.padded.iter().fold(false, |found, one| found | (*one == port))
    }

    /// The ports, ascending.
    pub fn as_slice(&self) -> &[u16] {
        &self.ports
    }
}

/// MySQL's registered port (IANA).
impl Default for PortSet {
    fn default() -> Self {
        Self::of(vec![3306])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_set_is_sorted_has_no_doubles_and_an_end() {
        assert_eq!(PortSet::new(&[3307, 3306, 3307]).unwrap().as_slice(), [3306, 3307]);
        assert!(PortSet::new(&[3306]).unwrap().contains(3306));
        assert!(!PortSet::new(&[3306]).unwrap().contains(3307));
        let most: Vec<u16> = (1..).take(PortSet::MAX).collect();
        let too_many: Vec<u16> = (1..).take(PortSet::MAX + 1).collect();
        assert!(PortSet::new(&most).is_some());
        for refused in [&too_many[..], &[], &[0], &[0, 3306]] {
            assert_eq!(PortSet::new(refused), None, "{refused:?}");
        }
    }
}
