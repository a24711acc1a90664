//! Every metric this program exports: name, help, type and labels, once.
//!
//! The names are a contract (dashboards, alerts and people rely on them): add, never rename.

/// What a metric is, in Prometheus' terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, but for a restart; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets with a sum and a count.
    Histogram,
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Full name, with its unit as Prometheus wants it.
    pub name: &'static str,
    /// One sentence, shown by Prometheus and Grafana.
    pub help: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Label names, in the order [`super::family::Family::sample`] takes their values.
    pub labels: &'static [&'static str],
}

macro_rules! metrics {
    ($($(#[$attr:meta])* $ident:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            $(#[$attr])*
            pub const $ident: Metric =
                Metric { name: $name, help: $help, kind: Kind::$kind, labels: &[$($label),*] };
        )*
        /// Every row, in the order of this file.
        pub const ALL: &[&Metric] = &[$($(#[$attr])* &$ident),*];
    };
}

metrics! {
    TCP_CONNECTION_STATES = Gauge "dbwire_tcp_connection_states" ["state"]
        "TCP sockets of this network namespace by state, IPv4 and IPv6 together.";
    TCP_SOURCE_INFO = Gauge "dbwire_tcp_source_info" ["source"]
        "1 for the source the socket counts now come from.";
    TCP_SNAPSHOT_AGE = Gauge "dbwire_tcp_snapshot_age_seconds" []
        "Age of the socket counts on this page.";
    TCP_COOLDOWN = Gauge "dbwire_tcp_cooldown_seconds" []
        "How long the socket collector still waits before it reads again, to stay within its CPU budget.";
    TCP_READS = Counter "dbwire_tcp_reads_total" []
        "Reads of all sockets that have ended.";
    TCP_READ_CPU = Counter "dbwire_tcp_read_cpu_seconds_total" []
        "CPU time that reading the sockets has taken, the kernel's share and reads of listeners alone included.";
    TCP_FALLBACKS = Counter "dbwire_tcp_fallbacks_total" ["reason"]
        "Times the socket counts had to come from procfs because netlink failed, by reason.";
    TCP_FAMILY_CONNECTION_STATES = Gauge "dbwire_tcp_family_connection_states" ["family", "state"]
        "TCP sockets by address family and state; a v4-mapped socket is ipv6.";
    TCP_PORT_CONNECTION_STATES = Gauge "dbwire_tcp_port_connection_states" ["port", "direction", "state"]
        "TCP sockets of a watched port by state: inbound where the port is local, outbound where it is the peer's.";
    TCP_UNACCEPTED_CONNECTIONS = Gauge "dbwire_tcp_unaccepted_connections" ["port"]
        "Connections to a watched port that are established but not yet accepted by the server.";
    TCP_TIMER_CONNECTIONS = Gauge "dbwire_tcp_timer_connections" ["port", "timer"]
        "TCP sockets of a watched port that wait on a timer.";
    TCP_PORT_SNAPSHOT_AGE = Gauge "dbwire_tcp_port_snapshot_age_seconds" []
        "Age of the counts by port, which may be older than the others.";
    TCP_PORT_RTT = Gauge "dbwire_tcp_port_rtt_seconds" ["port", "quantile"]
        "Quantiles of the smoothed round-trip times of a watched port's connections that now exist.";
    TCP_PORT_RETRANSMITTED = Gauge "dbwire_tcp_port_retransmitted_segments" ["port", "quantile"]
        "Quantiles of the segments each connection of a watched port that now exists has sent again.";
    TCP_LISTEN_QUEUE_LENGTH = Gauge "dbwire_tcp_listen_queue_length" ["port", "address"]
        "Connections that wait to be accepted.";
    TCP_LISTEN_QUEUE_LIMIT = Gauge "dbwire_tcp_listen_queue_limit" ["port", "address"]
        "Connections that may wait to be accepted: the listener's backlog.";
    TCP_EPHEMERAL_PORTS_USED = Gauge "dbwire_tcp_ephemeral_ports_used" ["source", "destination"]
        "Local ports in use for connections from source to destination, for the pairs with the most.";
    TCP_EPHEMERAL_PORTS_LIMIT = Gauge "dbwire_tcp_ephemeral_ports_limit" ["source", "destination"]
        "Local ports there are for connections from source to destination.";
    TCP_UNLISTED_ENTRIES = Gauge "dbwire_tcp_unlisted_entries" ["kind"]
        "What a limit kept off this page: listeners, listening ports, and sockets of source and destination pairs.";
    TCP_PLAN_INFO = Gauge "dbwire_tcp_plan_info" ["plan"]
        "1 for the way the sockets are now counted.";
    TCP_PLAN_VERIFIED_AGE = Gauge "dbwire_tcp_plan_verified_age_seconds" []
        "Time since the kernel's counters were last compared with a dump of every socket.";
    TCP_LISTEN_OVERFLOWS = Counter "dbwire_tcp_listen_overflows_total" []
        "Connections refused because an accept queue was full (ListenOverflows).";
    TCP_LISTEN_DROPS = Counter "dbwire_tcp_listen_drops_total" []
        "Connections dropped on their way into an accept queue, for whatever reason (ListenDrops).";
    TCP_TIMEOUTS = Counter "dbwire_tcp_timeouts_total" []
        "Retransmission timers that ran out (TCPTimeouts).";
    TCP_SYN_RETRANSMITS = Counter "dbwire_tcp_syn_retransmits_total" []
        "SYN and SYN|ACK segments sent again (TCPSynRetrans).";
    TCP_ORPHANS = Gauge "dbwire_tcp_orphans" []
        "TCP sockets of the host that no program holds any more.";
    TCP_TIME_WAIT_LIMIT = Gauge "dbwire_tcp_time_wait_limit" []
        "Sockets that may be in TIME_WAIT before the kernel destroys them at once (tcp_max_tw_buckets).";
    TCP_MEMORY = Gauge "dbwire_tcp_memory_bytes" []
        "Memory in the buffers of the host's TCP sockets.";

    MYSQL_COMMANDS = Counter "dbwire_mysql_commands_total" ["command"]
        "Estimated MySQL commands by protocol name: each command seen adds the multiplier in force.";
    MYSQL_OBSERVED_COMMANDS = Counter "dbwire_mysql_observed_commands_total" ["command"]
        "MySQL commands seen in the sampled connections, unscaled.";
    MYSQL_STATEMENTS = Counter "dbwire_mysql_statements_total" ["statement"]
        "Estimated statements by kind, text and prepared alike; a prepared statement counts when executed.";
    MYSQL_ERRORS = Counter "dbwire_mysql_errors_total" ["code", "sqlstate"]
        "Estimated error replies by MySQL error code and SQLSTATE.";
    MYSQL_LOGINS = Counter "dbwire_mysql_logins_total" ["result"]
        "Estimated logins by result.";
    MYSQL_TLS_HANDSHAKES = Counter "dbwire_mysql_tls_handshakes_total" ["version", "result"]
        "Estimated TLS handshakes by the version the server chose; ok if the server answered the login inside.";
    MYSQL_CONNECTIONS_OPENED = Counter "dbwire_mysql_connections_opened_total" []
        "Estimated connections opened (a SYN was seen).";
    MYSQL_CONNECTIONS_CLOSED = Counter "dbwire_mysql_connections_closed_total" ["reason"]
        "Estimated connections closed, by what ended them.";
    MYSQL_QUERY_DURATION = Histogram "dbwire_mysql_query_duration_seconds" ["statement"]
        "Time from the last byte of a request to the last byte of its response.";
    MYSQL_FIRST_RESPONSE = Histogram "dbwire_mysql_first_response_seconds" ["statement"]
        "Time from the last byte of a request to the first byte of its response.";
    MYSQL_SLOW_STATEMENTS = Counter "dbwire_mysql_slow_statements_total" ["statement", "threshold"]
        "Estimated statements by kind whose response took longer to be complete than the threshold, in seconds.";
    MYSQL_ROWS_RETURNED = Counter "dbwire_mysql_rows_returned_total" ["statement"]
        "Estimated rows in result sets.";
    MYSQL_ROWS_AFFECTED = Counter "dbwire_mysql_rows_affected_total" ["statement"]
        "Estimated rows affected, as OK replies tell.";
    MYSQL_DIGEST_QUERIES = Counter "dbwire_mysql_digest_queries_total" ["digest", "schema"]
        "Estimated statements by digest, the id that pt-query-digest gives, and default schema.";
    MYSQL_DIGEST_SECONDS = Counter "dbwire_mysql_digest_seconds_total" ["digest", "schema"]
        "Estimated time that statements of a digest took, each to the last byte of its response.";
    MYSQL_DIGEST_ERRORS = Counter "dbwire_mysql_digest_errors_total" ["digest", "schema"]
        "Estimated error replies to statements of a digest, and to their prepares and fetches.";
    MYSQL_DIGEST_ROWS_RETURNED = Counter "dbwire_mysql_digest_rows_returned_total" ["digest", "schema"]
        "Estimated rows in result sets of a digest that returns any.";
    MYSQL_DIGEST_ROWS_AFFECTED = Counter "dbwire_mysql_digest_rows_affected_total" ["digest", "schema"]
        "Estimated rows affected by a digest that affects any.";
    MYSQL_DIGEST_DURATION = Histogram "dbwire_mysql_digest_duration_seconds" ["digest", "schema"]
        "Time from the last byte of a request to the last byte of its response, by digest (--mysql.digest-histograms).";
    MYSQL_DIGEST_INFO = Gauge "dbwire_mysql_digest_info" ["digest", "digest_text"]
        "1, with the start of a digest's normalised text: no literals, no comments.";
    MYSQL_USER_QUERIES = Counter "dbwire_mysql_user_queries_total" ["user"]
        "Estimated statements by the user that the client logged in as (--mysql.max-users).";
    MYSQL_USER_SECONDS = Counter "dbwire_mysql_user_seconds_total" ["user"]
        "Estimated time that a user's statements took, each to the last byte of its response.";
    MYSQL_USER_ERRORS = Counter "dbwire_mysql_user_errors_total" ["user"]
        "Estimated error replies to a user's statements.";
    MYSQL_CLIENT_QUERIES = Counter "dbwire_mysql_client_queries_total" ["client"]
        "Estimated statements by the client's address (--mysql.max-clients).";
    MYSQL_CLIENT_SECONDS = Counter "dbwire_mysql_client_seconds_total" ["client"]
        "Estimated time that a client's statements took, each to the last byte of its response.";
    MYSQL_CLIENT_ERRORS = Counter "dbwire_mysql_client_errors_total" ["client"]
        "Estimated error replies to a client's statements.";
    MYSQL_REQUEST_BYTES = Counter "dbwire_mysql_request_bytes_total" []
        "Estimated TCP payload bytes from clients to servers.";
    MYSQL_RESPONSE_BYTES = Counter "dbwire_mysql_response_bytes_total" []
        "Estimated TCP payload bytes from servers to clients.";
    MYSQL_SAMPLE_RATIO = Gauge "dbwire_mysql_sample_ratio" ["kind"]
        "Share of the connections that is sampled.";
    MYSQL_SAMPLE_MULTIPLIER = Gauge "dbwire_mysql_sample_multiplier" []
        "What each event seen now adds to the estimated counters.";
    MYSQL_SAMPLE_BITS = Gauge "dbwire_mysql_sample_bits" []
        "N: one of 2^N connection classes is sampled.";
    MYSQL_SAMPLE_REPLY_BYTES = Gauge "dbwire_mysql_sample_reply_bytes" []
        "Payload bytes of each segment from a server that are captured; 0 for all of them.";
    MYSQL_SAMPLE_CHANGES = Counter "dbwire_mysql_sample_changes_total" ["direction"]
        "Times less (tighten) or more (relax) was captured from then on, to hold the CPU budget.";
    MYSQL_SAMPLE_CONNECTIONS = Gauge "dbwire_mysql_sample_connections" ["set"]
        "Connections to the server ports as the kernel listed them: all, and those in the sampled class.";
    MYSQL_CLIENT_PORTS = Gauge "dbwire_mysql_client_ports" ["parity"]
        "Those connections by the parity of the client's port, which bit 0 would choose by.";
    MYSQL_CENSUSES = Counter "dbwire_mysql_censuses_total" ["result"]
        "Times the kernel was asked for all connections to the server ports.";
    MYSQL_SAMPLE_EFFECTIVE_SIZE = Gauge "dbwire_mysql_sample_effective_size" []
        "As many connections of equal size would tell as much as those sampled in the last interval.";
    MYSQL_ESTIMATE_STANDARD_ERROR = Counter "dbwire_mysql_estimate_standard_error_total" ["metric"]
        "Cumulative standard error of the estimates; 1.96 times its increase is half of a 95 % interval.";
    MYSQL_UNESTIMATED_SEGMENTS = Counter "dbwire_mysql_unestimated_segments_total" []
        "Data segments, about one for each request, of traffic for which no estimate could be made.";
    MYSQL_FLOWS = Gauge "dbwire_mysql_flows" ["visibility"]
        "Connections tracked now, by what can be seen of them.";
    MYSQL_GAPS = Counter "dbwire_mysql_gaps_total" []
        "Holes in the TCP streams of sampled connections (packets lost, or requests cut by the snapshot length).";
    MYSQL_CUT_REPLIES = Counter "dbwire_mysql_cut_replies_total" []
        "Replies longer than what was captured of them, whose rows, late errors and status are unknown.";
    MYSQL_DESYNCS = Counter "dbwire_mysql_desyncs_total" []
        "Times the decoder lost its place in a conversation.";
    MYSQL_RESYNCS = Counter "dbwire_mysql_resyncs_total" []
        "Times the decoder found its place again at a plausible request.";
    CAPTURE_UP = Gauge "dbwire_capture_up" ["interface"]
        "1 while packets can be captured on the interface.";
    CAPTURE_PACKETS = Counter "dbwire_capture_packets_total" []
        "Packets the filter let through to the decoder.";
    CAPTURE_BYTES = Counter "dbwire_capture_bytes_total" []
        "Bytes of those packets on the wire.";
    CAPTURE_RING_BYTES = Counter "dbwire_capture_ring_bytes_total" []
        "Bytes of those packets that were copied for the decoder.";
    CAPTURE_DROPPED_PACKETS = Counter "dbwire_capture_dropped_packets_total" ["where"]
        "Packets lost before the decoder saw them: the kernel's ring was full, or the interface dropped them.";
    CAPTURE_UNDECODED_PACKETS = Counter "dbwire_capture_undecoded_packets_total" ["layer"]
        "Packets that passed the filter but could not be decoded, by the layer that failed.";
    CAPTURE_CPU_SECONDS = Counter "dbwire_capture_cpu_seconds_total" []
        "CPU time of the capture thread.";
    LIMIT_HITS = Counter "dbwire_limit_hits_total" ["limit"]
        "Times a bounded table, buffer or label set refused something, by limit.";

    SCRAPE_COLLECTOR_SUCCESS = Gauge "dbwire_scrape_collector_success" ["collector"]
        "1 if the collector has current data for this page.";
    SCRAPE_COLLECTOR_DURATION = Gauge "dbwire_scrape_collector_duration_seconds" ["collector"]
        "How long this page waited for the collector.";
    WEB_CONFIG_RELOADS = Counter "dbwire_web_config_reloads_total" ["result"]
        "Times the file of --web.config.file, or one that it names, had changed and was read again.";
    WEB_CONFIG_LAST_RELOAD_SUCCESSFUL = Gauge "dbwire_web_config_last_reload_successful" []
        "1 unless the web configuration as it is now could not be used, and an older one is in force.";
    COLLECTOR_PANICS = Counter "dbwire_collector_panics_total" ["collector"]
        "Times a collector failed in a way that it never should, and began to count anew.";
    LOG_SUPPRESSED = Counter "dbwire_log_suppressed_messages_total" []
        "Log messages left out because too many of their kind came before them.";
    SANDBOX_INFO = Gauge "dbwire_sandbox_info" ["landlock", "seccomp"]
        "1, with how far the kernel keeps this process from files and system calls that it does not need.";
    BUILD_INFO = Gauge "dbwire_build_info" ["version", "revision", "rustversion", "features"]
        "1, with what this binary was built from.";

    PROCESS_CPU_SECONDS = Counter "process_cpu_seconds_total" []
        "CPU time this process has used, in user space and in the kernel.";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" []
        "File descriptors this process has open.";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "File descriptors this process may have open.";
    PROCESS_THREADS = Gauge "process_threads" []
        "Threads of this process.";
    PROCESS_VIRTUAL_MEMORY = Gauge "process_virtual_memory_bytes" []
        "Address space of this process.";
    PROCESS_RESIDENT_MEMORY = Gauge "process_resident_memory_bytes" []
        "Memory of this process that is in RAM, a capture's ring included.";
    PROCESS_START_TIME = Gauge "process_start_time_seconds" []
        "When this process started, in seconds since the Unix epoch.";
}

/// The unit that `stem`, a metric's name without `_total`, ends in.
pub(super) fn unit(stem: &str) -> Option<&str> {
    let (_, last) = stem.rsplit_once('_')?;
    ["seconds", "bytes", "ratio"].contains(&last).then_some(last)
}

/// Whether the counter or histogram called `stem` (without `_total`) was at zero when this program started; the
/// kernel's own counters were not.
pub(super) fn counts_since_start(stem: &str) -> bool {
    const OF_THE_KERNEL: [&Metric; 4] =
        [&TCP_LISTEN_OVERFLOWS, &TCP_LISTEN_DROPS, &TCP_TIMEOUTS, &TCP_SYN_RETRANSMITS];
    !OF_THE_KERNEL.iter().any(|metric| metric.name.strip_suffix("_total") == Some(stem))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_listed_once() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn names_and_labels_use_the_characters_prometheus_recommends() {
        for metric in ALL {
            let prefixed = ["dbwire_", "process_"].iter().any(|prefix| metric.name.starts_with(prefix));
            assert!(prefixed, "{} lacks the prefix", metric.name);
            for text in [metric.name].iter().chain(metric.labels) {
                let valid = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                assert!(valid && !text.contains("__"), "{text:?} of {}", metric.name);
            }
            let labels: BTreeSet<_> = metric.labels.iter().collect();
            assert_eq!(labels.len(), metric.labels.len(), "{} has a label twice", metric.name);
            assert!(!labels.contains(&"le"), "{} uses a histogram's own label", metric.name);
        }
    }

    #[test]
    fn counters_and_only_counters_end_in_total() {
        for metric in ALL {
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            for suffix in ["_count", "_sum", "_bucket", "_created"] {
                assert!(!metric.name.ends_with(suffix), "{} ends in a reserved suffix", metric.name);
            }
        }
    }

    /// <https://prometheus.io/docs/practices/naming/#base-units>
    #[test]
    fn units_are_base_units_and_stand_at_the_end() {
        const NOT_BASE: [&str; 12] = [
            "milliseconds",
            "microseconds",
            "nanoseconds",
            "ms",
            "minutes",
            "hours",
            "days",
            "bits_per",
            "kilobytes",
            "megabytes",
            "percent",
            "kib",
        ];
        for metric in ALL {
            let stem = metric.name.strip_suffix("_total").unwrap_or(metric.name);
            for unit in NOT_BASE {
                assert!(!stem.split('_').any(|word| word == unit), "{} has the unit {unit}", metric.name);
            }
            for unit in ["seconds", "bytes", "ratio"] {
                let inside = stem.split('_').any(|word| word == unit) && !stem.ends_with(unit);
                assert!(!inside, "{}: {unit} is not at the end", metric.name);
            }
            if metric.kind == Kind::Histogram {
                assert!(stem.ends_with("_seconds"), "{} has no unit", metric.name);
            }
        }
    }

    #[test]
    fn the_unit_of_a_name_is_its_last_word_if_it_is_one() {
        let cases = [
            ("process_cpu_seconds", Some("seconds")),
            ("dbwire_mysql_request_bytes", Some("bytes")),
            ("dbwire_mysql_sample_ratio", Some("ratio")),
            ("dbwire_mysql_gaps", None),
            ("seconds", None),
        ];
        for (stem, expected) in cases {
            assert_eq!(unit(stem), expected, "{stem}");
        }
    }

    #[test]
    fn help_is_one_sentence() {
        for metric in ALL {
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "help of {}", metric.name);
        }
    }
}
