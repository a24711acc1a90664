//! The state of the live capture, as metric families. What was decoded is [`super::mysql`]'s.

use prometheus::proto::MetricFamily;

use super::{family::Family, names};
use crate::stats::capture::CaptureStats;

/// All families of the capture itself.
pub fn families(capture: &CaptureStats) -> [MetricFamily; 3] {
    let up = f64::from(u8::from(capture.up));
    let dropped = Family::new(&names::CAPTURE_DROPPED_PACKETS)
        .sample(&["kernel"], capture.dropped_by_kernel as f64)
        .sample(&["interface"], capture.dropped_by_interface as f64);
    [
        Family::new(&names::CAPTURE_UP).sample(&[&capture.interface], up).build(),
        dropped.build(),
        Family::single(&names::CAPTURE_CPU_SECONDS, capture.cpu.as_secs_f64()),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::text;

    #[test]
    fn the_capture_tells_whether_it_is_up_and_what_it_lost() {
        let capture = CaptureStats {
            interface: "eth0".to_owned(),
            up: true,
            dropped_by_kernel: 3,
            dropped_by_interface: 4,
            cpu: Duration::from_millis(1500),
            ..CaptureStats::default()
        };
        let mut page = Vec::new();
        text::encode(families(&capture).into(), &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        for line in [
            "dbwire_capture_up{interface=\"eth0\"} 1\n",
            "dbwire_capture_dropped_packets_total{where=\"kernel\"} 3\n",
            "dbwire_capture_dropped_packets_total{where=\"interface\"} 4\n",
            "dbwire_capture_cpu_seconds_total 1.5\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
    }
}
