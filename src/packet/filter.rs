//! The capture filter: which packets the kernel lets through.
