//! Command-line flags and environment variables, as typed.
