//! A plan in pcap-filter(7)'s language: what is left where the kernel does not take the program.
//!
//! It selects whole packets, so replies are not cut and acknowledgments not left out; and IPv6 with a hop-by-hop header,
//! or a frame with two VLAN tags, does not match.

use std::fmt::Write as _;

use super::{LOOPBACK, Plan, Scope};

/// The filter for live captures of any link type; for [`Scope`]s but [`Scope::Any`], and to tell loopback's copies apart,
/// only where libpcap knows the interface (`DLT_LINUX_SLL2`, libpcap 1.10).
///
/// It has no `vlan` clause: live, the kernel has taken the tag off before the filter runs. Files hold tags in
/// place, and are not filtered: there [`Plan::contains`] alone decides, after decoding.
/// Not matched: IPv6 with extension headers, and fragments but the first. `tcp[0:2]` never matches IPv6, and
/// `ip6[40:2]` is a port only where the next header is TCP.
pub fn to_pcap_filter(plan: &Plan, scope: Scope) -> String {
    let ipv4 = direction_clauses(plan, "tcp[0:2]", "tcp[2:2]", "tcp[13]");
    let ipv6 = direction_clauses(plan, "ip6[40:2]", "ip6[42:2]", "ip6[53]");
    let filter = format!("(tcp and ({ipv4})) or (ip6 and ip6[6] = 6 and ({ipv6}))");
    match scope {
        Scope::Any => format!("not (ifindex {LOOPBACK} and outbound) and ({filter})"),
        Scope::Interface(LOOPBACK) => format!("ifindex {LOOPBACK} and not outbound and ({filter})"),
        Scope::Interface(index) => format!("ifindex {index} and ({filter})"),
        // No interface has it; libpcap refuses what it sees to match nothing.
        Scope::Nothing => "ifindex 0".to_owned(),
    }
}

/// Client to server, and server to client, given where the two ports and the flags are found.
fn direction_clauses(plan: &Plan, source: &str, destination: &str, flags: &str) -> String {
    let to_server = direction_clause(plan, destination, source);
    let to_client = direction_clause(plan, source, destination);
    if plan.class.mask() == 0 {
        return format!("{to_server} or {to_client}");
    }
    let [from, to] = [source, destination].map(|port| ports_clause(plan, port));
    format!("{to_server} or {to_client} or ({flags} & 7 != 0 and ({from} or {to}))")
}

fn direction_clause(plan: &Plan, server: &str, client: &str) -> String {
    let ports = ports_clause(plan, server);
    match (plan.class.mask(), plan.class.value()) {
        (0, _) => ports,
        (mask, value) => format!("({ports} and {client} & {mask} = {value})"),
    }
}

fn ports_clause(plan: &Plan, place: &str) -> String {
    let mut clause = String::from("(");
    for (index, port) in plan.ports.as_slice().iter().enumerate() {
        let or = if index == 0 { "" } else { " or " };
        // Writing to a String does not fail.
        let _ = write!(clause, "{or}{place} = {port}");
    }
    clause.push(')');
    clause
}
