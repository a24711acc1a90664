//! `Authorization: Basic …` (RFC 7617).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{HeaderMap, header::AUTHORIZATION};

/// What a client says who it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name of the user.
    pub user: String,
    /// Bytes: the scheme leaves their character set open.
    pub password: Vec<u8>,
}

/// The client's credentials; `None` if it gave none that can be read.
pub fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(token.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some(Credentials { user, password: decoded[colon + 1..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_what_is_before_and_after_the_first_colon() {
        type Case = (Option<&'static str>, Option<(&'static str, &'static [u8])>);
        let cases: [Case; 9] = [
            (None, None),
            // The example of RFC 7617 section 2.
            (Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Some(("Aladdin", b"open sesame"))),
            (Some("bAsIc  QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Some(("Aladdin", b"open sesame"))),
            (Some("Basic Ojo6"), Some(("", b"::"))),
            (Some("Basic dTr/"), Some(("u", b"\xff"))),
            (Some("Basic dQ=="), None),
            (Some("Basic !"), None),
            (Some("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), None),
            (Some("Basic"), None),
        ];
        for (header, expected) in cases {
            let headers = header.map(|value| (AUTHORIZATION, value.parse().unwrap()));
            let found = credentials(&HeaderMap::from_iter(headers));
            let found = found.as_ref().map(|it| (it.user.as_str(), it.password.as_slice()));
            assert_eq!(found, expected, "{header:?}");
        }
    }
}
