use super::{
    assembler::Assembler,
    instruction::{NETWORK, ancillary, code},
    program::program,
    verify::{MAX_INSTRUCTIONS, verify},
    *,
};

fn op(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

const DROP: Instruction = Instruction { code: code::RET, jt: 0, jf: 0, k: 0 };

#[test]
fn labels_become_distances() {
    let mut asm = Assembler::default();
    let [yes, no] = [asm.label(), asm.label()];
    asm.push(code::LDB, NETWORK + 9);
    asm.if_equal(6, yes);
    asm.unless_any(4, no);
    asm.goto(no);
    asm.put(yes);
    asm.push(code::RET, SNAPLEN);
    asm.put(no);
    asm.push(code::RET, 0);
    let program = asm.finish().unwrap();
    let expected = [
        op(code::LDB, 0, 0, NETWORK + 9),
        op(code::JEQ, 2, 0, 6),
        op(code::JSET, 0, 2, 4),
        op(code::JA, 0, 0, 1),
        op(code::RET, 0, 0, SNAPLEN),
        DROP,
    ];
    assert_eq!(program.instructions(), expected);
    let text = "  0: ldb [net+9]\n  1: jeq #0x6, +2, +0\n  2: jset #0x4, +0, +2\n  3: ja +1\n  4: ret #262144\n  5: ret #0\n";
    assert_eq!(program.to_string(), text);
}

#[test]
fn labels_behind_a_jump_nowhere_or_too_far_away_are_refused() {
    let assembled = |build: fn(&mut Assembler)| {
        let mut asm = Assembler::default();
        build(&mut asm);
        asm.finish().map(|_| ())
    };
    let nowhere = assembled(|asm| {
        let label = asm.label();
        asm.goto(label);
    });
    assert_eq!(nowhere, Err(Invalid::Label(0)));
    let behind = assembled(|asm| {
        let label = asm.label();
        asm.put(label);
        asm.goto(label);
    });
    assert_eq!(behind, Err(Invalid::Label(0)));
    let far = |instructions: usize| {
        let mut asm = Assembler::default();
        let label = asm.label();
        asm.push(code::LD_LEN, 0);
        asm.if_equal(1, label);
        (0..instructions).for_each(|_| asm.push(code::LD_LEN, 0));
        asm.put(label);
        asm.push(code::RET, 0);
        asm.finish().map(|_| ())
    };
    assert_eq!(far(255), Ok(()));
    assert_eq!(far(256), Err(Invalid::TooFar(1)));
}

#[test]
fn what_the_kernel_would_refuse_does_not_verify() {
    let load = op(code::LD_LEN, 0, 0, 0);
    let table: Vec<(&str, Vec<Instruction>, Invalid)> = vec![
        ("nothing", vec![], Invalid::Length(0)),
        ("too much", vec![DROP; MAX_INSTRUCTIONS + 1], Invalid::Length(MAX_INSTRUCTIONS + 1)),
        ("no end", vec![load], Invalid::End(0)),
        ("a jump past the end", vec![op(code::JA, 0, 0, 1), DROP], Invalid::End(0)),
        ("the longest jump", vec![op(code::JA, 0, 0, u32::MAX), DROP], Invalid::End(0)),
        ("a branch past the end", vec![load, op(code::JEQ, 0, 1, 6), DROP], Invalid::End(1)),
        ("an unknown operation", vec![op(0xff, 0, 0, 0), DROP], Invalid::Unknown(0)),
        (
            "unknown ancillary data",
            vec![op(code::LD, 0, 0, ancillary::INTERFACE + 1), DROP],
            Invalid::Unknown(0),
        ),
        ("half of ancillary data", vec![op(code::LDH, 0, 0, ancillary::PROTOCOL), DROP], Invalid::Unknown(0)),
        ("memory beyond its end", vec![load, op(code::ST, 0, 0, 16), DROP], Invalid::Range(1)),
        ("a shift by a word", vec![load, op(code::RSH, 0, 0, 32), DROP], Invalid::Range(1)),
        ("memory that nobody set", vec![op(code::LD_MEM, 0, 0, 3), DROP], Invalid::Unset(0)),
        ("an index that nobody set", vec![op(code::LDB_X, 0, 0, NETWORK), DROP], Invalid::Unset(0)),
        (
            "memory that one of two paths has set",
            vec![load, op(code::JEQ, 1, 0, 6), op(code::ST, 0, 0, 0), op(code::LD_MEM, 0, 0, 0), DROP],
            Invalid::Unset(3),
        ),
        ("code behind the end", vec![DROP, DROP], Invalid::Unreachable(1)),
    ];
    for (name, instructions, expected) in table {
        assert_eq!(verify(instructions), Err(expected), "{name}");
    }
}

/// The kernel runs it for every packet of the host.
#[test]
fn every_plan_has_a_program_and_it_is_short() {
    let most: Vec<u16> = (3306..).take(PortSet::MAX).collect();
    for (ports, at_most) in [(&[3306][..], 128), (&[3306, 3307, 33060], 136), (&most, 190)] {
        for bits in 0..=SampleClass::MAX_BITS {
            for reply_bytes in [None, Some(128), Some(u16::MAX)] {
                for scope in [Scope::Any, Scope::Interface(LOOPBACK), Scope::Interface(7), Scope::Nothing] {
                    let class = SampleClass::new(bits, 1, 0).unwrap();
                    let plan = Plan { ports: PortSet::new(ports).unwrap(), class, reply_bytes };
                    let program = program(&plan, scope).unwrap();
                    let length = program.instructions().len();
                    assert!(length <= at_most, "{length} for {plan:?}, {scope:?}\n{program}");
                }
            }
        }
    }
}
