//! An assembler with labels.

use super::{
    instruction::{Instruction, code},
    verify::{Invalid, Program, verify},
};

/// A place in a program, to jump to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

#[derive(Debug, Clone, Copy)]
enum Exit {
    Next,
    To(Label),
}

/// An instruction whose jumps are not resolved yet.
#[derive(Debug, Clone, Copy)]
struct Draft {
    code: u16,
    k: u32,
    yes: Exit,
    no: Exit,
}

/// Collects instructions; [`Assembler::finish`] resolves the labels.
#[derive(Debug, Default)]
pub struct Assembler {
    drafts: Vec<Draft>,
    /// Where each label was put, once it was.
    labels: Vec<Option<usize>>,
}

impl Assembler {
    /// A label to be put somewhere later: all jumps go forward.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The next instruction is what `label` stands for.
    pub fn put(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = Some(self.drafts.len());
        }
    }

    /// Appends an instruction that goes on with the next one.
    pub fn push(&mut self, code: u16, k: u32) {
        self.draft(code, k, Exit::Next, Exit::Next);
    }

    /// Goes on at `label`.
    pub fn goto(&mut self, label: Label) {
        self.draft(code::JA, 0, Exit::To(label), Exit::Next);
    }

    /// Goes on at `label` if A is `value`.
    pub fn if_equal(&mut self, value: u32, label: Label) {
        self.draft(code::JEQ, value, Exit::To(label), Exit::Next);
    }

    /// Goes on at `label` unless A is `value`.
    pub fn unless_equal(&mut self, value: u32, label: Label) {
        self.draft(code::JEQ, value, Exit::Next, Exit::To(label));
    }

    /// Goes on at `label` if A has any of the bits `mask`.
    pub fn if_any(&mut self, mask: u32, label: Label) {
        self.draft(code::JSET, mask, Exit::To(label), Exit::Next);
    }

    /// Goes on at `label` unless A has any of the bits `mask`.
    pub fn unless_any(&mut self, mask: u32, label: Label) {
        self.draft(code::JSET, mask, Exit::Next, Exit::To(label));
    }

    /// Goes on at `label` unless A is greater than X.
    pub fn unless_greater_than_x(&mut self, label: Label) {
        self.draft(code::JGT_X, 0, Exit::Next, Exit::To(label));
    }

    fn draft(&mut self, code: u16, k: u32, yes: Exit, no: Exit) {
        self.drafts.push(Draft { code, k, yes, no });
    }

    /// The program, once it has passed [`verify()`].
    ///
    /// # Errors
    /// If a label was never put, or put before a jump to it, a conditional jump is longer than 255 instructions, or
    /// the program does not verify.
    pub fn finish(self) -> Result<Program, Invalid> {
        let resolve = |at: usize, exit: Exit| match exit {
            Exit::Next => Ok(0),
            Exit::To(Label(label)) => {
                let place = self.labels.get(label).copied().flatten().ok_or(Invalid::Label(at))?;
                place.checked_sub(at + 1).ok_or(Invalid::Label(at))
            }
        };
        let near = |at: usize, exit: Exit| {
            resolve(at, exit).and_then(|skip| u8::try_from(skip).map_err(|_| Invalid::TooFar(at)))
        };
        let assembled = self.drafts.iter().enumerate().map(|(at, draft)| {
            let Draft { code, k, yes, no } = *draft;
            if code == code::JA {
                let k = u32::try_from(resolve(at, yes)?).map_err(|_| Invalid::TooFar(at))?;
                return Ok(Instruction { code, jt: 0, jf: 0, k });
            }
            Ok(Instruction { code, jt: near(at, yes)?, jf: near(at, no)?, k })
        });
        verify(assembled.collect::<Result<_, _>>()?)
    }
}
