//! Users and clients on the page: only if asked for, so many at most, and the sum is that of all statements.
#![cfg(feature = "capture")]

mod support;

use support::{
    dialogue::{Conversation, OK, error, write_pcap},
    exporter::run,
    exposition::Exposition,
};

#[test]
fn users_and_clients_have_counters_where_they_were_asked_for() {
    let mut frames = Vec::new();
    let mut conversation =
        Conversation::open(40_000, "shop", 1_700_000_000_000_000_000, |at, frame: &[u8]| {
            frames.push((at, frame.to_vec()));
        });
    conversation.query(b"select 1", OK);
    conversation.query(b"selec", &error(1064, "42000", "no"));
    // Another user, and one beyond the bound.
    conversation.exchange(b"\x11two \"quoted\"\0\0\0", b"\0\0\0\x02\0\0\0");
    conversation.query(b"select 1", OK);
    conversation.exchange(b"\x11three\0\0\0", b"\0\0\0\x02\0\0\0");
    conversation.query(b"select 1", OK);
    conversation.close();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("askers.pcap");
    write_pcap(&path, &frames);
    let replay = |flags: &[&str]| {
        let output = run(&[&["replay", path.to_str().expect("a path")], flags].concat());
        Exposition::parse(&String::from_utf8(output.stdout).expect("text"))
    };

    let page = replay(&[]);
    assert_eq!(page.of("dbwire_mysql_user_queries_total").count(), 0);
    assert_eq!(page.of("dbwire_mysql_client_queries_total").count(), 0);

    let page = replay(&["--mysql.max-users=2", "--mysql.max-clients=1"]);
    let value =
        |family: &str, label, name| page.value(&format!("dbwire_mysql_{family}_total"), &[(label, name)]);
    for (user, queries, errors) in
        [("app", 2.0, 1.0), ("two \"quoted\"", 1.0, 0.0), ("other", 1.0, 0.0), ("unknown", 0.0, 0.0)]
    {
        assert_eq!(value("user_queries", "user", user), Some(queries), "{user}");
        assert_eq!(value("user_errors", "user", user), Some(errors), "{user}");
    }
    assert_eq!(value("client_queries", "client", "10.0.0.1"), Some(4.0));
    assert_eq!(value("client_errors", "client", "10.0.0.1"), Some(1.0));
    assert!(value("client_seconds", "client", "10.0.0.1") > Some(0.004));
    assert_eq!(page.value("dbwire_limit_hits_total", &[("limit", "users")]), Some(1.0));
}
