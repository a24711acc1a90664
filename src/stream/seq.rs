//! Sequence-number arithmetic modulo 2^32 (RFC 9293 section 3.4).

/// Signed distance from `from` to `to`: positive where `to` is later. Right for distances below 2^31.
#[inline]
pub const fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

/// Whether `a` is later than `b`.
#[inline]
pub const fn after(a: u32, b: u32) -> bool {
    distance(b, a) > 0
}

/// The later of the two.
#[inline]
pub const fn latest(a: u32, b: u32) -> u32 {
    if after(a, b) { a } else { b }
}

/// The earlier of the two.
#[inline]
pub const fn earliest(a: u32, b: u32) -> u32 {
    if after(a, b) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_holds_across_the_wrap() {
        for (a, b, later) in [
            (1, 0, true),
            (0, 0, false),
            (0, u32::MAX, true),
            (u32::MAX, 0, false),
            (0x7fff_ffff, 0, true),
            (5, 0xffff_fff0, true),
        ] {
            assert_eq!(after(a, b), later, "{a:#x} after {b:#x}");
            if a != b {
                assert_eq!(latest(a, b), if later { a } else { b });
                assert_eq!(earliest(a, b), if later { b } else { a });
            }
        }
        assert_eq!(distance(u32::MAX, 1), 2);
        assert_eq!(distance(1, u32::MAX), -2);
    }
}
