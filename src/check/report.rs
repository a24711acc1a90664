//! Findings as text for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Finding, worst};

/// A heading for each section, a line for each finding, and an indented one for what to do.
pub fn text(findings: &[Finding]) -> String {
    let mut page = String::new();
    let mut section = "";
    for finding in findings {
        if finding.section != section {
            section = finding.section;
            let _ = writeln!(page, "{}{section}", if page.is_empty() { "" } else { "\n" });
        }
        let _ = writeln!(page, "  {:<5} {}", finding.status.label(), finding.what);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(page, "        → {advice}");
        }
    }
    page
}

/// `{"status": …, "findings": [{"section", "status", "what", "advice"}, …]}`; `advice` is null where there is nothing
/// to do.
pub fn json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "section": finding.section,
            "status": finding.status.label(),
            "what": finding.what,
            "advice": finding.advice,
        })
    };
    json!({
        "status": worst(findings).label(),
        "findings": findings.iter().map(one).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> [Finding; 3] {
        [
            Finding::ok("kernel", "inet_diag answers"),
            Finding::warn("kernel", "no JIT", "sysctl -w net.core.bpf_jit_enable=1"),
            Finding::bad("capture", "no right", "setcap"),
        ]
    }

    #[test]
    fn people_see_a_heading_for_each_section_and_what_to_do_below_each_fault() {
        let expected = "kernel\n  ok    inet_diag answers\n  warn  no JIT\n        → sysctl -w net.core.bpf_jit_enable=1\n\
                        \ncapture\n  bad   no right\n        → setcap\n";
        assert_eq!(text(&findings()), expected);
    }

    #[test]
    fn programs_see_the_worst_status_and_every_finding() {
        let value = json(&findings());
        assert_eq!(value["status"], "bad");
        assert_eq!(value["findings"][0]["advice"], Value::Null);
        assert_eq!(value["findings"][1]["what"], "no JIT");
        assert_eq!(json(&[])["status"], "ok");
    }
}
