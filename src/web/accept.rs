//! What a client accepts: `Accept` and `Accept-Encoding` → a [`Format`] and a [`Coding`].
//!
//! Content negotiation of RFC 9110 section 12.5: each list's elements have a quality from 0 (not at all) to 1, and
//! where several elements speak of one thing the most specific counts. Unreadable elements are passed over.

use hyper::{
    HeaderMap,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderName},
};

use crate::metrics::format::{Escaping, Format};

/// What a page will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// What it is written as.
    pub format: Format,
    /// The scheme that the client named with the format, to be told back.
    pub escaping: Option<Escaping>,
    /// How it is compressed.
    pub coding: Coding,
}

/// Content codings (RFC 9110 section 8.4.1; zstd is RFC 8878), the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the coding it is named for")]
pub enum Coding {
    Zstd,
    Gzip,
    Identity,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Identity];

    /// Name in `Content-Encoding`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    fn is_named(self, name: &str) -> bool {
        // RFC 9110 section 8.4.1.3 has recipients take the old name for the same.
        name.eq_ignore_ascii_case(self.label()) || (self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }
}

/// The page that suits the client best; `None` if there is none it accepts (status 406).
pub fn negotiate(headers: &HeaderMap) -> Option<Negotiated> {
    let (format, escaping) = format(headers)?;
    Some(Negotiated { format, escaping, coding: coding(headers)? })
}

/// How much an element is wanted: thousandths.
type Quality = u16;

fn format(headers: &HeaderMap) -> Option<(Format, Option<Escaping>)> {
    if !headers.contains_key(ACCEPT) {
        return Some((Format::ALL[0], None));
    }
    let mut best: Option<(Quality, u32, Format, Option<Escaping>)> = None;
    for format in Format::ALL {
        // The most specific range that the format is in, the first of several; then its quality.
        let range = elements(headers, ACCEPT)
            .filter_map(|element| Some((specificity(element, format)?, element)))
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((specificity, range)) = range else { continue };
        let quality = quality(range);
        let better = best.is_none_or(|(most, how, ..)| (quality, specificity) > (most, how)) && quality > 0;
        if better {
            best = Some((quality, specificity, format, escaping(range)));
        }
    }
    best.map(|(_, _, format, escaping)| (format, escaping))
}

/// How closely a media range describes `format`: by its type, its subtype and each parameter. `None` if it does not.
fn specificity(range: &str, format: Format) -> Option<u32> {
    let (wanted_type, wanted_subtype) = media_type(range).split_once('/')?;
    let (kind, subtype) = format.media_type().split_once('/')?;
    let matches = |wanted: &str, own: &str| match wanted {
        "*" => Some(0),
        wanted => wanted.eq_ignore_ascii_case(own).then_some(1),
    };
    let mut specificity = matches(wanted_type, kind)? + matches(wanted_subtype, subtype)?;
    for (name, value) in parameters(range) {
        let own = format.parameters().iter().find(|(own, _)| name.eq_ignore_ascii_case(own));
        let own = match own {
            Some((_, own)) => own,
            None if name.eq_ignore_ascii_case("charset") => "utf-8",
            // `q` ends the range's parameters (RFC 7231 has extensions behind it), others are not part of it.
            None if name.eq_ignore_ascii_case("q") || name.eq_ignore_ascii_case("escaping") => continue,
            None => return None,
        };
        if !value.eq_ignore_ascii_case(own) {
            return None;
        }
        specificity += 1;
    }
    Some(specificity)
}

fn escaping(range: &str) -> Option<Escaping> {
    let (_, wanted) = parameters(range).find(|(name, _)| name.eq_ignore_ascii_case("escaping"))?;
    Escaping::ALL.into_iter().find(|escaping| wanted.eq_ignore_ascii_case(escaping.label()))
}

/// The coding that suits the client best; `None` if there is none it accepts.
pub fn coding(headers: &HeaderMap) -> Option<Coding> {
    let listed = |coding: Coding| {
        let named = elements(headers, ACCEPT_ENCODING).find(|element| coding.is_named(media_type(element)));
        let any = || elements(headers, ACCEPT_ENCODING).find(|element| media_type(element) == "*");
        // What is not compressed is accepted by everybody who does not say otherwise, and wanted by none.
        match (named, coding) {
            (Some(element), _) => Some(quality(element)),
            (None, Coding::Identity) => Some(any().map_or(1, quality).min(1)),
            (None, _) => any().map(quality),
        }
    };
    let wanted = Coding::ALL.into_iter().filter_map(|coding| Some((coding, listed(coding)?)));
    let best = wanted.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    (best.1 > 0).then_some(best.0)
}

/// The elements of a header's list, over all of its lines. Quoted strings may hold commas.
fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split(line, ',')).filter(|element| !element.is_empty())
}

/// What is before the parameters.
fn media_type(element: &str) -> &str {
    split(element, ';').next().unwrap_or_default()
}

/// Names and values of an element's parameters.
fn parameters(element: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = split(element, ';').skip(1).filter_map(|parameter| parameter.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
}

/// RFC 9110 section 12.4.2: three decimals; 1 if there is none. What is no number is 0: nobody wants it for sure.
fn quality(element: &str) -> Quality {
    let Some((_, value)) = parameters(element).find(|(name, _)| name.eq_ignore_ascii_case("q")) else {
        return 1000;
    };
    let value = value.parse::<f64>().unwrap_or(0.0);
    (value.clamp(0.0, 1.0) * 1000.0).round() as Quality
}

/// Parts between `separator`s that are outside quoted strings, trimmed.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |character: char| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return !quoted && character == separator,
        }
        false
    })
    .map(str::trim)
}

#[cfg(test)]
mod tests;
