//! The page for people at `/`: what runs, what works, where to look.

use std::fmt::Write;

use crate::metrics::build;

use super::Routes;

/// One source of metrics, in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it counts.
    pub name: &'static str,
    /// Whether it works now.
    pub works: bool,
    /// Where it counts, or why it does not and what to do.
    pub detail: String,
}

/// The page as HTML. It refers to nothing outside itself.
pub fn html(routes: &Routes, sources: &[Source]) -> String {
    let (version, revision) = (build::VERSION, build::REVISION);
    let metrics = escape(routes.telemetry_path());
    let healthy = Routes::HEALTHY;
    let mut list = String::new();
    for Source { name, works, detail } in sources {
        let state = if *works { "works" } else { "does not work" };
        // Writing to a String cannot fail.
        let _ = writeln!(list, "<li>{name}: {state} ({})</li>", escape(detail));
    }
    format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <head><meta charset=\"utf-8\"><title>dbwire_exporter</title></head>\n\
         <body>\n\
         <h1>dbwire_exporter</h1>\n\
         <p>Version {version}, revision {revision}. TCP socket states and MySQL queries for Prometheus.</p>\n\
         <ul>\n{list}</ul>\n\
         <p><a href=\"{metrics}\">Metrics</a> · <a href=\"{healthy}\">Health</a></p>\n\
         </body>\n\
         </html>\n"
    )
}

/// Text as HTML text or attribute value.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_the_program_its_version_and_where_the_metrics_are() {
        let html = html(&Routes::new("/m"), &[]);
        assert!(html.contains("<h1>dbwire_exporter</h1>"));
        assert!(html.contains(build::VERSION) && html.contains(build::REVISION));
        assert!(html.contains("<a href=\"/m\">"));
    }

    #[test]
    fn each_source_has_a_line_that_says_whether_it_works() {
        let sources = [
            Source { name: "TCP sockets", works: true, detail: "netlink".to_owned() },
            Source { name: "MySQL queries", works: false, detail: "no interface <eth7>".to_owned() },
        ];
        let html = html(&Routes::new("/metrics"), &sources);
        assert!(html.contains("<li>TCP sockets: works (netlink)</li>"));
        assert!(html.contains("<li>MySQL queries: does not work (no interface &lt;eth7&gt;)</li>"));
    }
}
