//! The checks that the kernel makes before it takes a program (net/core/filter.c, `bpf_check_classic` and
//! `check_load_and_stores`), and two of our own: every instruction can be reached, and no path reads memory, A or X
//! that it has not set.

use std::fmt;

use thiserror::Error;

use super::instruction::{ANCILLARY, Instruction, MEMORY, ancillary, code};

/// Most instructions (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// A program that the kernel would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

impl Program {
    /// Its instructions; never none.
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }
}

/// The disassembly: a line for each instruction, with its number.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(number, instruction)| writeln!(f, "{number:3}: {instruction}"))
    }
}

/// What is wrong with a program; the number is an instruction's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Invalid {
    /// Jumps go forward, to labels that are in the program.
    #[error("instruction {0}: its label is not ahead")]
    Label(usize),
    /// A conditional jump skips at most 255 instructions.
    #[error("instruction {0}: it jumps too far")]
    TooFar(usize),
    /// No instructions, or more than [`MAX_INSTRUCTIONS`].
    #[error("it has {0} instructions")]
    Length(usize),
    /// An operation, or something the kernel knows of packets, that is not used here.
    #[error("instruction {0}: unknown")]
    Unknown(usize),
    /// It shifts by more than a word has bits, or names memory that there is not.
    #[error("instruction {0}: its constant is out of range")]
    Range(usize),
    /// A path runs past the last instruction.
    #[error("instruction {0}: no instruction follows")]
    End(usize),
    /// Some path comes here without having set what it reads.
    #[error("instruction {0}: it reads what may not be set")]
    Unset(usize),
    /// No path comes here.
    #[error("instruction {0}: it cannot be reached")]
    Unreachable(usize),
}

/// What is set for certain when an instruction is reached: bits of the memory's words, [`A`] and [`X`].
type Set = u32;
const A: Set = 1 << 16;
const X: Set = 1 << 17;

/// Checks a program.
///
/// # Errors
/// The first fault, in the order of the instructions.
pub fn verify(instructions: Vec<Instruction>) -> Result<Program, Invalid> {
    let length = instructions.len();
    if length == 0 || length > MAX_INSTRUCTIONS {
        return Err(Invalid::Length(length));
    }
    // Jumps go forward, so each instruction is met after all that lead to it. `None`: nothing has led there yet.
    let mut known: Vec<Option<Set>> = vec![None; length];
    let mut entry = Some(0);
    for (at, instruction) in instructions.iter().enumerate() {
        let before = known.get(at).copied().flatten().or(entry.take()).ok_or(Invalid::Unreachable(at))?;
        let after = step(at, *instruction, before)?;
        for skip in exits(*instruction).into_iter().flatten() {
            let target = (at + 1).checked_add(skip as usize);
            let place = target.and_then(|target| known.get_mut(target)).ok_or(Invalid::End(at))?;
            *place = Some(place.map_or(after, |other| other & after));
        }
    }
    Ok(Program(instructions))
}

/// What is set behind an instruction.
fn step(at: usize, Instruction { code, k, .. }: Instruction, before: Set) -> Result<Set, Invalid> {
    let memory = |k: u32| if k < MEMORY { Ok(1 << k) } else { Err(Invalid::Range(at)) };
    let (reads, sets) = match code {
        code::LD if k >= ANCILLARY => match k {
            ancillary::PROTOCOL | ancillary::PACKET_TYPE | ancillary::INTERFACE => (0, A),
            _ => return Err(Invalid::Unknown(at)),
        },
        code::LDH | code::LDB if k >= ANCILLARY => return Err(Invalid::Unknown(at)),
        code::LD | code::LDH | code::LDB | code::LD_LEN => (0, A),
        code::LD_X | code::LDH_X | code::LDB_X => (X, A),
        code::LD_MEM => (memory(k)?, A),
        code::LDX_IMM | code::LDX_MSH => (0, X),
        code::ST => (A, memory(k)?),
        code::LSH | code::RSH if k >= u32::BITS => return Err(Invalid::Range(at)),
        code::ADD | code::AND | code::LSH | code::RSH => (A, A),
        code::ADD_X => (A | X, A),
        code::TAX => (A, X),
        code::TXA => (X, A),
        code::JA | code::RET => (0, 0),
        code::JEQ | code::JSET | code::RET_A => (A, 0),
        code::JGT_X => (A | X, 0),
        _ => return Err(Invalid::Unknown(at)),
    };
    if before & reads == reads { Ok(before | sets) } else { Err(Invalid::Unset(at)) }
}

/// How many instructions are skipped on each way out.
fn exits(Instruction { code, jt, jf, k }: Instruction) -> [Option<u32>; 2] {
    match code {
        code::RET | code::RET_A => [None, None],
        code::JA => [Some(k), None],
        code::JEQ | code::JSET | code::JGT_X => [Some(u32::from(jt)), Some(u32::from(jf))],
        _ => [Some(0), None],
    }
}
