use std::sync::Arc;

use tower_layer::Layer;

use super::{
    X402Service,
    config::{Charge, ConfigError, Paywall, siblings::SoldRule},
    routes::{
        RouteTable,
        priced::{PricedRoutes, Pricing},
        rule::Rule,
    },
};

/// Wraps any tower service, and lets through what is free or paid.
///
/// Made by [`Paywall::charge`] for one route and by [`Paywall::routes`] for a whole service.
#[derive(Clone, Debug)]
#[must_use]
pub struct X402Layer {
    routes: Arc<PricedRoutes>,
}

impl Paywall {
    /// Charges for every request that comes to the wrapped service, whatever its path and method.
    /// `OPTIONS` is answered with 204.
    ///
    /// In axum put it on the method router: `get(handler).route_layer(..)`, where a method that the
    /// route does not have stays 405 and costs nothing. On a whole `Router` it would charge for
    /// wrong methods too, and with `.layer(..)` for paths that do not exist; there a table
    /// ([`routes`](Self::routes)) is the thing. What the handler then answers is the buyer's: a 404
    /// or 400 after payment is not given back.
    ///
    /// On a route that takes any method (`any(handler)`) axum's `route_layer` panics, because it
    /// finds no method to stand around: use `any(handler).layer(..)` there. On other routes `layer`
    /// would charge for methods that the route does not have.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] where no enabled dialect can say this charge.
    pub fn charge(&self, charge: impl Into<Charge>) -> Result<X402Layer, ConfigError> {
        let charge = charge.into();
        let sold = SoldRule::new("", &charge);
        let rule = Arc::new(Rule::new(self.setup(), charge, None)?);
        self.setup().sold.add([sold]);
        Ok(X402Layer {
            routes: Arc::new(PricedRoutes {
                paywall: self.clone(),
                pricing: Pricing::Every(rule),
            }),
        })
    }

    /// Charges by a table of routes.
    ///
    /// axum's `.layer(..)` covers only routes that were added before it: put it last, or wrap the
    /// whole (`Router::new().fallback_service(layer.layer(app))`), or what is added later is served
    /// for nothing.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a bad pattern, for patterns that fall together, for a missing default,
    /// and for a charge that no enabled dialect can say.
    pub fn routes(&self, table: RouteTable) -> Result<X402Layer, ConfigError> {
        let sold: Vec<_> = table
            .priced()
            .map(|(rule, charge)| SoldRule::new(rule, charge))
            .collect();
        let rules = table.compile(|charge, pattern| {
            Rule::new(self.setup(), charge, Some(pattern)).map(Arc::new)
        })?;
        self.setup().sold.add(sold);
        Ok(X402Layer {
            routes: Arc::new(PricedRoutes {
                paywall: self.clone(),
                pricing: Pricing::Table(rules),
            }),
        })
    }
}

impl<S> Layer<S> for X402Layer {
    type Service = X402Service<S>;

    fn layer(&self, inner: S) -> X402Service<S> {
        X402Service::new(inner, self.routes.clone())
    }
}
