//! Bars, as a picture that needs nothing but a browser, and follows its light or dark scheme.

use std::{fmt::Write as _, fs, path::Path};

const ROW: usize = 22;
const LEFT: usize = 260;
const WIDTH: usize = 360;
/// On a page of either scheme, behind which the picture is clear: GitHub's own colours of text.
const STYLE: &str = "<style>text{fill:#1f2328}.bar{fill:#3b6ea5}.ruler{fill:#8c959f}\
                     @media(prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#6ea8e0}.ruler{fill:#7d8590}}</style>";

/// One row.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    /// Whether it is there to measure the others by.
    pub(crate) is_ruler: bool,
}

/// Writes `NAME.svg` into `folder`: a bar for each row, the longest across the whole width.
pub(crate) fn bars(folder: &Path, name: &str, title: &str, unit: &str, rows: &[Bar]) -> std::io::Result<()> {
    let longest = rows.iter().map(|row| row.value).fold(f64::MIN_POSITIVE, f64::max);
    let (height, width) = (ROW * (rows.len() + 1) + 14, LEFT + WIDTH + 110);
    let title = escaped(title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"13\" role=\"img\" aria-label=\"{title}\">{STYLE}\n\
         <text x=\"8\" y=\"17\" font-weight=\"bold\">{title}</text>\n"
    );
    for (index, Bar { label, value, is_ruler }) in rows.iter().enumerate() {
        let y = ROW * (index + 1) + 6;
        // Seen, however short.
        let length = (value / longest * WIDTH as f64).max(1.0);
        let (base, at) = (y + 13, LEFT as f64 + length + 6.0);
        // Writing to a String does not fail.
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"16\" rx=\"2\"/>\
             <text x=\"{at:.1}\" y=\"{base}\">{} {}</text>",
            LEFT - 8,
            escaped(label),
            if *is_ruler { "ruler" } else { "bar" },
            short(*value),
            escaped(unit)
        );
    }
    svg.push_str("</svg>\n");
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{name}.svg")), svg)
}

/// Three digits, about.
pub(crate) fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{:.1} M", value / 1e6),
        10_000.0.. => format!("{:.0} k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
