//! A program that lets the kernel return the sockets of some ports only.
//!
//! The language is that of `INET_DIAG_REQ_BYTECODE` (`net/ipv4/inet_diag.c`, `inet_diag_bc_audit` and
//! `inet_diag_bc_run`): operations of a code, a `yes` and a `no` offset in bytes from the operation itself.
//! A program that ends exactly at its end accepts, one that jumps 4 bytes beyond it rejects. `yes` has 8 bits and
//! must lead to the next operation, so far jumps are made by `no`, of 16 bits, of the unconditional jump.

/// Accepts sockets with one of some ports at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFilter(Vec<u8>);

const JUMP: u8 = 1;
const SOURCE_AT_LEAST: u8 = 2;
const SOURCE_AT_MOST: u8 = 3;
const DESTINATION_AT_LEAST: u8 = 4;
const DESTINATION_AT_MOST: u8 = 5;

/// Bytes of a jump.
const JUMP_BYTES: usize = 4;
/// Bytes of a comparison: the operation, and one that holds the port.
const COMPARE_BYTES: usize = 8;
/// Bytes of "if the port is this one, accept".
const MATCH_BYTES: usize = 2 * COMPARE_BYTES + JUMP_BYTES;

impl PortFilter {
    /// Accepts sockets whose local or remote port is one of `ports`, of which there must be fewer than 1000.
    pub fn new(ports: &[u16]) -> Self {
        let mut left = 2 * MATCH_BYTES * ports.len() + JUMP_BYTES;
        let mut program = Vec::with_capacity(left);
        for &port in ports {
            for (at_least, at_most) in
                [(SOURCE_AT_LEAST, SOURCE_AT_MOST), (DESTINATION_AT_LEAST, DESTINATION_AT_MOST)]
            {
                compare(&mut program, at_least, port, MATCH_BYTES);
                compare(&mut program, at_most, port, MATCH_BYTES - COMPARE_BYTES);
                jump(&mut program, left - 2 * COMPARE_BYTES);
                left -= MATCH_BYTES;
            }
        }
        jump(&mut program, left + 4);
        Self(program)
    }

    /// The netlink attribute.
    pub fn attribute(&self) -> Vec<u8> {
        const REQ_BYTECODE: u16 = 1;
        let length = (4 + self.0.len()) as u16;
        [&length.to_ne_bytes()[..], &REQ_BYTECODE.to_ne_bytes(), &self.0].concat()
    }
}

/// If the comparison holds go on, else go `no` bytes from here.
fn compare(program: &mut Vec<u8>, code: u8, port: u16, no: usize) {
    operation(program, code, COMPARE_BYTES, no);
    operation(program, 0, 0, usize::from(port));
}

/// Go `to` bytes from here.
fn jump(program: &mut Vec<u8>, to: usize) {
    operation(program, JUMP, JUMP_BYTES, to);
}

fn operation(program: &mut Vec<u8>, code: u8, yes: usize, no: usize) {
    program.extend([code, yes as u8]);
    program.extend((no as u16).to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's interpreter, on ports only.
    fn accepts(program: &[u8], source: u16, destination: u16) -> bool {
        let (mut at, end) = (0_i64, program.len() as i64);
        while at < end {
            let op = &program[at as usize..];
            let no = i64::from(u16::from_ne_bytes([op[2], op[3]]));
            let port = || u16::from_ne_bytes([op[6], op[7]]);
            let holds = match op[0] {
                JUMP => false,
                SOURCE_AT_LEAST => source >= port(),
                SOURCE_AT_MOST => source <= port(),
                DESTINATION_AT_LEAST => destination >= port(),
                DESTINATION_AT_MOST => destination <= port(),
                code => panic!("operation {code}"),
            };
            at += if holds { i64::from(op[1]) } else { no };
        }
        assert!(at == end || at == end + 4, "the kernel would refuse this");
        at == end
    }

    #[test]
    fn exactly_the_ports_given_are_accepted_at_either_end() {
        for ports in [&[3306][..], &[80, 3306, 33060], &(1000..1032).collect::<Vec<_>>()] {
            let program = PortFilter::new(ports).0;
            for port in 0..=u16::MAX {
                assert_eq!(accepts(&program, port, 9), ports.contains(&port), "{port}");
                assert_eq!(accepts(&program, 9, port), ports.contains(&port), "{port}");
            }
        }
    }

    #[test]
    fn the_attribute_holds_the_program_after_its_length_and_type() {
        let attribute = PortFilter::new(&[3306]).attribute();
        assert_eq!(attribute.len(), 4 + 2 * MATCH_BYTES + JUMP_BYTES);
        assert_eq!(attribute[..4], [(attribute.len() as u16).to_ne_bytes(), 1_u16.to_ne_bytes()].concat());
        // if source >= 3306
        assert_eq!(attribute[4..8], [&[2, 8][..], &20_u16.to_ne_bytes()].concat());
        assert_eq!(attribute[8..12], [&[0, 0][..], &3306_u16.to_ne_bytes()].concat());
    }

    #[test]
    fn without_ports_nothing_is_accepted() {
        assert!(!accepts(&PortFilter::new(&[]).0, 1, 1));
    }
}
