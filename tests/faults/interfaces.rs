//! Interfaces that come, go and change.

use crate::{
    Fault, fault,
    lab::{INTERFACE, Lab, ip, make_interface},
    support::exporter::{self, Exporter},
};

pub(crate) const FAULTS: &[Fault] = &[
    fault("the interface goes down and up", "the same queries are counted", down_and_up),
    fault(
        "the interface is renamed, and back",
        "down while it is away, up after, without privileges",
        renamed,
    ),
    fault(
        "the interface is deleted and made again",
        "down while it is away, up after, without privileges",
        recreated,
    ),
    fault("the interface is not there at the start", "serves, and captures once it is", late),
    fault("every interface is captured, and some come and go", "stays up, counts on", any),
];

fn down_and_up() -> String {
    let lab = Lab::new();
    lab.ask(40_000, 10);
    ip(&format!("link set {INTERFACE} down"));
    ip(&format!("link set {INTERFACE} up"));
    lab.ask(40_002, 10);
    lab.assert_selects(20);
    lab.wait("dbwire_capture_up", &[], 1.0);
    "20 of 20 counted".to_owned()
}

fn renamed() -> String {
    let lab = Lab::new();
    lab.ask(40_000, 10);
    ip(&format!("link set {INTERFACE} down"));
    ip(&format!("link set {INTERFACE} name away0"));
    lab.wait("dbwire_capture_up", &[], 0.0);
    ip(&format!("link set away0 name {INTERFACE}"));
    ip(&format!("link set {INTERFACE} up"));
    lab.wait("dbwire_capture_up", &[], 1.0);
    lab.ask(40_002, 10);
    lab.assert_selects(20);
    "20 of 20 counted".to_owned()
}

fn recreated() -> String {
    let lab = Lab::new();
    lab.ask(40_000, 10);
    for round in 0..2_u16 {
        ip(&format!("link del {INTERFACE}"));
        lab.wait("dbwire_capture_up", &[], 0.0);
        make_interface();
        lab.wait("dbwire_capture_up", &[], 1.0);
        lab.reconnect(INTERFACE);
        lab.ask(40_002 + 2 * round, 10);
    }
    lab.assert_selects(30);
    "twice; 30 of 30 counted".to_owned()
}

fn late() -> String {
    let exporter = Exporter::start(&["--mysql.interface", "late0"]);
    assert_eq!(exporter.page().value("dbwire_capture_up", &[]), Some(0.0));
    ip("link add late0 type ifb");
    ip("link set late0 up");
    crate::support::wait::until(crate::lab::PATIENCE, "the interface to be found", || {
        (exporter.page().value("dbwire_capture_up", &[]) == Some(1.0)).then_some(())
    });
    "up".to_owned()
}

fn any() -> String {
    make_interface();
    let mut command = exporter::command();
    let lab = Lab::of(command.args(["--web.listen-address", "127.0.0.1:0", "--mysql.interface", "any"]));
    lab.ask(40_000, 10);
    ip("link add other0 type ifb");
    ip("link set other0 up");
    ip("link del other0");
    lab.ask(40_002, 10);
    lab.assert_selects(20);
    assert_eq!(lab.value("dbwire_capture_up", &[]), 1.0);
    "20 of 20 counted".to_owned()
}
