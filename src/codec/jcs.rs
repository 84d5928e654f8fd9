//! Canonical JSON (RFC 8785), over `serde_jcs`.
