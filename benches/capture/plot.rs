//! Bars, as a picture that needs nothing but a browser.

use std::{fmt::Write as _, fs, path::Path};

const ROW: usize = 22;
const LEFT: usize = 260;
const WIDTH: usize = 360;

/// Writes `target/bench/NAME.svg`: a bar for each row, the longest across the whole width.
pub(crate) fn bars(name: &str, title: &str, unit: &str, rows: &[(String, f64)]) -> std::io::Result<()> {
    let longest = rows.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let (height, width) = (ROW * (rows.len() + 2), LEFT + WIDTH + 110);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><text x=\"8\" y=\"17\" \
         font-weight=\"bold\">{}</text>",
        escaped(title)
    );
    for (index, (label, value)) in rows.iter().enumerate() {
        let y = ROW * (index + 1) + 6;
        let length = value / longest * WIDTH as f64;
        let (base, at) = (y + 14, LEFT as f64 + length + 6.0);
        // Writing to a String does not fail.
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"16\" fill=\"#3b6ea5\"/>\
             <text x=\"{at:.1}\" y=\"{base}\">{} {}</text>",
            LEFT - 8,
            escaped(label),
            short(*value),
            escaped(unit)
        );
    }
    svg.push_str("</svg>\n");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{name}.svg")), svg)
}

/// Three digits, about.
pub(crate) fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{:.1} M", value / 1e6),
        10_000.0.. => format!("{:.0} k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
