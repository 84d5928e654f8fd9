use std::fmt;

use http::Method;

use super::{captured::MAX_CAPTURES, error::RuleError, methods, normal::normal_pattern, tree};

/// One rule of a table. Without a value it is free.
#[derive(Debug)]
pub(super) struct PathRule<T> {
    pub(super) method: Method,
    pub(super) pattern: String,
    pub(super) normal: String,
    /// The same for rules that charge the same.
    pub(super) charge: usize,
    pub(super) value: Option<T>,
}

impl<T> fmt::Display for PathRule<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.pattern)
    }
}

impl<T> PathRule<T> {
    /// Reads a rule like `GET /weather/{city}`.
    pub(super) fn parse(text: &str, value: Option<T>) -> Result<Self, RuleError> {
        let shape = "expected a method, one space and a path, as in `GET /weather/{city}`";
        let words = text
            .split_once(' ')
            .filter(|(method, _)| !method.is_empty());
        let (method, pattern) = words.ok_or_else(|| RuleError::of(text, shape))?;
        let is_upper = method
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let method = Method::from_bytes(method.as_bytes())
            .ok()
            .filter(|_| is_upper);
        let method = method.ok_or_else(|| {
            RuleError::of(
                text,
                "expected a method in capitals, as in `GET /weather/{city}`",
            )
        })?;
        if method == Method::OPTIONS {
            return Err(RuleError::of(
                text,
                "the layer answers OPTIONS itself: remove this rule, and put a CORS layer outside",
            ));
        }
        if pattern.matches('{').count() > MAX_CAPTURES {
            return Err(RuleError::of(text, "expected at most 24 captures"));
        }
        if method.as_str() == "ANY" {
            return Err(RuleError::of(
                text,
                "there is no method ANY: write one rule for each method",
            ));
        }
        if !methods::is_known(&method) {
            return Err(RuleError::of(
                text,
                "no request has this method: expected one that HTTP registers, as in `GET /weather/{city}`",
            ));
        }
        if !pattern.is_ascii() {
            return Err(RuleError::of(
                text,
                "expected ASCII: write other characters percent-encoded, as requests carry them",
            ));
        }
        if pattern.starts_with(' ') {
            return Err(RuleError::of(
                text,
                "expected one space between the method and the path",
            ));
        }
        if !pattern.starts_with('/') {
            return Err(RuleError::of(text, "expected a path that starts with `/`"));
        }
        tree::check(pattern).map_err(|why| RuleError::of(text, why))?;
        if tree::names_twice(pattern) {
            return Err(RuleError::of(
                text,
                "two captures have one name: give each its own",
            ));
        }
        let normal = normal_pattern(pattern).map_err(|why| RuleError::of(text, why))?;
        Ok(Self {
            method,
            pattern: pattern.to_owned(),
            normal,
            charge: 0,
            value,
        })
    }
}
