use super::matching::{Otherwise, Rules};
use crate::{
    dialect::nameless,
    server::config::{Charge, ConfigError},
};

/// The rules that price the requests of a whole service, axum or not.
///
/// A rule looks like `GET /weather/{city}`: a method that HTTP registers, one space, and a path as
/// the inner router sees it, in axum's syntax (`{name}`, `{*rest}`; no name twice). A rule for `GET` also covers `HEAD`, but a
/// credential bought for one of the two methods is not valid for the other. If a path has a priced
/// rule, methods without a rule get 405 there. The layer answers `OPTIONS` itself.
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
/// Each path is looked up twice: as it is, and in a normal form (decoded, lower case, without
/// doubled and trailing slashes). A handler or a file server may treat both as the same resource.
/// If only one of the two has a price, or their prices differ, the answer is 400: with a rule for
/// `/w`, that is the case for `/w/`, `/W` and `//w`. Two rules that differ only in spelling are a
/// [`ConfigError`](crate::server::ConfigError): keep one, and let the router redirect or merge the
/// others.
///
/// Some paths cannot be written more plainly, such as `/scrape/https%3A%2F%2Fexample.com%2Fa` for
/// the rule `GET /scrape/{url}`. Take such values from the query (`/scrape?url=..`). Or write a
/// second rule with the same charge for the other reading, here `GET /scrape/{url}/{*rest}`: if
/// every reading of a path selects a rule with the same charge, the request is priced by the rule
/// for the path as it is. Charges are the same if they sell one request at the same fixed price,
/// bind the same headers, and have no free allowance.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RouteTable {
    rules: Vec<(String, Option<Charge>)>,
    otherwise: Vec<Otherwise>,
}

impl RouteTable {
    /// Creates an empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a priced rule.
    pub fn charge(mut self, rule: impl Into<String>, charge: impl Into<Charge>) -> Self {
        self.rules.push((rule.into(), Some(charge.into())));
        self
    }

    /// Adds a rule for requests that are free, although the default or another rule would refuse or
    /// price them.
    pub fn free(mut self, rule: impl Into<String>) -> Self {
        self.rules.push((rule.into(), None));
        self
    }

    /// Serves all requests without a rule for free. Then a mistake in a rule, such as a misspelt
    /// path or the prefix that a nest strips, makes a priced route free. With
    /// [`otherwise_refuse`](Self::otherwise_refuse) such a route answers 404 instead. Every table
    /// must call one of these two methods.
    pub fn otherwise_free(mut self) -> Self {
        self.otherwise.push(Otherwise::Free);
        self
    }

    /// Answers all requests without a rule with 404 and no invoice.
    pub fn otherwise_refuse(mut self) -> Self {
        self.otherwise.push(Otherwise::Refuse);
        self
    }

    /// Returns the priced rules as they were written.
    pub(in crate::server) fn priced(&self) -> impl Iterator<Item = (&str, &Charge)> {
        self.rules
            .iter()
            .filter_map(|(rule, charge)| Some((rule.as_str(), charge.as_ref()?)))
    }

    /// Makes a rule of each charge with `rule`, which gets the charge and its path, and compiles
    /// the table. `is_same` says whether two rules charge the same.
    pub(in crate::server) fn compile<T>(
        mut self,
        rule: impl Fn(Charge, &str) -> Result<T, ConfigError>,
        is_same: impl Fn(&T, &T) -> bool,
    ) -> Result<Rules<T>, ConfigError> {
        if self.otherwise.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(ConfigError::new(
                "other paths are either free or refused: keep one of `.otherwise_..()`",
            ));
        }
        self.separate_former_patterns()?;
        let rules = self
            .rules
            .into_iter()
            .map(|(text, charge)| {
                let path = text.split_once(' ').map_or("", |(_, path)| path);
                let value = charge.map(|charge| rule(charge, path)).transpose()?;
                Ok((text, value))
            })
            .collect::<Result<Vec<_>, ConfigError>>()?;
        Rules::compile(rules, self.otherwise.first().copied(), is_same)
            .map_err(|error| ConfigError::new(error.to_string()))
    }

    /// Checks that what is bought at one rule opens no other one that is dearer. What needs the
    /// prefix of a nest is checked for each request.
    fn separate_former_patterns(&mut self) -> Result<(), ConfigError> {
        let priced: Vec<(String, String, Charge)> = self
            .priced()
            .filter_map(|(text, charge)| {
                let (method, path) = text.split_once(' ')?;
                Some((method.to_owned(), path.to_owned(), charge.clone()))
            })
            .collect();
        for (text, charge) in &mut self.rules {
            let (Some((method, path)), Some(charge)) = (text.split_once(' '), charge) else {
                continue;
            };
            let others = priced.iter().filter(|(of, other, sold)| {
                other != path && share_requests(of, method) && !sold.covers(charge)
            });
            let others: Vec<String> = others.map(|(_, other, _)| other.clone()).collect();
            let is_sold = |former: &&String| {
                let same = |other: &String| nameless(former.bytes()).eq(nameless(other.bytes()));
                others.iter().any(same)
            };
            if let Some(former) = charge.former_patterns.iter().find(is_sold) {
                return Err(ConfigError::at(
                    path,
                    format!(
                        "`{former}` is a rule of its own, and what it sells must not open this one: leave .former_pattern(..) out"
                    ),
                ));
            }
            charge.other_patterns = others;
        }
        Ok(())
    }
}

/// Returns whether a request can have a method that both rules match. A rule for GET also matches
/// HEAD and CONNECT.
fn share_requests(one: &str, other: &str) -> bool {
    let is_get = |method| matches!(method, "CONNECT" | "GET" | "HEAD");
    one == other || is_get(one) && is_get(other)
}
