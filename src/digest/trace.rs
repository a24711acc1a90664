//! The trace that a statement says it belongs to: W3C Trace Context in a comment, as sqlcommenter writes it
//! (<https://google.github.io/sqlcommenter/spec/>, <https://www.w3.org/TR/trace-context/#traceparent-header>).

use memchr::memmem;

/// Most of a statement's start or end that is looked at for its comment.
const LONGEST_COMMENT: usize = 1024;

/// A trace that somebody keeps, and the span in it that sent the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// Not zero.
    pub trace_id: u128,
    /// Not zero.
    pub span_id: u64,
}

/// The trace in the comment that `sql` ends or begins with. `None` where there is no comment there, at the cost of
/// looking at a few bytes; where it tells of no trace, or not in the form that there must be; and where the trace is
/// not sampled: nobody could look it up.
#[inline]
pub fn trace(sql: &[u8]) -> Option<Trace> {
    if sql.trim_ascii_end().ends_with(b"*/") {
        return at_end(sql);
    }
    if sql.starts_with(b"/*") { at_start(sql) } else { None }
}

#[cold]
fn at_end(sql: &[u8]) -> Option<Trace> {
    let sql = sql.trim_ascii_end();
    let end = sql.get(sql.len().saturating_sub(LONGEST_COMMENT)..)?;
    let start = memmem::rfind(end, b"/*")?;
    of_comment(end.get(start..)?)
}

#[cold]
fn at_start(sql: &[u8]) -> Option<Trace> {
    let start = sql.get(..LONGEST_COMMENT).unwrap_or(sql);
    let end = memmem::find(start, b"*/")?;
    of_comment(start.get(..end)?)
}

/// `key='value'` pairs; quotes may be missing.
fn of_comment(comment: &[u8]) -> Option<Trace> {
    const KEY: &[u8] = b"traceparent=";
    let value = comment.get(memmem::find(comment, KEY)? + KEY.len()..)?;
    let value = value.strip_prefix(b"'").unwrap_or(value);
    // Version, trace, span and flags: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
    let value = value.get(..55)?;
    let dashes = [2, 35, 52].iter().all(|at| value.get(*at) == Some(&b'-'));
    let version = hex(value.get(..2)?)?;
    let trace_id = hex(value.get(3..35)?)?;
    let span_id = u64::try_from(hex(value.get(36..52)?)?).ok()?;
    let sampled = hex(value.get(53..)?)? & 1 == 1;
    let valid = dashes && version != 0xff && trace_id != 0 && span_id != 0;
    (valid && sampled).then_some(Trace { trace_id, span_id })
}

/// Lower case only, as the specification has it; at most 32 digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const TRACE: Trace =
        Trace { trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, span_id: 0x00f0_67aa_0ba9_02b7 };

    #[test]
    fn the_trace_is_read_from_a_comment_at_either_end() {
        for sql in [
            format!("select 1 /*action='%2Fpolls',traceparent='{PARENT}',db_driver='x'*/"),
            format!("select 1 /* traceparent={PARENT} */ \n"),
            format!("/*traceparent='{PARENT}'*/ select 1"),
            format!("select '/*' /* a */, 2 /*traceparent='{PARENT}',tracestate='congo%3Dt61'*/"),
            format!("{} /*traceparent='{PARENT}'*/", "x".repeat(20_000)),
        ] {
            assert_eq!(trace(sql.as_bytes()), Some(TRACE), "{sql}");
        }
    }

    #[test]
    fn what_is_not_exactly_a_sampled_trace_in_a_comment_is_none() {
        for sql in [
            String::new(),
            "select 1".to_owned(),
            "select 1 /* none */".to_owned(),
            "/*".to_owned(),
            "*/".to_owned(),
            format!("select '/*traceparent={PARENT}*/'"),
            format!("select 1 /*traceparent='{PARENT}'*/ from t"),
            format!("/*traceparent='{PARENT}'"),
            format!("select 1 /*traceparent='{}'*/", PARENT.to_uppercase()),
            format!("select 1 /*traceparent='{}'*/", PARENT.replace('-', "_")),
            format!("select 1 /*traceparent='{}'*/", PARENT.replace("-01", "-00")),
            format!("select 1 /*traceparent='{}'*/", PARENT.replacen("00", "ff", 1)),
            format!("select 1 /*traceparent='{}'*/", &PARENT[..54]),
            "select 1 /*traceparent='00-00000000000000000000000000000000-00f067aa0ba902b7-01'*/".to_owned(),
            "select 1 /*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01'*/".to_owned(),
            format!("{} /*{}traceparent='{PARENT}'*/", "x", "y".repeat(LONGEST_COMMENT)),
        ] {
            assert_eq!(trace(sql.as_bytes()), None, "{sql}");
        }
    }
}
