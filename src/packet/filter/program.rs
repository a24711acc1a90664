//! A plan as a program for the kernel.
//!
//! Loads are relative to the network header, so one program serves every link type. What it returns is how many bytes
//! of the packet are captured, counted from the network header (as a cooked capture hands packets over); 0 leaves it out.
//!
//! Seen by the program, and by nothing else: loopback's second copy; segments that only acknowledge; the second of two
//! VLAN tags (the kernel takes the first one off; of packets that arrive, the second one then stands where the network
//! header should be); a hop-by-hop header in front of TCP, as IPv6 packets above 64 KiB have it.
//!
//! Kernels before 6.15 (April 2025) find bytes relative to the network header only in the linear part of a packet;
//! headers are there, but for exotic drivers.

use super::{
    LOOPBACK, Plan, SNAPLEN, Scope,
    assembler::{Assembler, Label},
    instruction::{NETWORK, OUTGOING, ancillary, code},
    verify::{Invalid, Program},
};

/// EtherTypes (IEEE 802 numbers, IANA).
const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
const VLAN_TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
/// Bytes of a VLAN tag in the packet.
const VLAN_TAG: u32 = 4;
/// Protocol numbers (IANA).
const TCP: u32 = 6;
const HOP_BY_HOP: u32 = 0;
/// SYN, FIN and RST: the flags of segments that open or close a connection (RFC 9293 section 3.1).
const CONTROL: u32 = 0x07;
/// Length of the longest TCP header.
const LONGEST_TCP_HEADER: u32 = 60;
/// The word of memory that holds where the IP packet ends, from the network header.
const END: u32 = 0;

/// The program for `plan`.
///
/// # Errors
/// None for any plan there can be; were there one, the text filter would serve.
pub fn program(plan: &Plan, scope: Scope) -> Result<Program, Invalid> {
    let mut asm = Assembler::default();
    let drop = asm.label();
    if scope != Scope::Nothing {
        let tcp = asm.label();
        from_scope(&mut asm, scope, drop);
        to_transport(&mut asm, tcp, drop);
        asm.put(tcp);
        by_ports(&mut asm, plan, drop);
    }
    asm.put(drop);
    asm.push(code::RET, 0);
    asm.finish()
}

/// Goes on with packets of the interfaces asked for, once each: what loopback sends it receives, too.
fn from_scope(asm: &mut Assembler, scope: Scope, drop: Label) {
    if let Scope::Interface(index) = scope {
        asm.push(code::LD, ancillary::INTERFACE);
        asm.unless_equal(index, drop);
    }
    if !matches!(scope, Scope::Any | Scope::Interface(LOOPBACK)) {
        return;
    }
    asm.push(code::LD, ancillary::PACKET_TYPE);
    if scope == Scope::Any {
        let once = asm.label();
        asm.unless_equal(OUTGOING, once);
        asm.push(code::LD, ancillary::INTERFACE);
        asm.if_equal(LOOPBACK, drop);
        asm.put(once);
    } else {
        asm.if_equal(OUTGOING, drop);
    }
}

/// Goes on at `tcp`, with X at the TCP header and M[[`END`]] at the packet's end.
fn to_transport(asm: &mut Assembler, tcp: Label, drop: Label) {
    let [v4, v6, tagged, v4_tagged, v6_tagged] = [(); 5].map(|()| asm.label());
    asm.push(code::LD, ancillary::PROTOCOL);
    asm.if_equal(IPV4, v4);
    asm.if_equal(IPV6, v6);
    for tag in VLAN_TAGS {
        asm.if_equal(tag, tagged);
    }
    asm.goto(drop);

    asm.put(tagged);
    tag(asm, [v4, v6], [v4_tagged, v6_tagged], drop);
    asm.put(v4_tagged);
    ipv4(asm, VLAN_TAG, tcp, drop);
    asm.put(v6_tagged);
    ipv6(asm, VLAN_TAG, tcp, drop);
    asm.put(v4);
    ipv4(asm, 0, tcp, drop);
    asm.put(v6);
    ipv6(asm, 0, tcp, drop);
}

/// A packet whose protocol is said to be a VLAN tag. One that this host sends has its network header where it
/// belongs: a tag was put in front of it. One that arrives has the tag there.
fn tag(asm: &mut Assembler, sent: [Label; 2], arrived: [Label; 2], drop: Label) {
    let arrives = asm.label();
    asm.push(code::LD, ancillary::PACKET_TYPE);
    asm.unless_equal(OUTGOING, arrives);
    asm.push(code::LDB, NETWORK);
    asm.push(code::RSH, 4);
    asm.if_equal(4, sent[0]);
    asm.if_equal(6, sent[1]);
    asm.goto(drop);
    asm.put(arrives);
    asm.push(code::LDH, NETWORK + 2);
    asm.if_equal(IPV4, arrived[0]);
    asm.if_equal(IPV6, arrived[1]);
    asm.goto(drop);
}

/// An IPv4 header at `base` (RFC 791 section 3.1).
fn ipv4(asm: &mut Assembler, base: u32, tcp: Label, drop: Label) {
    let at = NETWORK + base;
    // Flags and fragment offset, time to live, protocol: all fragments but the first have no ports.
    asm.push(code::LD, at + 6);
    asm.push(code::AND, 0x1fff_00ff);
    asm.unless_equal(TCP, drop);
    asm.push(code::LDH, at + 2);
    end(asm, base);
    asm.push(code::LDX_MSH, at);
    if base > 0 {
        asm.push(code::TXA, 0);
        asm.push(code::ADD, base);
        asm.push(code::TAX, 0);
    }
    asm.goto(tcp);
}

