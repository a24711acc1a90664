//! Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::io;

use prometheus::{Encoder, TextEncoder, proto::MetricFamily};

/// The `Content-Type` of what [`encode`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes `families` in order of their names, which makes two pages comparable line by line. Families without a
/// sample are left out, as the format has no way to write one.
///
/// # Errors
/// Those of `out`.
pub fn encode(mut families: Vec<MetricFamily>, out: &mut impl io::Write) -> io::Result<()> {
    families.retain(|family| !family.get_metric().is_empty());
    families.sort_by(|a, b| a.name().cmp(b.name()));
    TextEncoder::new().encode(&families, out).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{family::Family, names};

    fn text(families: Vec<MetricFamily>) -> String {
        let mut out = Vec::new();
        encode(families, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn families_are_written_in_order_of_their_names_and_empty_ones_left_out() {
        let page = text(vec![
            Family::single(&names::TCP_SNAPSHOT_AGE, 0.5),
            Family::new(&names::TCP_FALLBACKS).build(),
            Family::new(&names::TCP_CONNECTION_STATES).sample(&["listen"], 3.0).build(),
        ]);
        let expected = format!(
            "# HELP dbwire_tcp_connection_states {}\n\
             # TYPE dbwire_tcp_connection_states gauge\n\
             dbwire_tcp_connection_states{{state=\"listen\"}} 3\n\
             # HELP dbwire_tcp_snapshot_age_seconds {}\n\
             # TYPE dbwire_tcp_snapshot_age_seconds gauge\n\
             dbwire_tcp_snapshot_age_seconds 0.5\n",
            names::TCP_CONNECTION_STATES.help,
            names::TCP_SNAPSHOT_AGE.help
        );
        assert_eq!(page, expected);
    }

    #[test]
    fn label_values_are_escaped() {
        let page = text(vec![Family::new(&names::TCP_SOURCE_INFO).sample(&["a\\b\"c\nd"], 1.0).build()]);
        assert!(page.contains(r#"{source="a\\b\"c\nd"} 1"#), "{page}");
    }
}
