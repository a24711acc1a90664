//! `(method, path, headers)` → response, pure.

#![forbid(unsafe_code)]