/// An IPv6 header at `base` (RFC 8200 section 3).
fn ipv6(asm: &mut Assembler, base: u32, tcp: Label, drop: Label) {
    const HEADER: u32 = 40;
    let (at, plain) = (NETWORK + base, asm.label());
    asm.push(code::LDH, at + 4);
    end(asm, base + HEADER);
    asm.push(code::LDB, at + 6);
    asm.if_equal(TCP, plain);
    asm.unless_equal(HOP_BY_HOP, drop);
    asm.push(code::LDB, at + HEADER);
    asm.unless_equal(TCP, drop);
    // Its length is in units of 8 bytes, the first not counted (section 4.3).
    asm.push(code::LDB, at + HEADER + 1);
    asm.push(code::LSH, 3);
    asm.push(code::ADD, base + HEADER + 8);
    asm.push(code::TAX, 0);
    asm.goto(tcp);
    asm.put(plain);
    asm.push(code::LDX_IMM, base + HEADER);
    asm.goto(tcp);
}

/// Keeps the packet's end, of a length in A that counts from `from`. A super-frame too long for the field says 0: it goes
/// on to the end of the frame.
fn end(asm: &mut Assembler, from: u32) {
    let [zero, known] = [asm.label(), asm.label()];
    asm.if_equal(0, zero);
    asm.push(code::ADD, from);
    asm.goto(known);
    asm.put(zero);
    asm.push(code::LD_LEN, 0);
    asm.put(known);
    asm.push(code::ST, END);
}

/// Goes on with X at the TCP header (RFC 9293 section 3.1).
fn by_ports(asm: &mut Assembler, plan: &Plan, drop: Label) {
    const SOURCE: u32 = NETWORK;
    const DESTINATION: u32 = NETWORK + 2;
    let [to_server, from_server, request, reply, control] = [(); 5].map(|()| asm.label());
    let classes = plan.class.mask() != 0;
    asm.push(code::LDH_X, DESTINATION);
    is_server(asm, plan, to_server);
    asm.push(code::LDH_X, SOURCE);
    is_server(asm, plan, from_server);
    asm.goto(drop);

    asm.put(to_server);
    if classes {
        asm.push(code::LDH_X, SOURCE);
        in_class(asm, plan, request);
        // Between two server ports, either may be the client's.
        asm.push(code::LDH_X, SOURCE);
        is_server(asm, plan, from_server);
        asm.goto(control);
    } else {
        asm.goto(request);
    }
    asm.put(from_server);
    if classes {
        asm.push(code::LDH_X, DESTINATION);
        in_class(asm, plan, reply);
        asm.put(control);
        asm.push(code::LDB_X, NETWORK + 13);
        asm.unless_any(CONTROL, drop);
        up_to(asm, 0);
    }
    if plan.reply_bytes.is_some() {
        asm.put(reply);
        unless_bare(asm, plan.reply_bytes, drop);
        asm.put(request);
        unless_bare(asm, None, drop);
    } else {
        asm.put(reply);
        asm.put(request);
        unless_bare(asm, None, drop);
    }
}

/// Goes on at `yes` if the port in A is a server's.
fn is_server(asm: &mut Assembler, plan: &Plan, yes: Label) {
    plan.ports.as_slice().iter().for_each(|port| asm.if_equal(u32::from(*port), yes));
}

/// Goes on at `yes` if the client's port in A is in the class.
fn in_class(asm: &mut Assembler, plan: &Plan, yes: Label) {
    asm.push(code::AND, u32::from(plan.class.mask()));
    asm.if_equal(u32::from(plan.class.value()), yes);
}

/// Returns with at most `most` bytes of payload, unless the segment only acknowledges: no payload, and none of the
/// flags that open or close a connection.
fn unless_bare(asm: &mut Assembler, most: Option<u16>, drop: Label) {
    let control = asm.label();
    asm.push(code::LDB_X, NETWORK + 13);
    asm.if_any(CONTROL, control);
    // Data offset, in words of 4 bytes: the upper half of the byte.
    asm.push(code::LDB_X, NETWORK + 12);
    asm.push(code::RSH, 2);
    asm.push(code::AND, 0x3c);
    asm.push(code::ADD_X, 0);
    asm.push(code::TAX, 0);
    asm.push(code::LD_MEM, END);
    asm.unless_greater_than_x(drop);
    match most {
        None => {
            asm.put(control);
            asm.push(code::RET, SNAPLEN);
        }
        Some(most) => {
            asm.push(code::TXA, 0);
            asm.push(code::ADD, u32::from(most));
            asm.push(code::RET_A, 0);
            asm.put(control);
            up_to(asm, most);
        }
    }
}

/// Returns with the headers and `most` bytes of payload, a few more where the TCP header is not the longest.
fn up_to(asm: &mut Assembler, most: u16) {
    asm.push(code::TXA, 0);
    asm.push(code::ADD, LONGEST_TCP_HEADER + u32::from(most));
    asm.push(code::RET_A, 0);
}
