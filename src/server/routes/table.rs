use super::matching::{Otherwise, Rules};
use crate::server::config::{Charge, ConfigError};

/// Which rule prices which request, for a whole service of any kind.
///
/// Rules are written like `GET /weather/{city}`: a method, one space, and a path as the router that
/// the layer wraps would have it (axum's syntax: `{name}`, `{*rest}`). A rule for `GET` covers
/// `HEAD`, and what is bought for one method of the two is no credential for the other. A path with
/// any priced rule is closed to every method that no rule names; `OPTIONS` is answered by the
/// layer.
///
/// ```
/// use std::time::Duration;
///
/// use axum::{Router, routing::get};
/// use tower_x402::{Amount, Charge, MemoryStore, Paywall, RouteTable, lightning::LocalNode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let paywall = Paywall::builder(LocalNode::new())
/// #     .origin("https://api.example.com")
/// #     .master_secret(tower_x402::Secrets::test_secret(7))
/// #     .replay_store(MemoryStore::new()?)
/// #     .build()?;
/// let table = RouteTable::new()
///     .charge("GET /weather/{city}", Amount::from_sat(10))
///     .charge("GET /archive/{*path}", Charge::new(Amount::from_sat(500)).for_duration(Duration::from_secs(86_400)))
///     .free("GET /health")
///     .otherwise_refuse();
/// let app: Router = Router::new()
///     .route("/weather/{city}", get(|| async { "sunny" }))
///     .route("/archive/{*path}", get(|| async { "old" }))
///     .route("/health", get(|| async { "well" }))
///     .layer(paywall.routes(table)?); // last: axum's `layer` covers only what was added before it
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
///
/// A path is looked up as it is and in a normal form (decoded, lower case, without doubled and
/// trailing slashes), because a handler or a file server may take both for one thing. Where the two
/// have different prices the answer is 400: beside a rule for `/w` that is so for `/w/`, `/W` and
/// `//w`. Two rules that differ in nothing but such a spelling are refused: keep one, and let the
/// router redirect or merge the others.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RouteTable {
    rules: Vec<(String, Option<Charge>)>,
    otherwise: Vec<Otherwise>,
}

impl RouteTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// A priced rule.
    pub fn charge(mut self, rule: impl Into<String>, charge: impl Into<Charge>) -> Self {
        self.rules.push((rule.into(), Some(charge.into())));
        self
    }

    /// A rule for what is free although a default or another rule would close or price it.
    pub fn free(mut self, rule: impl Into<String>) -> Self {
        self.rules.push((rule.into(), None));
        self
    }

    /// What no rule names is free: a rule that is misspelt, or that lacks what a nest takes away,
    /// is then served for nothing. [`otherwise_refuse`](Self::otherwise_refuse) shows such a
    /// mistake at once.
    pub fn otherwise_free(mut self) -> Self {
        self.otherwise.push(Otherwise::Free);
        self
    }

    /// What no rule names is answered with 404, and no invoice.
    pub fn otherwise_refuse(mut self) -> Self {
        self.otherwise.push(Otherwise::Refuse);
        self
    }

    /// The priced rules as they were written.
    pub(in crate::server) fn priced(&self) -> impl Iterator<Item = (&str, &Charge)> {
        self.rules
            .iter()
            .filter_map(|(rule, charge)| Some((rule.as_str(), charge.as_ref()?)))
    }

    /// Checks each charge with `rule`, which is told the whole rule and its path, and compiles the
    /// table.
    pub(in crate::server) fn compile<T>(
        self,
        rule: impl Fn(Charge, &str) -> Result<T, ConfigError>,
    ) -> Result<Rules<T>, ConfigError> {
        if self.otherwise.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(ConfigError::new(
                "other paths are either free or refused: keep one of `.otherwise_..()`",
            ));
        }
        let rules = self
            .rules
            .into_iter()
            .map(|(text, charge)| {
                let path = text.split_once(' ').map_or("", |(_, path)| path);
                let value = charge.map(|charge| rule(charge, path)).transpose()?;
                Ok((text, value))
            })
            .collect::<Result<Vec<_>, ConfigError>>()?;
        Rules::compile(rules, self.otherwise.first().copied())
            .map_err(|error| ConfigError::new(error.to_string()))
    }
}
