//! HTTP authentication challenges (RFC 9110, section 11): schemes, auth-params, quoted strings.
