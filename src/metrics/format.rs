//! The formats a page can have.

use std::{fmt, io, time::Duration};

use prometheus::proto::MetricFamily;

use super::{
    family, protobuf,
    text::{self, Dialect},
};

/// Format and version of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format.
    Text(TextVersion),
    /// OpenMetrics text.
    OpenMetrics(OpenMetricsVersion),
    /// Delimited protobuf messages, the only format that carries native histograms.
    Protobuf,
}

/// Versions of Prometheus' text format. This program's names are of the old character set, so that their pages are
/// alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextVersion {
    /// 0.0.4.
    V0_0_4,
    /// 1.0.0, which can have names of any characters.
    V1_0_0,
}

/// Versions of OpenMetrics. Prometheus asks for both; what it reads of either is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMetricsVersion {
    /// 0.0.1, the draft.
    V0_0_1,
    /// 1.0.0.
    V1_0_0,
}

/// How a name that is not of the old character set would be changed; this program has none such, so that it only has
/// to be told back (<https://prometheus.io/docs/instrumenting/escaping_schemes/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the scheme it is named for")]
pub enum Escaping {
    AllowUtf8,
    Underscores,
    Dots,
    Values,
}

impl Escaping {
    /// Every scheme.
    pub const ALL: [Self; 4] = [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values];

    /// Value of the `escaping` parameter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

impl Format {
    /// Every format, those first that more programs read.
    pub const ALL: [Self; 5] = [
        Self::Text(TextVersion::V0_0_4),
        Self::Text(TextVersion::V1_0_0),
        Self::OpenMetrics(OpenMetricsVersion::V1_0_0),
        Self::OpenMetrics(OpenMetricsVersion::V0_0_1),
        Self::Protobuf,
    ];

    /// The media type, without parameters.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Text(_) => "text/plain",
            Self::OpenMetrics(_) => "application/openmetrics-text",
            Self::Protobuf => "application/vnd.google.protobuf",
        }
    }

    /// The parameters of the media type that tell it from others, `charset` and `escaping` apart.
    pub const fn parameters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Text(TextVersion::V0_0_4) => &[("version", "0.0.4")],
            Self::OpenMetrics(OpenMetricsVersion::V0_0_1) => &[("version", "0.0.1")],
            Self::Text(TextVersion::V1_0_0) | Self::OpenMetrics(OpenMetricsVersion::V1_0_0) => {
                &[("version", "1.0.0")]
            }
            Self::Protobuf => &[("proto", "io.prometheus.client.MetricFamily"), ("encoding", "delimited")],
        }
    }

    /// The `Content-Type` of a page.
    pub fn content_type(self, escaping: Option<Escaping>) -> String {
        ContentType(self, escaping).to_string()
    }

    /// Writes a page in this format, and tells when counting began where `created` is known. What the families were
    /// made of is kept for the next page of the same thread.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn encode(
        self,
        mut families: Vec<MetricFamily>,
        created: Option<Created>,
        out: &mut impl io::Write,
    ) -> io::Result<()> {
        family::arrange(&mut families);
        match self {
            Self::Text(_) => text::write(&families, Dialect::Prometheus, out),
            Self::OpenMetrics(_) => {
                let created =
                    created.filter(|created| created.samples).map(|created| created.at.as_secs_f64());
                text::write(&families, Dialect::OpenMetrics { created }, out)
            }
            Self::Protobuf => protobuf::write(&families, created.map(|created| created.at), out),
        }?;
        family::keep(families);
        Ok(())
    }
}

/// When this program began to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// Since the Unix epoch.
    pub at: Duration,
    /// Whether OpenMetrics pages have samples of it, each of them a series to who does not know better. In protobuf it
    /// is a field of what it belongs to.
    pub samples: bool,
}

struct ContentType(Format, Option<Escaping>);

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(format, escaping) = self;
        f.write_str(format.media_type())?;
        for (name, value) in format.parameters() {
            write!(f, "; {name}={value}")?;
        }
        if *format != Format::Protobuf {
            f.write_str("; charset=utf-8")?;
        }
        escaping.map_or(Ok(()), |escaping| write!(f, "; escaping={}", escaping.label()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_those_that_prometheus_knows() {
        let cases = [
            (Format::ALL[0], None, "text/plain; version=0.0.4; charset=utf-8"),
            (
                Format::ALL[1],
                Some(Escaping::AllowUtf8),
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            ),
            (Format::ALL[2], None, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            (
                Format::ALL[3],
                Some(Escaping::Values),
                "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=values",
            ),
            (
                Format::Protobuf,
                Some(Escaping::Underscores),
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
                 escaping=underscores",
            ),
        ];
        for (format, escaping, expected) in cases {
            assert_eq!(format.content_type(escaping), expected);
        }
    }

    #[test]
    fn each_format_writes_a_page_of_its_own() {
        let page = |format: Format| {
            let mut page = Vec::new();
            format.encode(vec![super::super::build::family()], None, &mut page).unwrap();
            page
        };
        assert!(page(Format::ALL[0]).starts_with(b"# HELP dbwire_build_info "));
        assert!(page(Format::ALL[2]).ends_with(b"# EOF\n"));
        assert!(page(Format::Protobuf)[1..].starts_with(b"\x01\x0a\x11dbwire_build_info"));
    }
}
